"""Features of a whole corpus in one memory-mapped file, and crops drawn from it.

Decoding and filterbanks run once; training then reads float16 log-mel frames (not normalised, so
that augmentation can work on power) at memory speed.

A bank is a folder: `features.f16` (total frames, M) and `index.json` with one row an utterance.
Speed-changed copies (Ko et al. 2015) shift pitch and formants, so each counts as a new speaker; a
copy through a telephone call (`encoder.augmentation.telephone`) keeps its speaker and says so in
`Item.channel`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from encoder.audio.torchaudio_compat import torchaudio
from encoder.augmentation.telephone import codec_of, through_telephone
from encoder.common.atomic_files import replacing, sweep
from encoder.data.manifest import Utterance
from encoder.errors import CorpusError, ToolkitError
from encoder.features.log_mel import FeatureConfig, LogMel

__all__ = ["FeatureBank", "Item", "at_speed", "bank_of", "build_bank", "copy_name", "speeds_of"]

_WORTH_WORKERS = 40  # utterances; fewer are done before a process has started


class Item(NamedTuple):
    """One utterance of a bank at one speed; `channel` is "" or "telephone:CODEC"."""

    start: int
    frames: int
    speaker: str
    dataset: str
    session: str
    speed: float
    name: str = ""
    channel: str = ""

    @property
    def person(self) -> str:
        """The speaker whose voice it is, also of a copy at another speed."""
        return self.speaker.removesuffix(f"@{self.speed}")

    @property
    def copy(self) -> str:
        """The utterance's name, for a copy at another speed with the speed."""
        return copy_name(self.name, self.speed)


def copy_name(name: str, speed: float) -> str:
    """How an utterance at some speed is called: `NAME`, or `NAME@0.9`."""
    return name if speed == 1.0 else f"{name}@{speed}"


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
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
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
    one_speed_copy: bool = False,
    telephone: float = 0.0,
    on_done: Callable[[int, int], None] | None = None,
    on_left_out: Callable[[str], None] | None = None,
) -> FeatureBank:
    """The bank of these utterances at these speeds, built in `cache/name-KEY` if it is not there.

    KEY is a hash of the list and of what is made of it, so another corpus or another split never
    finds an old bank. Where the list does not state an utterance's length, the file's size and time
    of change tell whether it is still the same. `speeds`, `one_speed_copy` and `telephone` are as
    in `build_bank`.
    """
    made = (
        [_identity(u) for u in utterances],
        tuple(speeds),
        *(("one copy",) if one_speed_copy else ()),
        *(("telephone", float(telephone)) if telephone else ()),
    )
    key = hashlib.sha256(repr(made).encode()).hexdigest()[:8]
    folder = Path(cache) / f"{name}-{key}"
    _sweep(Path(cache))
    if not (folder / "index.json").exists():
        for sentence in build_bank(
            utterances,
            folder,
            speeds=speeds,
            one_speed_copy=one_speed_copy,
            telephone=telephone,
            workers=2 if len(utterances) > _WORTH_WORKERS else 0,
            on_done=on_done,
        ):
            if on_left_out:
                on_left_out(sentence)
    return FeatureBank.open(folder)


def _sweep(cache: Path) -> None:
    """Remove the banks in `cache` whose process ended before they were finished: of gigabytes, and
    of no use to anybody."""
    for folder in cache.glob("*-" + 8 * "[0-9a-f]"):
        sweep(folder)
        with contextlib.suppress(OSError):
            if [path.name for path in folder.iterdir()] == ["features.f16"]:  # none is at work here
                (folder / "features.f16").unlink()


def _identity(u: Utterance) -> tuple[str | float, ...]:
    """What tells this utterance from another in the key of a bank."""
    if u.seconds:
        return (str(u.path), u.speaker, u.seconds)
    try:
        status = u.path.stat()
    except OSError:
        return (str(u.path), u.speaker, u.dataset, u.session)  # the bank leaves it out, and says so
    return (str(u.path), u.speaker, u.dataset, u.session, status.st_size, status.st_mtime_ns)


