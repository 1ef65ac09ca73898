"""The scores of one recording and of many, ready for a table or for JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from diarize.core.turns import Turn
from diarize.scoring.der import DiarizationScore, measure_der
from diarize.scoring.intervals import pair_speakers, sweep
from diarize.scoring.jer import JaccardScore, measure_jer
from diarize.scoring.protocols import FULL, PROTOCOLS

__all__ = ["RecordingScore", "ScoreReport", "score_recording"]


@dataclass(frozen=True)
class RecordingScore:
    """One recording: its DER under each protocol by name, and its JER and speakers under "full"."""

    uri: str
    der: Mapping[str, DiarizationScore]
    jer: JaccardScore

    @property
    def speakers_reference(self) -> int:
        """Reference speakers with scored time."""
        return self.jer.reference_speakers

    @property
    def speakers_hypothesis(self) -> int:
        """Hypothesis speakers with scored time."""
        return self.jer.hypothesis_speakers

    def to_row(self) -> dict[str, str | float]:
        """The numbers of a row of a table: seconds under "full", and all rates."""
        numbers = asdict(self.der[FULL.name])
        numbers |= {f"der_{name}": score.rate for name, score in self.der.items()}
        numbers |= {"jer": self.jer.rate}
        return {
            "recording": self.uri,
            **{name: round(number, 6) for name, number in numbers.items()},
            "speakers_reference": self.speakers_reference,
            "speakers_hypothesis": self.speakers_hypothesis,
        }

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and numbers; rates are fractions, times seconds."""
        return {
            "uri": self.uri,
            **_rates(self.der, self.jer),
            "speakers": {
                "reference": self.speakers_reference,
                "hypothesis": self.speakers_hypothesis,
            },
        }


@dataclass(frozen=True)
class ScoreReport:
    """Scores of several recordings, sorted by URI, and what was odd about them.

    reference_only: recordings without a hypothesis; they are scored as entirely missed, unless
        only common ones are scored.
    hypothesis_only: recordings without a reference; they are not scored.
    notes: sentences for the reader; also about the two lists above.
    """

    recordings: tuple[RecordingScore, ...]
    reference_only: tuple[str, ...] = ()
    hypothesis_only: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def der(self) -> dict[str, DiarizationScore]:
        """By protocol, the seconds of all recordings added: long recordings weigh more."""
        return {
            protocol.name: sum((r.der[protocol.name] for r in self.recordings), DiarizationScore())
            for protocol in PROTOCOLS
        }

    @property
    def jer(self) -> JaccardScore:
        """Over all recordings: every reference speaker weighs the same."""
        return sum((r.jer for r in self.recordings), JaccardScore())

    @property
    def speaker_count_error(self) -> float:
        """Mean absolute difference of the numbers of speakers; 0 without recordings."""
        errors = [abs(r.speakers_hypothesis - r.speakers_reference) for r in self.recordings]
        return sum(errors) / len(errors) if errors else 0.0

    @property
    def speaker_count_right(self) -> int:
        """Recordings with the right number of speakers."""
        return sum(r.speakers_hypothesis == r.speakers_reference for r in self.recordings)

    @property
    def missed_entirely(self) -> ScoreReport:
        """Those that were scored without a hypothesis."""
        lost = set(self.reference_only)
        return ScoreReport(tuple(r for r in self.recordings if r.uri in lost))

    def to_csv(self) -> str:
        """A row a recording; rates are fractions, times seconds, to six places."""
        text = io.StringIO()
        rows = [recording.to_row() for recording in self.recordings]
        writer = csv.DictWriter(text, rows[0] if rows else (), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and finite numbers; rates are fractions, times seconds."""
        return {
            "protocols": {p.name: _without_name(asdict(p)) for p in PROTOCOLS},
            "recordings": [recording.to_json() for recording in self.recordings],
            "total": {
                **_rates(self.der, self.jer),
                "recordings": len(self.recordings),
                "speaker_count_right": self.speaker_count_right,
                "speaker_count_error": self.speaker_count_error,
            },
            "reference_only": list(self.reference_only),
            "hypothesis_only": list(self.hypothesis_only),
            "notes": list(self.notes),
        }


def score_recording(
    uri: str,
    reference: Iterable[Turn],
    hypothesis: Iterable[Turn],
    *,
    uem: Iterable[tuple[float, float]] | None = None,
) -> RecordingScore:
    """Score one recording under every protocol of `PROTOCOLS`; `uem` as in `score_diarization`."""
    reference, hypothesis = list(reference), list(hypothesis)
    regions = None if uem is None else list(uem)
    der: dict[str, DiarizationScore] = {}
    jer = JaccardScore()
    for protocol in PROTOCOLS:
        swept = sweep(reference, hypothesis, uem=regions, protocol=protocol)
        pairs = pair_speakers(swept)
        der[protocol.name] = measure_der(swept, pairs)
        if protocol is FULL:
            jer = measure_jer(swept, pairs)
    return RecordingScore(uri, der, jer)


def _rates(der: Mapping[str, DiarizationScore], jer: JaccardScore) -> dict[str, Any]:
    return {
        "der": {name: {"rate": score.rate, **asdict(score)} for name, score in der.items()},
        "jer": jer.rate,
    }


def _without_name(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != "name"}
