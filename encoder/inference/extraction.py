"""Vectors of many utterances from any embedder: whole and as centred crops, kept on disk.

Crops are cut from the wave, so embedders with different features get the same sound. An utterance
shorter than a crop is repeated up to its length. A file is decoded once for all crops, and a file
that cannot be read is left out for every embedder alike. Of a long file only the beginning is
read, so that memory is bounded.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from encoder.audio.load import load_audio, seconds_to_samples
from encoder.common.atomic_files import replacing
from encoder.common.units import samples_to_seconds
from encoder.data.manifest import Utterance
from encoder.errors import AudioError, CorpusError
from encoder.inference.window_embedder import WindowEmbedder, check_vectors

__all__ = ["CROPS_S", "LONGEST_S", "CropVectors", "centred", "crop_vectors"]

CROPS_S: Mapping[str, float | None] = {"full": None, "3 s": 3.0, "1.6 s": 1.6}
LONGEST_S = 300.0  # no more of a file is read, as for `diarize cluster`
_CHUNK = 16  # utterances decoded before they are embedded together ...
_CHUNK_S = 300.0  # ... or fewer, which last so long


class CropVectors(NamedTuple):
    """Vectors (K, D) by crop, of the utterances in rows `kept` (K,), of which `seconds` (K,) were
    read; sentences on the others. shortened: rows of those that go on after that."""

    kept: NDArray[np.int64]
    by_crop: dict[str, NDArray[np.float32]]
    left_out: list[str]
    seconds: NDArray[np.float64]
    shortened: tuple[int, ...] = ()

    def seconds_of(self, crop_s: float | None) -> NDArray[np.float64]:
        """Seconds (K,) of sound that a crop of that length has; None: the whole utterance."""
        return self.seconds if crop_s is None else np.minimum(self.seconds, crop_s)


def crop_vectors(
    embedder: WindowEmbedder,
    utterances: Sequence[Utterance],
    *,
    crops: Mapping[str, float | None] = CROPS_S,
    longest_s: float = LONGEST_S,
    cache: str | Path | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> CropVectors:
    """Embed every utterance once for each crop (name -> seconds, None for the whole).

    longest_s: no more of an utterance is read.
    cache: a folder; vectors are kept in `FINGERPRINT-KEY.npz`, where KEY is a hash of the list, of
        the files' sizes and of the crops, so that nothing is embedded twice.
    on_done: is given the number of utterances that are done, and of all.

    CorpusError if no file can be read; StoreError if the cache cannot be written.
    """
    path = (
        None if cache is None else Path(cache) / _file_name(embedder, utterances, crops, longest_s)
    )
    found = None if path is None else _read(path, crops)
    if found is None:
        found = _embed(embedder, utterances, crops, longest_s, on_done)
        if path is not None:
            _write(path, found)
    if on_done:
        on_done(len(utterances), len(utterances))
    return found


def centred(wave: torch.Tensor, samples: int) -> torch.Tensor:
    """The middle (samples,) of a wave (T,); a shorter wave is repeated until it is long enough."""
    if len(wave) < samples:
        wave = wave.repeat(-(-samples // len(wave)))[:samples]
    start = (len(wave) - samples) // 2
    return wave[start : start + samples]


def _embed(
    embedder: WindowEmbedder,
    utterances: Sequence[Utterance],
    crops: Mapping[str, float | None],
    longest_s: float,
    on_done: Callable[[int, int], None] | None,
) -> CropVectors:
    kept: list[int] = []
    seconds: list[float] = []
    left_out: list[str] = []
    shortened: list[int] = []
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in crops}
    longest = seconds_to_samples(longest_s)
    one_more = samples_to_seconds(longest + 1)  # tells whether the file goes on
    waves: list[torch.Tensor] = []
    tried = 0  # since the last chunk
    for row, utterance in enumerate(utterances):
        tried += 1
        try:
            wave = load_audio(utterance.path, duration_s=one_more, on_warning=lambda sentence: None)
            if len(wave) > longest:
                wave = wave[:longest]
                shortened.append(row)
            waves.append(wave)
            kept.append(row)
            seconds.append(samples_to_seconds(len(wave)))
        except AudioError as error:
            left_out.append(str(error))
        full = tried == _CHUNK or sum(map(len, waves)) >= seconds_to_samples(_CHUNK_S)
        if full or row + 1 == len(utterances):
            if waves:
                for name, vectors in _embed_crops(embedder, waves, crops).items():
                    parts[name].append(vectors)
            waves, tried = [], 0
            if on_done:
                on_done(row + 1, len(utterances))
    if not kept:
        raise CorpusError(f"none of {len(utterances)} utterances can be read: {left_out[:1]}")
    by_crop = {name: np.concatenate(some) for name, some in parts.items()}
    rows = np.array(kept, np.int64)
    return CropVectors(rows, by_crop, left_out, np.array(seconds), tuple(shortened))


def _embed_crops(
    embedder: WindowEmbedder, waves: list[torch.Tensor], crops: Mapping[str, float | None]
) -> dict[str, NDArray[np.float32]]:
    """(n, D) by crop of n waves, all in one call: crops of one length then share a batch."""
    pieces = []
    for seconds in crops.values():
        for wave in waves:
            samples = len(wave) if seconds is None else seconds_to_samples(seconds)
            pieces.append(centred(wave, max(samples, embedder.minimum_samples)))
    ends = np.cumsum([len(piece) for piece in pieces])
    bounds = np.stack([ends - [len(piece) for piece in pieces], ends], axis=1)
    vectors = check_vectors(embedder.embed_windows(torch.cat(pieces), bounds), embedder.fingerprint)
    return dict(zip(crops, np.split(vectors, len(crops)), strict=True))


def _file_name(
    embedder: WindowEmbedder,
    utterances: Sequence[Utterance],
    crops: Mapping[str, float | None],
    longest_s: float,
) -> str:
    rows = [(str(u.path), u.path.stat().st_size if u.path.exists() else None) for u in utterances]
    # The usual length is no part of it: vectors from before there was one stay valid.
    more = () if longest_s == LONGEST_S else (longest_s,)
    key = hashlib.sha256(repr((rows, sorted(crops.items()), *more)).encode()).hexdigest()[:12]
    return f"{re.sub(r'[^0-9A-Za-z._-]', '_', embedder.fingerprint)}-{key}.npz"


def _read(path: Path, crops: Mapping[str, float | None]) -> CropVectors | None:
    """What `_write` wrote; None if it is absent or damaged, so that it is made again."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            by_crop = {name: stored[f"crop {name}"] for name in crops}
            left_out = stored["left_out"].tolist()
            shortened = tuple(stored["shortened"].tolist()) if "shortened" in stored else ()
            return CropVectors(stored["kept"], by_crop, left_out, stored["seconds"], shortened)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, vectors: CropVectors) -> None:
    arrays = {f"crop {name}": array for name, array in vectors.by_crop.items()}
    arrays |= {"kept": vectors.kept, "seconds": vectors.seconds}  # type: ignore[dict-item]
    arrays |= {"shortened": np.array(vectors.shortened, np.int64)}  # type: ignore[dict-item]
    arrays |= {"left_out": np.array(vectors.left_out, dtype=np.str_)}  # type: ignore[dict-item]
    with (
        replacing(path, what="vectors to ", private=True) as partial,
        partial.open("wb") as handle,
    ):
        np.savez(handle, **arrays)  # type: ignore[arg-type]
