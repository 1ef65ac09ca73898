"""The main path: sound -> regions -> windows -> vectors -> labels -> turns.

Nothing goes back, and no stage knows its neighbours, only the arrays between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from diarize.clustering import CLUSTERERS
from diarize.clustering.door import Clusterer, SpeakerCount, cluster
from diarize.config import DiarizeConfig, build_backend, load_config
from diarize.embedding import Embedder, load_embedder
from diarize.loudness import level_out
from diarize.result import DiarizationResult
from diarize.segmentation import SEGMENTERS, Segmenter
from diarize.windows import cut_windows
from encoder.audio import (
    load_audio,
    probe_duration,
    samples_to_seconds,
    seconds_to_samples,
)
from encoder.calibration import Calibration, find_calibration
from encoder.errors import ConfigError

__all__ = ["STAGES", "Diarizer", "OnStage"]

STAGES = ("read", "segment", "embed", "cluster")

# on_stage(stage, done, total): called as work goes on; total is None where it is not known.
OnStage = Callable[[str, float, float | None], None]


class Diarizer:
    """Ready-made stages; call it with one recording after another."""

    def __init__(
        self,
        config: DiarizeConfig,
        segmenter: Segmenter,
        embedder: Embedder,
        clusterer: Clusterer,
        calibration: Calibration | None = None,
    ) -> None:
        self.config = config
        self.segmenter = segmenter
        self.embedder = embedder
        self.clusterer = clusterer
        self.calibration = calibration
        if config.min_confidence > 0 and (calibration is None or calibration.turns is None):
            raise ConfigError(
                f"min_confidence is {config.min_confidence}, but nobody has measured how sure the "
                f"embedder {config.embedder!r} is: run `make calibrate` and `make calibrate-turns` "
                "for it, or leave min_confidence out"
            )
        if seconds_to_samples(config.window.min_window_s) < embedder.minimum_samples:
            raise ConfigError(
                f"window.min_window_s is {config.window.min_window_s}: this embedder needs "
                f"{samples_to_seconds(embedder.minimum_samples)} s or more"
            )

    @classmethod
    def from_config(cls, config: DiarizeConfig | str | Path | None = None) -> Diarizer:
        """From a config, the path of a TOML file, or nothing for the defaults."""
        if not isinstance(config, DiarizeConfig):
            config = load_config(config)
        segmenter = build_backend(
            SEGMENTERS, config.segmenter, config.segmentation, where="segmentation"
        )
        clusterer = build_backend(
            CLUSTERERS, config.clusterer, config.clustering, where="clustering"
        )
        embedder = load_embedder(config.embedder, device=config.device)
        calibration = find_calibration(embedder.fingerprint)
        return cls(config, segmenter, embedder, clusterer, calibration)

    def __call__(
        self,
        audio: str | Path | Tensor,
        *,
        speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
        channel: int | None = None,
        uri: str | None = None,
        on_stage: OnStage | None = None,
    ) -> DiarizationResult:
        """Diarize a media file, "-" for standard input, or a wave (T,) at 16 kHz.

        The counts bound the number of speakers. No speech gives no turns. Raises AudioError for
        sound that cannot be read and ConfigError for counts that contradict each other.
        """
        count = SpeakerCount.of(speakers, min_speakers, max_speakers)
        report = on_stage or (lambda stage, done, total: None)
        clock = _Clock()
        warnings: list[str] = []
        with clock("read"):
            wave = level_out(_read(audio, channel, warnings.append, report))
        with clock("segment"):
            report("segment", 0, None)
            regions = self.segmenter(wave).regions
            if len(regions) and len(wave) < self.embedder.minimum_samples:
                warnings.append(f"{samples_to_seconds(len(wave)):.3f} s are too short to tell who")
                regions = regions[:0]
            windows = cut_windows(regions, length=len(wave), config=self.config.window)
        with clock("embed"):
            embeddings = self.embedder.embed_windows(
                wave, windows.bounds, on_done=lambda done, total: report("embed", done, total)
            )
        with clock("cluster"):
            report("cluster", 0, None)
            labels = cluster(
                embeddings,
                self.clusterer,
                count,
                decides=windows.lengths_s >= self.config.window.deciding_s,
            )
        if 0 < (found := int(labels.max(initial=-1)) + 1) < count.minimum:
            warnings.append(
                f"{count.minimum} speakers were asked for, but {found} is all that "
                f"{len(windows)} windows of speech can hold"
            )
        return DiarizationResult(
            uri=uri or _uri(audio),
            duration_s=samples_to_seconds(len(wave)),
            embeddings=embeddings,
            windows=windows,
            labels=labels,
            calibration=self.calibration,
            config=self.config,
            fingerprint=self.embedder.fingerprint,
            seconds_by_stage=clock.seconds,
            asked={
                "speakers": speakers,
                "min_speakers": min_speakers,
                "max_speakers": max_speakers,
                "channel": channel,
            },
            warnings=warnings,
        )


class _Clock:
    """Wall seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - begin


def _read(
    audio: str | Path | Tensor,
    channel: int | None,
    warn: Callable[[str], None],
    report: OnStage,
) -> Tensor:
    if isinstance(audio, Tensor):
        return audio
    total = probe_duration(audio)
    report("read", 0, total)
    return load_audio(
        audio,
        channel=channel,
        on_warning=warn,
        on_progress=lambda read_s: report("read", read_s, total),
    )


def _uri(audio: str | Path | Tensor) -> str:
    if isinstance(audio, Tensor):
        return "wave"
    return "stdin" if str(audio) == "-" else Path(audio).stem
