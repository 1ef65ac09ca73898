"""What a diarization gives back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diarize.core.labels import speaker_name
from diarize.core.output import write_atomic
from diarize.core.regions import merge_regions
from diarize.core.speaker_count import SpeakerCount
from diarize.core.turns import UNKNOWN, Turn, speaking_time, to_annotation
from diarize.embedding.windows import Windows
from diarize.formats.json_text import format_json
from diarize.formats.rttm import format_rttm
from diarize.formats.text_lines import to_ms
from diarize.gallery.identification import Naming
from diarize.pipeline.config import DiarizeConfig
from diarize.postprocessing.confidence import leave_doubtful, turn_confidence
from diarize.postprocessing.turns import (
    assemble,
    assemble_regions,
    speaker_names,
    turn_numbers,
    turn_numbers_of_regions,
)
from encoder.calibration.score_calibration import Calibration
from encoder.common.config import to_mapping
from encoder.common.version import package_version

if TYPE_CHECKING:
    from pyannote.core import Annotation

__all__ = ["DiarizationResult"]


@dataclass(frozen=True, eq=False)
class DiarizationResult:
    """What was found in a recording: `turns`, and what they are made of.

    Args:
        uri: name of the recording.
        duration_s: seconds of the recording.
        embeddings: (N, D) unit vectors of the N windows.
        windows: N windows.
        labels: (N,) speakers 0..K-1 of the windows; -1 is none.
        config: the settings of the `Diarizer`.
        fingerprint: that of the embedder.
        segmenter_fingerprint: that of the segmenter's weights; None if it has none.
        seconds_by_stage: wall seconds of each stage.
        calibration: the embedder's; None if there is none.
        names: what the speakers 0..K-1 are called; SPEAKER_00, SPEAKER_01, ... if None.
        naming: how the speakers got names of a gallery; None if none was asked for.
        speaker_regions: for each label the regions (n, 2) in samples in which that speaker speaks,
            which may overlap; None where only the territories of windows are known.
        count: bounds on the number of speakers that the caller gave.
        channel: the channel that the caller chose; None is the mean of all.
        track: the audio track that the caller chose, "mix" or "each"; None is the best one.
        warnings: a sentence for everything odd.
    """

    uri: str
    duration_s: float
    embeddings: NDArray[np.float32]
    windows: Windows
    labels: NDArray[np.int64]
    config: DiarizeConfig
    fingerprint: str
    seconds_by_stage: dict[str, float]
    calibration: Calibration | None = None
    names: Sequence[str] | None = None
    naming: Naming | None = None
    speaker_regions: Sequence[NDArray[np.int64]] | None = None
    count: SpeakerCount = field(default_factory=SpeakerCount)
    channel: int | None = None
    track: int | str | None = None
    segmenter_fingerprint: str | None = None
    warnings: list[str] = field(default_factory=list)

    @cached_property
    def turns(self) -> list[Turn]:
        """Turns in time order; the doubtful ones are of UNKNOWN where `min_confidence` says so."""
        return leave_doubtful(self._turns, self.confidence, self.config.min_confidence)

    @cached_property
    def _turns(self) -> list[Turn]:
        if self.speaker_regions is None:
            turns = assemble(self.windows, self.labels, names=self.names)
        else:
            names = speaker_names(self.labels) if self.names is None else self.names
            turns = assemble_regions(self.speaker_regions, names=names)
        # Every format has milliseconds: rounded up, the last turn would end after the sound.
        end_s = math.floor(self.duration_s * 1000) / 1000
        return [turn._replace(end_s=min(turn.end_s, end_s)) for turn in turns]

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """P(right speaker) of each turn, (len(turns),); NaN without a calibration for turns."""
        return turn_confidence(
            self.windows,
            self.embeddings,
            self.labels,
            self.window_turns,
            self.calibration,
            lengths_s=np.array([turn.end_s - turn.start_s for turn in self._turns]),
        )

    @cached_property
    def window_turns(self) -> NDArray[np.int64]:
        """The number of the turn that each window (N,) is in; -1 for windows in none."""
        if self.speaker_regions is None:
            return turn_numbers(self.windows, self.labels)
        return turn_numbers_of_regions(self.windows, self.labels, self.speaker_regions)

    @cached_property
    def annotation(self) -> Annotation:
        """The turns as pyannote's Annotation, which notebooks draw as a timeline."""
        return to_annotation(self.turns, self.uri)

    @property
    def speakers(self) -> dict[str, float]:
        """Seconds of speech by speaker, in order of first appearance; UNKNOWN is none."""
        return speaking_time(turn for turn in self.turns if turn.speaker != UNKNOWN)

    def named(self, naming: Naming) -> DiarizationResult:
        """The result with the names of enrolled speakers.

        Labels of one name become one speaker; the unnamed keep their SPEAKER_NN.

        Args:
            naming: a name, or None, for each label 0..K-1, as `diarize.gallery.name_speakers` has.

        Returns:
            A new result; this one stays as it is.
        """
        own = speaker_names(self.labels)
        by_label = [name or own[label] for label, name in enumerate(naming.names)]
        names = list(dict.fromkeys(by_label))
        joined = np.array([*(names.index(name) for name in by_label), -1], np.int64)
        regions = self.speaker_regions
        if regions is not None:
            regions = [
                merge_regions(
                    np.concatenate(
                        [own for own, to in zip(regions, joined, strict=False) if to == number]
                    )
                )
                for number in range(len(names))
            ]
        return replace(
            self,
            labels=joined[self.labels],
            names=names,
            naming=naming,
            speaker_regions=regions,
        )

    def to_rttm(self) -> str:
        """The turns as RTTM text; FormatError as `write_rttm`."""
        return format_rttm({self.uri: self.turns})

    def to_json(self) -> str:
        """Everything but the vectors as JSON text."""
        return format_json(self.to_mapping())

    def write_rttm(self, path: str | Path) -> None:
        """Write the turns as RTTM, the complete file or none.

        Args:
            path: a file, whose folder exists; "-" is standard output.

        Raises:
            FormatError: two speakers have one name once whitespace is written as "_".
            StoreError: the file cannot be written.
        """
        write_atomic(path, self.to_rttm())

    def write_json(self, path: str | Path) -> None:
        """Write everything but the vectors as JSON, the complete file or none.

        Args:
            path: a file, whose folder exists; "-" is standard output.

        Raises:
            StoreError: the file cannot be written.
        """
        write_atomic(path, self.to_json())

    def to_mapping(self) -> dict[str, Any]:
        """Turns, speakers and provenance as plain values, times in seconds.

        A speaker's `share` is of all speech, with that of UNKNOWN (`unknown_s`).
        """
        seconds = self.speakers
        total = sum(speaking_time(self.turns).values())
        return {
            "uri": self.uri,
            "duration_s": round(self.duration_s, 3),
            "speakers": [
                {"speaker": name, "speech_s": round(s, 3), "share": round(s / total, 4)}
                for name, s in seconds.items()
            ],
            **({} if self.naming is None else {"voices": _voices(self.naming)}),
            "unknown_s": round(speaking_time(self.turns).get(UNKNOWN, 0.0), 3),
            "turns": [
                {
                    "start_s": to_ms(t.start_s) / 1000,  # as RTTM rounds them
                    "end_s": to_ms(t.end_s) / 1000,
                    "speaker": None if t.speaker == UNKNOWN else t.speaker,
                    "confidence": None if np.isnan(sure) else round(float(sure), 3),
                }
                for t, sure in zip(self.turns, self.confidence, strict=True)
            ],
            "warnings": self.warnings,
            "asked": {**self.count.to_mapping(), "channel": self.channel, "track": self.track},
            "encoder_fingerprint": self.fingerprint,
            "segmenter_fingerprint": self.segmenter_fingerprint,
            "version": package_version(),
            "config": to_mapping(self.config),
        }


def _voices(naming: Naming) -> list[dict[str, Any]]:
    """A row for every label of the clusterer: its name, or the nearest one and why not that."""
    rows = []
    for label, name in enumerate(naming.names):
        match = naming.matches[label]
        row: dict[str, Any] = {"voice": speaker_name(label), "name": name}
        if match is not None:
            row |= {
                "nearest": match.name,
                "similarity": round(match.similarity, 4),
                "probability": None if match.probability is None else round(match.probability, 4),
                "lead": None if match.lead is None else round(match.lead, 4),
                "runner_up": match.runner_up,
            }
        if name is None:
            row["unnamed_because"] = naming.reasons[label]
        rows.append(row)
    return rows
