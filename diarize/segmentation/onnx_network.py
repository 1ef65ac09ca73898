"""Segmentation networks that others trained, as ONNX files: a chunk of the wave in, classes out.

Beside `model.onnx` a `model.toml` says what its numbers mean (`ChunkModel`): an ONNX file does not
tell which moment a frame is about, nor whom a class stands for.

    chunk_samples = 160000
    centre_samples = 495.5
    hop_samples = 270
    classes = ["nobody", "0", "1", "2", "01", "02", "12"]
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoder.common.config import from_mapping, read_toml
from encoder.common.parallel import one_thread
from encoder.common.units import SAMPLE_RATE
from encoder.errors import CheckpointError, ConfigError
from encoder.inference.onnx_encoder import onnx_session

__all__ = ["CHUNK", "FRAME", "ChunkModel", "ChunkNetwork"]

CHUNK = 10 * SAMPLE_RATE  # samples: what such networks were trained on
FRAME = SAMPLE_RATE // 50  # samples: the frames that they are asked about
NOBODY = "nobody"


@dataclass(frozen=True)
class ChunkModel:
    """Input and output of an ONNX segmentation model; the keys of the TOML file beside it."""

    centre_samples: float = field(
        metadata={"help": "middle of its first frame, in samples from the start of the chunk"}
    )
    hop_samples: float = field(metadata={"help": "from frame to frame of its own, in samples"})
    classes: tuple[str, ...] = field(
        metadata={"help": "who speaks in each class: nobody, or the digits of local speakers"}
    )
    chunk_samples: int = field(default=CHUNK, metadata={"help": "length of a chunk; 160000 so far"})
    sample_rate: int = field(default=SAMPLE_RATE, metadata={"help": "Hz; 16000 so far"})
    source: str = field(default="", metadata={"help": "where it is from"})
    licence: str = field(default="", metadata={"help": "what may be done with it"})
    fingerprint: str = field(
        default="", metadata={"help": "of the .onnx file, if that is to be checked"}
    )

    def __post_init__(self) -> None:
        for name, only in (("chunk_samples", CHUNK), ("sample_rate", SAMPLE_RATE)):
            if getattr(self, name) != only:
                raise ConfigError(f"{name} is {getattr(self, name)}: choose a model of {only}")
        if self.hop_samples <= 0:
            raise ConfigError(f"hop_samples is {self.hop_samples}: give the model's own hop")
        people = [c for c in self.classes if c != NOBODY]
        digits = "".join(sorted(set("".join(people))))
        if (
            self.classes.count(NOBODY) != 1
            or len(set(map(frozenset, people))) != len(people)
            or not all(people)
            or not digits
            or not "0123456789".startswith(digits)
        ):
            raise ConfigError(
                f"classes are {', '.join(map(repr, self.classes))}: give {NOBODY!r} once and, for "
                "the others, the digits of who speaks, from 0 on"
            )

    @property
    def speakers(self) -> int:
        """S, local speakers."""
        return len(set("".join(self.classes)) - set(NOBODY))

    def nearest_frames(self, frames: int) -> NDArray[np.int64]:
        """(F,): which of the model's `frames` is nearest to the middle of each frame of 20 ms."""
        middles = np.arange(CHUNK // FRAME) * FRAME + FRAME / 2
        nearest = np.round((middles - self.centre_samples) / self.hop_samples).astype(np.int64)
        return np.clip(nearest, 0, frames - 1)

    def members(self) -> NDArray[np.float32]:
        """(Q, S + 1) of 0 and 1: who, and in the last column whether anyone, speaks in a class."""
        everyone = [*map(str, range(self.speakers))]
        who = [[c != NOBODY and s in c for s in everyone] for c in self.classes]
        return np.array([[*row, any(row)] for row in who], np.float32)


class ChunkNetwork:
    """An ONNX model of waves (B, 1, T) -> log-probabilities (B, frames, Q), T = `CHUNK`, any B.

    content: the bytes of the .onnx file; name: what errors call it. It computes in the calling
    thread alone, and may be called in several at once.

    CheckpointError if the model is damaged, is not the one described, or has other outputs than
    described (tried on silence); BackendUnavailable without onnxruntime.
    """

    def __init__(self, content: bytes, model: ChunkModel, *, name: str = "model") -> None:
        self.model, self.name = model, name
        self.fingerprint = hashlib.sha256(content).hexdigest()[:8]
        if model.fingerprint not in ("", self.fingerprint):
            raise CheckpointError(
                f"{name!r} is {self.fingerprint} and not {model.fingerprint}, which the .toml "
                "beside it describes: export or fetch both again"
            )
        with one_thread():  # whose number of threads it takes
            self._session = onnx_session(content, "cpu", name)
        self._members = model.members()
        frames = self._probabilities(np.zeros((1, CHUNK), np.float32)).shape[1]
        rest = CHUNK - 2 * model.centre_samples - (frames - 1) * model.hop_samples
        if abs(rest) > 2 * model.hop_samples:
            raise CheckpointError(
                f"{frames} frames of the model {name!r} do not fill a chunk as centre_samples "
                f"{model.centre_samples} and hop_samples {model.hop_samples} say: correct the "
                ".toml beside it"
            )
        self._nearest = model.nearest_frames(frames)

    @classmethod
    def from_file(cls, path: Path) -> ChunkNetwork:
        """Load `model.onnx` with its `model.toml`; ConfigError if that cannot be used."""
        beside = path.with_suffix(".toml")
        if not beside.is_file():
            raise ConfigError(
                f"nothing says what the classes of {str(path)!r} mean: write {str(beside)!r}, or "
                "export both with `python -m recipes.prepare.pyannote` of the source repository"
            )
        try:
            model = from_mapping(ChunkModel, read_toml(beside))
        except ConfigError as error:
            raise ConfigError(f"{error} (in {str(beside)!r})") from error
        try:
            return cls(path.read_bytes(), model, name=str(path))
        except OSError as error:
            raise CheckpointError(
                f"cannot read the model {str(path)!r} ({error.strerror}): check the file"
            ) from error

    def activity(self, waves: NDArray[np.float32]) -> NDArray[np.float32]:
        """(C, T), T = `CHUNK` -> (C, F, S + 1): the probability that each of S local speakers,
        and that anyone, speaks in each of F frames of 20 ms."""
        return (self._probabilities(waves) @ self._members)[:, self._nearest]

    def _probabilities(self, waves: NDArray[np.float32]) -> NDArray[np.float32]:
        """(C, T) -> (C, frames, Q)."""
        try:
            said = self._session.run(None, {self._session.get_inputs()[0].name: waves[:, None]})[0]
        except Exception as error:  # onnxruntime's errors have no base of their own
            raise CheckpointError(
                f"the model {self.name!r} does not take waves of shape {waves[:, None].shape}: "
                f"choose a model of chunks ({' '.join(str(error).split())[:200]})"
            ) from error
        p = np.exp(np.asarray(said, np.float32))
        Q = len(self.model.classes)
        if p.ndim != 3 or p.shape[::2] != (len(waves), Q):
            raise CheckpointError(
                f"the model {self.name!r} gives {p.shape} for {len(waves)} chunks and not {Q} "
                "classes a frame: correct the .toml beside it"
            )
        if not np.abs(p.sum(axis=2) - 1).max(initial=0) < 0.01:
            raise CheckpointError(
                f"what the model {self.name!r} gives are no log-probabilities: choose another"
            )
        return p
