"""Who spoke when.

    from diarize import Diarizer
    result = Diarizer.from_config()("meeting.wav", speakers=4)

Names are imported when first used, so that `import diarize` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

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
    from diarize.postprocessing.count_fitting import fit_count
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
    "fit_count",
    "group_clips",
    "level_out",
    "load_config",
    "read_rttm",
    "resegment",
    "score_diarization",
    "score_files",
    "write_rttm",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Agglomerative": "diarize.clustering.agglomerative",
        "ClipsConfig": "diarize.clips.group",
        "DiarizationResult": "diarize.pipeline.result",
        "DiarizeConfig": "diarize.pipeline.config",
        "Diarizer": "diarize.pipeline.diarizer",
        "Gallery": "diarize.gallery.gallery",
        "Recording": "diarize.audio.recording",
        "Segmentation": "diarize.segmentation.base",
        "SileroSegmenter": "diarize.segmentation.silero",
        "SpeakerCount": "diarize.core.speaker_count",
        "Turn": "diarize.core.turns",
        "__version__": "encoder.common.version",
        "assemble": "diarize.postprocessing.turns",
        "cluster": "diarize.clustering.api",
        "cut_windows": "diarize.embedding.windows",
        "embed_recording": "diarize.embedding.extraction",
        "fit_count": "diarize.postprocessing.count_fitting",
        "group_clips": "diarize.clips.group",
        "level_out": "diarize.audio.level",
        "load_config": "diarize.pipeline.config",
        "read_rttm": "diarize.formats.rttm",
        "resegment": "diarize.postprocessing.resegmentation",
        "score_diarization": "diarize.scoring.der",
        "score_files": "diarize.scoring.files",
        "write_rttm": "diarize.formats.rttm",
    },
)
