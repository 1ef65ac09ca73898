"""What cases of several kinds are made of."""

from __future__ import annotations

from random import Random

from recipes.fuzz.seeds import Seeds

__all__ = ["all_voices", "good_voice", "models_used", "quiet_or_not", "talk"]

_QUIET_ALSO = 0.75  # of cases; the others say what they have to say
_NETWORKS = 0.06  # of cases go through the packaged networks


def models_used(rng: Random, seeds: Seeds) -> list[str]:
    if rng.random() < _NETWORKS:
        return ["--preset", "fast"]
    return ["--embedder", f"home/weights/{seeds.embedder}", "--segmenter", "energy"]


def quiet_or_not(rng: Random) -> list[str]:
    return ["-q"] if rng.random() < _QUIET_ALSO else []


def good_voice(seeds: Seeds) -> dict[str, bytes]:
    return {**seeds.home, "in/good.wav": seeds.voices["ann/0.wav"]}


def all_voices(seeds: Seeds) -> dict[str, bytes]:
    return {f"in/voices/{path}": content for path, content in seeds.voices.items()}


def talk(seeds: Seeds) -> bytes:
    """The voices one after the other, 5 s."""
    one, other = seeds.voices["ann/0.wav"], seeds.voices["bob/0.wav"]
    size = len(one) + len(other) - 88
    return (
        one[:4] + (size + 36).to_bytes(4, "little") + one[8:40] + size.to_bytes(4, "little")
        + one[44:] + other[44:]
    )  # fmt: skip
