"""Who speaks within each ten seconds, from a public network: pyannote's segmentation-3.0.

`python -m recipes.prepare.pyannote` puts it into the user's cache (MIT, CNRS; Plaquet and Bredin
2023, arXiv 2310.13025; Bredin 2023, pyannote.audio 2.1). Any other ONNX model of that kind serves
too: see `onnx_network`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from diarize.segmentation.base import Segmentation, Segmenter
from diarize.segmentation.chunk_inference import ChunkedConfig, segment_chunks
from diarize.segmentation.chunk_stream import Chunk, stream_waves
from diarize.segmentation.onnx_network import CHUNK, FRAME, ChunkNetwork
from encoder.common.units import seconds_to_samples
from encoder.errors import CheckpointError
from encoder.hub.paths import find_onnx

__all__ = ["PyannoteConfig", "PyannoteSegmenter"]

DEFAULT = "pyannote"
AT_ONCE = 4  # chunks; more are not faster, and take 25 MB each


@dataclass(frozen=True)
class PyannoteConfig(ChunkedConfig):
    """Settings of `PyannoteSegmenter`; the thresholds are on the probability that anyone speaks."""

    model: str = field(
        default=DEFAULT, metadata={"help": "name of an ONNX model in the user's cache, or a path"}
    )


class PyannoteSegmenter(Segmenter):
    """Chunks of 10 s through the network, in batches, while the wave goes by.

    A wave shorter than that is filled up with silence, which has no frames in the result.
    CheckpointError without the model, BackendUnavailable without onnxruntime.
    """

    Config = PyannoteConfig

    def __init__(self, config: PyannoteConfig | None = None) -> None:
        self.config = config or PyannoteConfig()
        self.network = ChunkNetwork.from_file(_find(self.config.model))
        self.fingerprint = self.network.fingerprint
        self.frame_hop = FRAME

    def segment(self, blocks: Iterable[Tensor]) -> Segmentation:
        """Regions and local speakers of the wave made up by `blocks`; see `Segmenter.segment`."""
        return segment_chunks(
            blocks,
            self._chunks,
            self._activity,
            speakers=self.network.model.speakers,
            at_once=AT_ONCE,
            hop=FRAME,
            hysteresis=self.config.hysteresis,
        )

    def _chunks(self, blocks: Iterable[Tensor]) -> Iterator[Chunk]:
        return stream_waves(
            blocks, size=CHUNK, step=seconds_to_samples(self.config.step_s), hop=FRAME
        )

    def _activity(self, waves: Sequence[Tensor]) -> NDArray[np.float16]:
        """(C, F, S + 1): the probability that each one, and that anyone, speaks."""
        chunks = np.zeros((len(waves), CHUNK), np.float32)
        for chunk, wave in zip(chunks, waves, strict=True):
            chunk[: len(wave)] = wave.numpy()
        return self.network.activity(chunks)[:, : len(waves[0]) // FRAME].astype(np.float16)


def _find(model: str) -> Path:
    try:
        return find_onnx(model)
    except CheckpointError as error:
        if model != DEFAULT:
            raise
        raise CheckpointError(
            f"there is no segmentation model {model!r}: fetch it with `python -m "
            "recipes.prepare.pyannote` of the source repository, or give the path of one as "
            "segmentation.pyannote.model"
        ) from error
