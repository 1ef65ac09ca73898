"""How good a result is: error rates of diarization, verification, identification and clustering.

Takes turns, files or lists of trials with their truth; gives scores, with intervals where there are
trials. The conventions are written at the top of `diarize.scoring.protocols`. Scoring a diarization
imports neither torch nor scikit-learn nor pyannote; numbers agree with pyannote.metrics all the
same (the tests compare).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.scoring.der import DiarizationScore, score_diarization
    from diarize.scoring.files import score_files
    from diarize.scoring.jer import JaccardScore, score_jaccard
    from diarize.scoring.protocols import PROTOCOLS
    from diarize.scoring.report import ScoreReport, score_recording

__all__ = [
    "PROTOCOLS",
    "DiarizationScore",
    "JaccardScore",
    "ScoreReport",
    "score_diarization",
    "score_files",
    "score_jaccard",
    "score_recording",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "PROTOCOLS": "diarize.scoring.protocols",
        "DiarizationScore": "diarize.scoring.der",
        "JaccardScore": "diarize.scoring.jer",
        "ScoreReport": "diarize.scoring.report",
        "score_diarization": "diarize.scoring.der",
        "score_files": "diarize.scoring.files",
        "score_jaccard": "diarize.scoring.jer",
        "score_recording": "diarize.scoring.report",
    },
)
