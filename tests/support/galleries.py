"""People for galleries: made-up sounds, and who is in one."""

from __future__ import annotations

import numpy as np

from diarize.gallery.gallery import Gallery
from diarize.gallery.schema import Enrollment

MADE_BY = {"fingerprint": "aaaa0000", "embedder": "small"}
OTHER = {"fingerprint": "bbbb1111", "embedder": "large"}


def vectors(seed, count=1, dimensions=8):
    rows = np.random.default_rng(seed).normal(size=(count, dimensions))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def sound(seed, *, count=1, speech_s=6.0, kept=None):
    rows = vectors(seed, count)
    return Enrollment(
        f"file{seed}.wav", f"hash{seed}", speech_s, rows, np.full(count, speech_s), kept
    )


def names(gallery_or_path):
    if isinstance(gallery_or_path, Gallery):
        return [p.name for p in gallery_or_path.speakers()]
    with Gallery.open(gallery_or_path, create=False) as opened:
        return names(opened)
