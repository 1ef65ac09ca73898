"""Clips to vectors, from the cache where they are in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diarize.clips.cache import CachedClip, ClipCache, ClipKey
from diarize.embedding.clip_embedding import ClipEmbedder
from encoder.errors import AudioError

__all__ = ["Clip", "embed_clips"]

WAITING = 4  # clips in work for each thread: more would only hold more sound in memory


@dataclass(frozen=True, eq=False)
class Clip:
    """One file. vector: (D,) unit, or None and the `reason`; seconds of it and of speech in it."""

    path: Path
    vector: NDArray[np.float32] | None
    speech_s: float
    duration_s: float
    reason: str = ""
    warnings: tuple[str, ...] = ()
    readable: bool = True
    from_cache: bool = False


def embed_clips(
    paths: Iterable[Path],
    clip_embedder: ClipEmbedder,
    *,
    cache: ClipCache | None = None,
    workers: int | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> list[Clip]:
    """Embed each file, in order; what `cache` knows is not read again, and what is new is kept.

    workers: threads that decode and embed; as many as torch uses if None. Files that cannot be read
    become clips with the reason. on_done(done, total).
    """
    paths = list(paths)
    clips: list[Clip | None] = [None] * len(paths)
    working: deque[tuple[int, ClipKey | None, Future[tuple[CachedClip, bool]]]] = deque()
    done = 0

    def finish(row: int, clip: Clip) -> None:
        nonlocal done
        clips[row] = clip
        done += 1
        if on_done:
            on_done(done, len(paths))

    def finish_oldest() -> None:
        row, key, future = working.popleft()
        embedded, readable = future.result()
        if cache and key and readable:
            cache.keep(key, embedded)
        finish(row, Clip(paths[row], **vars(embedded), readable=readable))

    threads = workers or torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="clip")
    try:
        for row, path in enumerate(paths):
            key, known = _look_up(cache, path)
            if known:
                finish(row, Clip(path, **vars(known), from_cache=True))
                continue
            working.append((row, key, pool.submit(_embed, path, clip_embedder)))
            while working and (working[0][2].done() or len(working) >= WAITING * threads):
                finish_oldest()
        while working:
            finish_oldest()
    finally:
        pool.shutdown(cancel_futures=True)
    return [clip for clip in clips if clip is not None]


def _look_up(cache: ClipCache | None, path: Path) -> tuple[ClipKey | None, CachedClip | None]:
    try:
        return cache.look_up(path) if cache and path.is_file() else (None, None)
    except OSError:
        return None, None  # whoever decodes it will say why


def _embed(path: Path, clip_embedder: ClipEmbedder) -> tuple[CachedClip, bool]:
    """(what it gave, whether it could be read)."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise AudioError(f"{str(path)!r} is no file: leave it out")
        found = clip_embedder(path)
    except OSError as error:  # of `exists`, where the folder does not let look
        return CachedClip(None, 0.0, 0.0, f"{str(path)!r} cannot be read ({error.strerror})"), False
    except AudioError as error:
        return CachedClip(None, 0.0, 0.0, str(error)), False
    vector, reason = found.vector, ""
    if vector is not None and not np.linalg.norm(vector) > 0.5:  # zeros, or not numbers
        vector, reason = None, "no vector that can be compared"
    elif vector is None:
        speech = f"only {found.speech_s:.1f} s of speech" if found.speech_s else "no speech"
        reason = f"{speech} in {found.duration_s:.1f} s"
    return CachedClip(vector, found.speech_s, found.duration_s, reason, tuple(found.warnings)), True
