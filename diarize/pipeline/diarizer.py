"""The main path: wave -> regions -> windows -> embeddings -> labels -> turns.

Where the segmenter tells speakers apart, the labels say which speaker of the recording each local
speaker of a chunk is, so that turns begin and end where the segmenter has them and may overlap. No
stage knows its neighbours, only the arrays between them. The wave goes by in blocks, so memory
grows with the windows (about 1 KB each) and not with the samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diarize.audio.recording import Recording, Sound, open_recording
from diarize.clustering import CLUSTERERS
from diarize.clustering.base import Clusterer
from diarize.core.speaker_count import SpeakerCount
from diarize.embedding.embedders import load_embedder
from diarize.embedding.extraction import embed_recording
from diarize.embedding.speaker_windows import cut_speaker_windows
from diarize.embedding.windows import Windows, cut_windows
from diarize.models.presets import check_fetched
from diarize.pipeline.config import DiarizeConfig, load_config
from diarize.pipeline.labelling import label_windows
from diarize.pipeline.result import DiarizationResult
from diarize.pipeline.stage_clock import StageClock
from diarize.pipeline.tracks import diarize_each_track
from diarize.postprocessing.aggregation import aggregate
from diarize.postprocessing.confidence import TurnCalibration
from diarize.postprocessing.count_fitting import fit_count
from diarize.postprocessing.speaker_mapping import map_local_speakers, window_posteriors
from diarize.postprocessing.turns import turn_regions
from diarize.segmentation import SEGMENTERS
from diarize.segmentation.base import ChunkActivity, Segmentation, Segmenter
from encoder.audio.load import (
    Track,
    probe_duration,
    samples_to_seconds,
    seconds_to_samples,
)
from encoder.calibration.plda import Plda, find_plda
from encoder.calibration.score_calibration import Calibration, find_calibration
from encoder.errors import ConfigError
from encoder.inference.window_embedder import WindowEmbedder, as_window_embedder

__all__ = ["Diarizer", "OnStage", "Prepared"]

# on_stage(stage, done, total): called when "read", "segment", "embed" and "cluster" begin, and as
# they go on; total is None where it is not known.
OnStage = Callable[[str, float, float | None], None]


@dataclass(frozen=True, eq=False)
class Prepared:
    """What deciding who spoke when needs to know of a recording of `length` samples.

    embeddings (N, D) unit vectors of the N windows, from the embedder of that fingerprint.
    """

    uri: str
    length: int
    channel: int | None
    track: Track
    segmentation: Segmentation
    windows: Windows
    embeddings: NDArray[np.float32]
    fingerprint: str
    seconds_by_stage: dict[str, float]
    warnings: tuple[str, ...]


class Diarizer:
    """Finds who spoke when; call it with one recording after another.

    Args:
        config: settings; those of the stages that are given here are not read again.
        segmenter: finds the regions with speech.
        embedder: embeds windows.
        clusterer: groups windows by speaker.
        calibration: the embedder's, for the confidence of turns and the names of a gallery.
        plda: the model of the embedder's vectors. With it, and with a segmenter that tells speakers
            apart, windows are of one speaker each and resegmentation is that of VBx.

    Raises:
        ConfigError: `min_confidence` without a calibration of turns, or windows that are too short
            for the embedder.
    """

    def __init__(
        self,
        config: DiarizeConfig,
        segmenter: Segmenter,
        embedder: WindowEmbedder,
        clusterer: Clusterer,
        calibration: Calibration | None = None,
        plda: Plda | None = None,
    ) -> None:
        self.config = config
        self.segmenter = segmenter
        self.embedder = as_window_embedder(embedder)
        self.clusterer = clusterer
        self.calibration = calibration
        self.plda = plda
        if TurnCalibration.of(calibration) is None and config.min_confidence > 0:
            raise ConfigError(
                f"min_confidence is {config.min_confidence}, but the embedder "
                f"{self.embedder.fingerprint} has no calibration of turns: fit one with "
                "`python -m recipes.calibrate.turns` of the source repository, or leave "
                "min_confidence out",
                setting="min_confidence",
            )
        if seconds_to_samples(config.window.min_window_s) < self.embedder.minimum_samples:
            raise ConfigError(
                f"window.min_window_s is {config.window.min_window_s}: this embedder needs "
                f"{samples_to_seconds(self.embedder.minimum_samples)} s or more"
            )

    @classmethod
    def from_config(
        cls, config: DiarizeConfig | str | Path | None = None, *, preset: str | None = None
    ) -> Diarizer:
        """Build every stage that the settings name.

        Args:
            config: settings, the path of a TOML file, or None for the defaults.
            preset: what the settings of a file, or the defaults, begin with: fast, best, or default
                for the user's own; None is the file's, or fast.

        Returns:
            The diarizer, with the calibration of its embedder and the model of its vectors where
            there are any.

        Raises:
            ConfigError: a name or a value that cannot be used.
            CheckpointError: weights that are missing or damaged, or models of the preset that were
                not fetched.
            BackendUnavailable: a backend whose package is not installed.
        """
        if not isinstance(config, DiarizeConfig):
            config = load_config(config, preset=preset)
        elif preset is not None:
            raise ConfigError(
                f"the preset {preset!r} comes too late for settings that are complete: give it to "
                "load_config, or leave it out"
            )
        check_fetched(config.preset, vars(config))
        segmenter = SEGMENTERS.build(config.segmenter, config.segmentation, where="segmentation")
        clusterer = CLUSTERERS.build(config.clusterer, config.clustering, where="clustering")
        embedder = load_embedder(config.embedder, device=config.device)
        name = embedder.fingerprint
        calibration = find_calibration(name, config.embedder)
        return cls(config, segmenter, embedder, clusterer, calibration, find_plda(name))

    def with_settings(self, config: DiarizeConfig) -> Diarizer:
        """A diarizer of the same models, for `decide` with other settings.

        Args:
            config: its clusterer is built; its segmenter and embedder are not looked at.

        Returns:
            A new diarizer; this one stays as it is.

        Raises:
            ConfigError: a value that cannot be used.
            BackendUnavailable: a clusterer whose package is not installed.
        """
        clusterer = CLUSTERERS.build(config.clusterer, config.clustering, where="clustering")
        return type(self)(
            config, self.segmenter, self.embedder, clusterer, self.calibration, self.plda
        )

    def __call__(
        self,
        audio: Sound,
        *,
        speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
        count: SpeakerCount | None = None,
        channel: int | None = None,
        track: Track | Literal["each"] = None,
        uri: str | None = None,
        on_stage: OnStage | None = None,
    ) -> DiarizationResult:
        """Diarize a recording. No speech gives no turns.

        Args:
            audio: a media file, "-" for standard input, a wave (T,) at 16 kHz (a tensor or a numpy
                array of floats), or a `Recording`.
            speakers: the number of speakers, where it is known.
            min_speakers: the least number of speakers.
            max_speakers: the largest number of speakers.
            count: the same three as one value, in their place.
            channel: read this channel, counted from 0, instead of the mean of all.
            track: read this audio track, counted from 0; "mix" is the mean of all, and "each" takes
                one after the other, with speakers of its own, for which the bounds on their number
                hold. By default the best that is not silent throughout.
            uri: name of the recording in results; the file's name without suffix if None.
            on_stage: called as stages begin and go on, see `OnStage`.

        Returns:
            Turns in seconds, and the embeddings, windows and labels that they are made of.

        Raises:
            AudioError: the sound cannot be read.
            BackendUnavailable: so many windows need a package that is not installed.
            ConfigError: bounds that contradict each other, or a negative `channel`.
            ValueError: a wave is not of shape (T,).
        """
        bounds = SpeakerCount.of(speakers, min_speakers, max_speakers)  # before the sound is read
        if count is not None and bounds != SpeakerCount():
            raise ConfigError("count is given: leave out speakers, min_speakers and max_speakers")
        bounds = count or bounds
        if track == "each":
            return diarize_each_track(
                self, audio, bounds, channel=channel, uri=uri or _uri(audio), on_stage=on_stage
            )
        prepared = self.prepare(audio, channel=channel, track=track, uri=uri, on_stage=on_stage)
        return self.decide(prepared, bounds, on_stage=on_stage)

    def prepare(
        self,
        audio: Sound,
        *,
        channel: int | None = None,
        track: Track = None,
        uri: str | None = None,
        on_stage: OnStage | None = None,
    ) -> Prepared:
        """The first half of a call: everything that needs the sound.

        Args:
            audio: as in a call.
            channel: as in a call.
            track: as in a call, but for "each".
            uri: as in a call.
            on_stage: as in a call.

        Returns:
            The speech, and the N windows with their embeddings (N, D), for `decide`.

        Raises:
            AudioError, ConfigError, ValueError: as in a call.
        """
        report = on_stage or _unreported
        clock = StageClock()
        warnings: list[str] = []
        clock.start("read")
        claimed_s = probe_duration(audio) if isinstance(audio, (str, Path)) else None
        report("read", 0, claimed_s)
        with open_recording(
            audio,
            channel=channel,
            track=track,
            on_warning=warnings.append,
            on_progress=lambda read_s: report("read", read_s, claimed_s),
        ) as recording:
            clock.start("segment")
            segmentation, windows = self._speech(recording, report, warnings.append)
            clock.start("embed")
            embeddings = self._embedded(recording, windows, report)
        clock.stop()
        return Prepared(
            uri=uri or _uri(audio),
            length=recording.length,
            channel=channel,
            track=track,
            segmentation=segmentation,
            windows=windows,
            embeddings=embeddings,
            fingerprint=self.embedder.fingerprint,
            seconds_by_stage=clock.seconds,
            warnings=tuple(warnings),
        )

    def decide(
        self,
        prepared: Prepared,
        count: SpeakerCount | None = None,
        *,
        on_stage: OnStage | None = None,
    ) -> DiarizationResult:
        """The second half of a call: who spoke when.

        Args:
            prepared: the first half; it stays as it is and serves other settings as well.
            count: bounds on the number of speakers; none if None.
            on_stage: called when clustering begins, see `OnStage`.

        Returns:
            Turns in seconds, and the embeddings, windows and labels that they are made of.

        Raises:
            BackendUnavailable: so many windows need a package that is not installed.
            ValueError: `prepared` was made with another embedder.
        """
        if prepared.fingerprint != self.embedder.fingerprint:
            other, own = prepared.fingerprint, self.embedder.fingerprint
            raise ValueError(f"prepared with the embedder {other}, not with {own}")
        count = count or SpeakerCount()
        windows, embeddings = prepared.windows, prepared.embeddings
        warnings = [*prepared.warnings]
        clock = StageClock()
        clock.start("cluster")
        (on_stage or _unreported)("cluster", 0, None)
        labels = label_windows(embeddings, windows, self.clusterer, self.config, plda=self.plda)
        labels = fit_count(embeddings, windows, labels, count, self.config.window)
        regions = None
        if prepared.segmentation.chunks is not None:
            labels, regions = self._aggregated(prepared, prepared.segmentation.chunks, labels)
        clock.stop()
        if 0 < (found := int(labels.max(initial=-1)) + 1) < count.minimum:
            warnings.append(
                f"{count.minimum} speakers were asked for, but {found} is all that "
                f"{len(windows)} windows of speech can hold"
            )
        return DiarizationResult(
            uri=prepared.uri,
            duration_s=samples_to_seconds(prepared.length),
            embeddings=embeddings,
            windows=windows,
            labels=labels,
            speaker_regions=regions,
            calibration=self.calibration,
            config=self.config,
            fingerprint=prepared.fingerprint,
            seconds_by_stage={**prepared.seconds_by_stage, **clock.seconds},
            count=count,
            channel=prepared.channel,
            track=prepared.track,
            segmenter_fingerprint=getattr(self.segmenter, "fingerprint", None),
            warnings=warnings,
        )

    def _aggregated(
        self, prepared: Prepared, chunks: ChunkActivity, labels: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
        """Labels (N,) -> the same numbered anew, and the regions (n, 2) of each speaker."""
        windows, embeddings = prepared.windows, prepared.embeddings
        config, length = self.config.aggregation, prepared.length
        speakers = map_local_speakers(chunks, windows, embeddings, labels)
        posteriors = window_posteriors(
            windows, embeddings, labels, softmax_scale=config.softmax_scale
        )
        active = aggregate(
            prepared.segmentation, speakers, length=length, posteriors=posteriors, config=config
        )
        return turn_regions(
            active, windows, labels, hop=chunks.frame_hop, length=length, config=config
        )

    def _speech(
        self, recording: Recording, report: OnStage, warn: Callable[[str], None]
    ) -> tuple[Segmentation, Windows]:
        length, length_s = recording.length, samples_to_seconds(recording.length)
        report("segment", 0, length_s)
        segmentation = self.segmenter.segment(
            recording.blocks(lambda done: report("segment", samples_to_seconds(done), length_s))
        )
        regions = segmentation.regions
        if len(regions) and length < self.embedder.minimum_samples:
            warn(f"{length_s:.3f} s are too short to tell who speaks")
            regions = regions[:0]
        # Without a model of the vectors, four overlapping windows tell more than one.
        if segmentation.chunks is not None and self.plda is not None and len(regions):
            windows = cut_speaker_windows(segmentation, length=length, config=self.config.window)
            return segmentation, windows
        return segmentation, cut_windows(regions, length=length, config=self.config.window)

    def _embedded(
        self, recording: Recording, windows: Windows, report: OnStage
    ) -> NDArray[np.float32]:
        report("embed", 0, len(windows))
        return embed_recording(
            recording.blocks(),
            windows,
            self.embedder,
            on_done=lambda done, total: report("embed", done, total),
        )


def _unreported(stage: str, done: float, total: float | None) -> None:
    """Where no caller asks for progress."""


def _uri(audio: Sound) -> str:
    if not isinstance(audio, (str, Path)):
        return "wave"
    return "stdin" if str(audio) == "-" else Path(audio).stem
