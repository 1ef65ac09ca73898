"""How good a diarization is: error rates under three protocols, from turns or from files.

The conventions are written at the top of `diarize.scoring.protocols`. Nothing here imports torch,
scikit-learn or pyannote; numbers agree with pyannote.metrics all the same (the tests compare).
"""

from diarize.scoring.der import DiarizationScore, score_diarization
from diarize.scoring.files import score_files
from diarize.scoring.jer import JaccardScore, score_jaccard
from diarize.scoring.protocols import FAIR, FORGIVING, FULL, PROTOCOLS, Protocol
from diarize.scoring.report import RecordingScore, ScoreReport, score_recording

__all__ = [
    "FAIR",
    "FORGIVING",
    "FULL",
    "PROTOCOLS",
    "DiarizationScore",
    "JaccardScore",
    "Protocol",
    "RecordingScore",
    "ScoreReport",
    "score_diarization",
    "score_files",
    "score_jaccard",
    "score_recording",
]
