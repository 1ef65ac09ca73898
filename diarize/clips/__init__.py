"""A folder of clips to groups of one speaker each.

Takes files or folders of media, finds and embeds the speech of each clip (vectors are cached by
content), and groups the vectors. Gives a row a clip, and folders with one speaker each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.clips.cache import ClipCache
    from diarize.clips.cluster import cluster_clips
    from diarize.clips.embed import embed_clips
    from diarize.clips.export_folders import export_clips
    from diarize.clips.find import find_clips
    from diarize.clips.group import ClipGroups, ClipsConfig, group_clips

__all__ = [
    "ClipCache",
    "ClipGroups",
    "ClipsConfig",
    "cluster_clips",
    "embed_clips",
    "export_clips",
    "find_clips",
    "group_clips",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ClipCache": "diarize.clips.cache",
        "ClipGroups": "diarize.clips.group",
        "ClipsConfig": "diarize.clips.group",
        "cluster_clips": "diarize.clips.cluster",
        "embed_clips": "diarize.clips.embed",
        "export_clips": "diarize.clips.export_folders",
        "find_clips": "diarize.clips.find",
        "group_clips": "diarize.clips.group",
    },
)
