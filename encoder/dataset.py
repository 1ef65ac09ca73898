"""Features of a whole corpus in one memory-mapped file, and crops drawn from it.

Decoding and filterbanks run once; training then reads float16 log-mel frames (not normalised, so
that augmentation can work on power) at memory speed.

A bank is a folder: `features.f16` (total frames, M) and `index.json` with one row an utterance.
Speed-changed copies (Ko et al. 2015) shift pitch and formants, so each counts as a new speaker.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from encoder.errors import CorpusError, ToolkitError
from encoder.features import FeatureConfig, LogMel
from encoder.manifest import Utterance

__all__ = ["FeatureBank", "Item", "bank_of", "build_bank"]


class Item(NamedTuple):
    """One utterance of a bank at one speed."""

    start: int
    frames: int
    speaker: str
    dataset: str
    take: str
    speed: float
    name: str = ""


@dataclass(frozen=True)
class FeatureBank:
    """Memory-mapped features (total frames, M) and the items cut from them."""

    features: np.ndarray
    items: list[Item]

    @classmethod
    def open(cls, folder: str | Path) -> FeatureBank:
        """Open a finished bank; CorpusError if it is absent, half-built or of other features."""
        folder = Path(folder)
        try:
            index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            config = index["config"]
            items = [Item(*row) for row in index["items"]]
            features = np.memmap(
                folder / "features.f16", dtype=np.float16, mode="r", shape=tuple(index["shape"])
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorpusError(
                f"there is no finished feature bank in {str(folder)!r}: build it again"
            ) from error
        if config != asdict(FeatureConfig()):
            raise CorpusError(
                f"the feature bank {str(folder)!r} holds features of other settings ({config}): "
                "build it again"
            )
        return cls(features, items)

    def frames(self, item: Item, offset: int = 0, count: int | None = None) -> Tensor:
        """(count, M) float32 log-mel of an item from frame `offset`, repeated if it is shorter."""
        rows = self.features[item.start : item.start + item.frames]
        if count is not None:
            if item.frames < count:
                rows = np.tile(rows, (-(-count // item.frames), 1))
                offset = 0
            rows = rows[offset : offset + count]
        return torch.from_numpy(rows.astype(np.float32))


def bank_of(
    utterances: Sequence[Utterance],
    cache: str | Path,
    name: str,
    *,
    speeds: Sequence[float] = (1.0,),
    on_done: Callable[[int, int], None] | None = None,
    on_left_out: Callable[[str], None] | None = None,
) -> FeatureBank:
    """The bank of these utterances at these speeds, built in `cache/name-KEY` if it is not there.

    KEY is a hash of the list, so another corpus or another split never finds an old bank.
    """
    rows = [(str(u.path), u.speaker, u.seconds) for u in utterances]
    key = hashlib.sha256(repr((rows, tuple(speeds))).encode()).hexdigest()[:8]
    folder = Path(cache) / f"{name}-{key}"
    if not (folder / "index.json").exists():
        for sentence in build_bank(utterances, folder, speeds=speeds, on_done=on_done):
            if on_left_out:
                on_left_out(sentence)
    return FeatureBank.open(folder)


def build_bank(
    utterances: Sequence[Utterance],
    folder: str | Path,
    *,
    speeds: Sequence[float] = (1.0,),
    minimum_s: float = 0.5,
    workers: int = 2,
    on_done: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Decode `utterances` into a bank; returns a sentence for each one left out, and why.

    The index is written last, so a bank with an index is whole.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.json").unlink(missing_ok=True)
    items: list[Item] = []
    left_out: list[str] = []
    written = 0
    config = FeatureConfig()
    jobs = [(u.path, tuple(speeds), minimum_s) for u in utterances]
    with (folder / "features.f16").open("wb") as out, _pool(workers) as pool:
        for done, (utterance, result) in enumerate(
            zip(utterances, pool.imap(_features_of, jobs, chunksize=8), strict=True), start=1
        ):
            if isinstance(result, str):
                left_out.append(result)
            else:
                u = utterance
                for speed, features in zip(speeds, result, strict=True):
                    out.write(features.tobytes())
                    speaker = u.speaker if speed == 1.0 else f"{u.speaker}@{speed}"
                    items.append(
                        Item(written, len(features), speaker, u.dataset, u.take, speed, u.name)
                    )
                    written += len(features)
            if on_done:
                on_done(done, len(utterances))
    if not items:
        raise CorpusError(f"none of the {len(utterances)} utterances could be used: {left_out[:1]}")
    index = {"shape": [written, config.n_mels], "config": asdict(config), "items": items}
    partial = folder / "index.partial"
    partial.write_text(json.dumps(index), encoding="utf-8")
    partial.replace(folder / "index.json")
    return left_out


def _pool(workers: int) -> multiprocessing.pool.Pool:
    context = multiprocessing.get_context("spawn")
    return context.Pool(workers, initializer=torch.set_num_threads, initargs=(1,))


def _features_of(job: tuple[Path, tuple[float, ...], float]) -> list[np.ndarray] | str:
    """float16 (F, M) log-mel for each speed, or the reason why there is none."""
    from encoder.audio import SAMPLE_RATE, load_audio
    from encoder.torchaudio_door import torchaudio

    path, speeds, minimum_s = job
    try:
        wave = load_audio(path)
    except ToolkitError as error:
        return str(error)
    if len(wave) < minimum_s * SAMPLE_RATE:
        return f"{str(path)!r} lasts {len(wave) / SAMPLE_RATE:.2f} s, less than {minimum_s} s"
    if not wave.isfinite().all():
        return f"{str(path)!r} holds samples that are not numbers"
    mel, resample = LogMel(), torchaudio().functional.resample
    result = []
    for speed in speeds:
        # Read at `speed` times the rate: resampling from speed*100 to 100 shortens by `speed`.
        faster = wave if speed == 1.0 else resample(wave, round(speed * 100), 100)
        result.append(mel(faster).to(torch.float16).numpy())
    return result
