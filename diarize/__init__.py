"""Who spoke when.

    from diarize import Diarizer
    result = Diarizer.from_config()("meeting.wav", speakers=4)

Names are imported when first used, so that `import diarize` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diarize.audio.level import level_out
    from diarize.audio.recording import Recording
    from diarize.clips.group import ClipsConfig, group_clips
    from diarize.clustering.agglomerative import Agglomerative
    from diarize.clustering.api import cluster
    from diarize.core.speaker_count import SpeakerCount
    from diarize.core.turns import Turn
    from diarize.embedding.extraction import embed_recording
    from diarize.embedding.windows import cut_windows
    from diarize.formats.rttm import read_rttm, write_rttm
    from diarize.gallery.gallery import Gallery
    from diarize.pipeline.config import DiarizeConfig, load_config
    from diarize.pipeline.diarizer import Diarizer
    from diarize.pipeline.result import DiarizationResult
    from diarize.postprocessing.resegmentation import resegment
    from diarize.postprocessing.turns import assemble
    from diarize.scoring.der import score_diarization
    from diarize.scoring.files import score_files
    from diarize.segmentation.base import Segmentation
    from diarize.segmentation.silero import SileroSegmenter

    __version__: str

__all__ = [
    "Agglomerative",
    "ClipsConfig",
    "DiarizationResult",
    "DiarizeConfig",
    "Diarizer",
    "Gallery",
    "Recording",
    "Segmentation",
    "SileroSegmenter",
    "SpeakerCount",
    "Turn",
    "__version__",
    "assemble",
    "cluster",
    "cut_windows",
    "embed_recording",
    "group_clips",
    "level_out",
    "load_config",
    "read_rttm",
    "resegment",
    "score_diarization",
    "score_files",
    "write_rttm",
]

_HOMES = {
    "diarize.audio.level": "level_out",
    "diarize.audio.recording": "Recording",
    "diarize.clips.group": "ClipsConfig group_clips",
    "diarize.clustering.agglomerative": "Agglomerative",
    "diarize.clustering.api": "cluster",
    "diarize.core.speaker_count": "SpeakerCount",
    "diarize.core.turns": "Turn",
    "diarize.embedding.extraction": "embed_recording",
    "diarize.embedding.windows": "cut_windows",
    "diarize.formats.rttm": "read_rttm write_rttm",
    "diarize.gallery.gallery": "Gallery",
    "diarize.pipeline.config": "DiarizeConfig load_config",
    "diarize.pipeline.diarizer": "Diarizer",
    "diarize.pipeline.result": "DiarizationResult",
    "diarize.postprocessing.resegmentation": "resegment",
    "diarize.postprocessing.turns": "assemble",
    "diarize.scoring.der": "score_diarization",
    "diarize.scoring.files": "score_files",
    "diarize.segmentation.base": "Segmentation",
    "diarize.segmentation.silero": "SileroSegmenter",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from diarize.core.version import package_version

        return package_version()
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'diarize' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
