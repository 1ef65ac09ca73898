"""Spoilt galleries, caches of clips and weights."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from recipes.fuzz.case_parts import all_voices, good_voice, quiet_or_not, talk
from recipes.fuzz.mutations import spoilt, spoilt_text
from recipes.fuzz.seeds import Seeds
from recipes.fuzz.watch import Case

__all__ = ["gallery_case", "weights_case"]


def gallery_case(rng: Random, seeds: Seeds) -> Case:
    if rng.random() < 0.25:
        return _caches(rng, seeds)
    others = [seeds.clips, seeds.gallery[::-1], seeds.voices["ann/0.wav"]]
    content, harm = spoilt(rng, seeds.gallery, others)
    files = {**seeds.home, "in/good.wav": seeds.voices["bob/2.wav"], "in/g.sqlite": content}
    if rng.random() < 0.1:
        sidecar = rng.choice(["-journal", "-wal", "-shm"])
        files[f"in/g.sqlite{sidecar}"] = spoilt(rng, seeds.gallery)[0][:5000]
        harm.append(sidecar)
    flags = ["--embedder", f"home/weights/{seeds.embedder}", "--segmenter", "energy"]
    json_out = ["-o", "out/x.json"]
    arguments = rng.choice(
        [["gallery", *json_out], ["gallery", *json_out], ["rename", "ann", "Dee"],
         ["rename", "ann", "bob", "--merge"], ["forget", "ann", "--yes"],
         ["gallery", "--reembed", "--preset", "fast", *json_out],
         ["identify", "in/good.wav", *flags, *json_out],
         ["enroll", "ann", "in/good.wav", *flags, "--min-speech", "0.5", "--anyway", "--force"],
         ["run", "in/good.wav", *flags, *json_out],
         ["run", "in/good.wav", *flags, "--link", *json_out]]
    )  # fmt: skip
    outputs = ["out/x.json"] if "out/x.json" in arguments else []
    arguments = [*arguments, "--gallery", "in/g.sqlite", *quiet_or_not(rng)]
    sidecars = [f"in/g.sqlite{suffix}" for suffix in ("", "-journal", "-wal", "-shm")]
    return Case(arguments, files, outputs, changes=sidecars, harm=harm)


def _caches(rng: Random, seeds: Seeds) -> Case:
    content, harm = spoilt(rng, seeds.clips, [seeds.gallery])
    files = {**seeds.home, **all_voices(seeds), "in/c.sqlite": content}
    arguments = [
        "cluster",
        "in/voices",
        "--cache",
        "in/c.sqlite",
        "--segmenter",
        "energy",
        *quiet_or_not(rng),
    ]
    arguments += [
        "--embedder",
        f"home/weights/{seeds.embedder}",
        "-o",
        "out/x.csv",
        "-o",
        "out/x.json",
    ]
    sidecars = [f"in/c.sqlite{suffix}" for suffix in ("", "-journal", "-wal", "-shm")]
    return Case(
        arguments, files, ["out/x.csv", "out/x.json"], changes=sidecars, harm=["cache", *harm]
    )


def weights_case(rng: Random, seeds: Seeds) -> Case:
    """Weights, calibration and PLDA of the embedder, or the network that segments."""
    files = {**good_voice(seeds), **all_voices(seeds), "in/x.wav": talk(seeds)}
    segmenter = ["--segmenter", "energy"]
    embedder = f"home/weights/{seeds.embedder}"
    name = rng.choice([*sorted(seeds.home), "in/network.safetensors", "in/network.safetensors"])
    content = seeds.network if name.startswith("in/") else seeds.home[name]
    if name.endswith(".json"):
        content, harm = spoilt_text(rng, content)
    elif rng.random() < 0.6:
        content, harm = _other_header(rng, content), ["header"]
        if rng.random() < 0.7 and "tiny" in name:  # a name that does not say what is in it
            del files[name]
            name = embedder = "in/own.safetensors"
    else:
        content, harm = spoilt(rng, content, [seeds.network, *seeds.home.values()])
    files[name] = content
    if name == "in/network.safetensors":
        segmenter = ["--segmenter", "neural", "--set", f"segmentation.neural.weights={name}"]
    arguments = rng.choice(
        [["run", "in/x.wav"], ["run", "in/x.wav"], ["cluster", "in/voices", "--no-cache"]]
    )
    harm = [name, *harm]
    arguments = [*arguments, *segmenter, "--embedder", embedder, "-o", "out/x.json"]
    return Case([*arguments, *quiet_or_not(rng)], files, ["out/x.json"], harm=harm)


def _other_header(rng: Random, content: bytes) -> bytes:
    """Weights whose header says something else, in its own words, of the right length."""
    size = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + size])
    if rng.random() < 0.7:
        about: Any = json.loads(head["__metadata__"]["deepspeaker"])
        _change(rng, about)
        head["__metadata__"]["deepspeaker"] = json.dumps(about)
    else:
        tensors = {name: value for name, value in head.items() if name != "__metadata__"}
        _change(rng, tensors)
        head.update(tensors)
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def _change(rng: Random, tree: Any) -> None:
    """One leaf of nested JSON is another value, or a branch is missing."""
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    if not keys:
        return
    key = rng.choice(keys)
    if isinstance(tree[key], (dict, list)) and tree[key] and rng.random() < 0.8:
        _change(rng, tree[key])
    elif rng.random() < 0.1:
        del tree[key]
    else:
        values = [
            0,
            -1,
            1,
            2,
            1e9,
            10**9,
            10**30,
            1e308,
            0.5,
            1e-9,
            "",
            "x",
            None,
            [],
            {},
            True,
            [1],
            "F16",
        ]
        tree[key] = rng.choice(values)