def build_bank(
    utterances: Sequence[Utterance],
    folder: str | Path,
    *,
    speeds: Sequence[float] = (1.0,),
    one_speed_copy: bool = False,
    telephone: float = 0.0,
    minimum_s: float = 0.5,
    workers: int = 2,
    on_done: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Decode `utterances` into a bank; returns a sentence for each one left out, and why.

    speeds: copies of each utterance, or, with `one_speed_copy`, those of `speeds_of` its speaker.
    telephone: share of the utterances, chosen by a hash of the name, that get one more copy (at
    speed 1) through a call with a codec; True for all. workers: processes; 0 works in this one.
    The index is written last, so a bank with an index is complete.
    """
    folder = Path(folder)
    (folder / "index.json").unlink(missing_ok=True)
    items: list[Item] = []
    left_out: list[str] = []
    written = 0
    config = FeatureConfig()
    calls = [codec_of(u.name or str(u.path), share=float(telephone)) for u in utterances]
    jobs = [
        _Job(u.path, _speeds(u, speeds, one_speed_copy), minimum_s, codec, u.name or str(u.path))
        for u, codec in zip(utterances, calls, strict=True)
    ]
    # The index is held from the beginning: it tells `_sweep` that this bank is being built.
    with (
        replacing(folder / "index.json", private=True) as index,
        replacing(folder / "features.f16", what="features to ", private=True) as partial,
        partial.open("wb") as out,
        _results(jobs, workers) as results,
    ):
        for done, (u, codec, result) in enumerate(
            zip(utterances, calls, results, strict=True), start=1
        ):
            if isinstance(result, str):
                left_out.append(result)
            else:
                copies = [(speed, "") for speed in _speeds(u, speeds, one_speed_copy)]
                copies += [(1.0, f"telephone:{codec}")] if codec else []
                for (speed, channel), features in zip(copies, result, strict=True):
                    out.write(features.tobytes())
                    speaker = copy_name(u.speaker, speed)
                    F = len(features)
                    items.append(
                        Item(written, F, speaker, u.dataset, u.session, speed, u.name, channel)
                    )
                    written += F
            if on_done:
                on_done(done, len(utterances))
        if not items:
            raise CorpusError(
                f"none of the {len(utterances)} utterances could be used: {left_out[:1]}"
            )
        content = {"shape": [written, config.n_mels], "config": asdict(config), "items": items}
        index.write_text(json.dumps(content), encoding="utf-8")
    return left_out


def at_speed(wave: Tensor, speed: float) -> Tensor:
    """(T,) -> (T / speed,): as if the tape ran faster, higher in pitch."""
    if speed == 1.0 or len(wave) == 0:
        return wave
    # Read at `speed` times the rate: resampling from speed*100 to 100 shortens by `speed`.
    shorter: Tensor = torchaudio().functional.resample(wave, round(speed * 100), 100)
    return shorter


def speeds_of(speaker: str, speeds: Sequence[float]) -> tuple[float, ...]:
    """Speed 1, if it is among them, and one of the others by a hash of the speaker's name."""
    others = sorted(speed for speed in speeds if speed != 1.0)
    digest = hashlib.sha256(speaker.encode()).digest()
    chosen = (others[digest[0] % len(others)],) if others else ()
    return (*(speed for speed in speeds if speed == 1.0), *chosen)


def _speeds(u: Utterance, speeds: Sequence[float], one_speed_copy: bool) -> tuple[float, ...]:
    return speeds_of(u.speaker, speeds) if one_speed_copy else tuple(speeds)


@contextmanager
def _results(jobs: list[_Job], workers: int) -> Iterator[Iterator[list[np.ndarray] | str]]:
    """`_features_of` of each job, in order."""
    if workers == 0:
        yield map(_features_of, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield pool.imap(_features_of, jobs, chunksize=8)


class _Job(NamedTuple):
    """What is made of one file."""

    path: Path
    speeds: tuple[float, ...]
    minimum_s: float
    codec: str | None = None  # of the telephone copy
    name: str = ""  # seeds the telephone's random choices


def _features_of(job: _Job) -> list[np.ndarray] | str:
    """float16 (F, M) log-mel for each speed, and of the call; or the reason why there is none."""
    from encoder.audio.load import SAMPLE_RATE, load_audio

    path, speeds, minimum_s, codec, name = job
    faults: list[str] = []
    try:
        wave = load_audio(path, on_warning=faults.append)
    except ToolkitError as error:
        return str(error)
    if faults:
        return faults[0].rpartition(": ")[0]  # without what is done about it elsewhere
    if len(wave) < minimum_s * SAMPLE_RATE:
        return f"{str(path)!r} lasts {len(wave) / SAMPLE_RATE:.2f} s, less than {minimum_s} s"
    if not wave.any():
        return f"{str(path)!r} is silent from beginning to end"
    mel = LogMel()
    result = [mel(at_speed(wave, speed)).half().numpy() for speed in speeds]
    if codec is not None:
        rng = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()[:8]))
        loss = float(rng.choice([0.0, 0.0, 0.01, 0.03]))
        result.append(mel(through_telephone(wave, codec=codec, rng=rng, loss=loss)).half().numpy())
    return result
