"""What is fed to which command: one case of each kind for a generator of random numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from recipes.fuzz.media import PLAYLISTS, stretched, with_right_checksums
from recipes.fuzz.mutations import EXTREME_NUMBERS, spoilt, spoilt_text
from recipes.fuzz.seeds import Seeds, Setting
from recipes.fuzz.watch import Case

__all__ = ["KINDS", "case_of"]

_QUIET_ALSO = 0.75  # of cases; the others say what they have to say
_NETWORKS = 0.06  # of cases go through the packaged networks


def case_of(kind: str, seed: int, number: int, seeds: Seeds) -> Case:
    """The case of that number; the same for the same seed, whatever was tried before."""
    return KINDS[kind](Random(f"{seed} {kind} {number}"), seeds)


def _models(rng: Random, seeds: Seeds) -> list[str]:
    if rng.random() < _NETWORKS:
        return ["--preset", "fast"]
    return ["--embedder", f"home/weights/{seeds.embedder}", "--segmenter", "energy"]


def _quiet(rng: Random) -> list[str]:
    return ["-q"] if rng.random() < _QUIET_ALSO else []


def _good(seeds: Seeds) -> dict[str, bytes]:
    return {**seeds.home, "in/good.wav": seeds.voices["ann/0.wav"]}


def _media(rng: Random, seeds: Seeds) -> Case:
    if rng.random() < 0.03:
        name = rng.choice(sorted(PLAYLISTS))
        content, harm = (PLAYLISTS[name], ["whole"])
        if rng.random() < 0.5:
            content, harm = spoilt_text(rng, content)
        name = rng.choice([name, "x.wav", "x.mp4", "x"])
        case = _run(rng, seeds, name, content)
        case.files.update({"good.wav": case.files["in/good.wav"]})
        case.refused, case.harm = True, ["playlist", *harm]
        return case
    name = rng.choice(sorted(seeds.media))
    content, harm = seeds.media[name], [name]
    others = [seeds.media[rng.choice(sorted(seeds.media))]]
    others += [seeds.media[other] for other in seeds.media if other[-4:] == name[-4:]][:3]
    if content.startswith(b"OggS") and rng.random() < 0.3:
        content, harm = stretched(rng, content), [name, "stretched"]
    if len(harm) == 1 or rng.random() < 0.3:
        content, spoils = spoilt(rng, content, others)
        harm += spoils
        if content.startswith(b"OggS") and rng.random() < 0.7:
            content = with_right_checksums(content)
    if rng.random() < 0.15:  # under another's name, or none
        name = rng.choice(
            ["x", "x.wav", "x.mp3", "x.ul", "x.raw", "x.mp4", "x.txt", "x.ogg", "x.h264"]
        )
    how = rng.choice([_run] * 5 + [_piped, _cluster, _identify, _enroll, _trials, _listed])
    case = how(rng, seeds, name, content)
    case.harm = harm
    return case


def _run(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    more = rng.choice(
        [[], [], [], [], ["--track", "mix"], ["--track", "each"],
         ["--track", str(rng.randrange(4))],
         ["--channel", str(rng.randrange(3))], ["--clusterer", "hdbscan"], ["--clusterer", "graph"],
         ["--exclusive"], ["--speakers", "2"], ["--min-confidence", "0.5"]]
    )  # fmt: skip
    outputs = ["out/x.rttm", "out/x.json"]
    arguments = ["run", f"in/{name}", *_models(rng, seeds), *more, *_quiet(rng)]
    arguments += [part for output in outputs for part in ("-o", output)]
    return Case(arguments, {**_good(seeds), f"in/{name}": content}, outputs)


def _piped(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    arguments = ["run", "-", *_models(rng, seeds), *_quiet(rng)]
    files = {**_good(seeds), f"in/{name}": content}
    return Case(arguments, files, stdin=f"in/{name}", prints="rttm")


def _cluster(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    files = {**seeds.home, f"in/clips/{name}": content}
    files |= {f"in/clips/{path}": seeds.voices[path] for path in ("ann/0.wav", "bob/1.wav")}
    outputs = ["out/x.csv", "out/x.json"]
    arguments = ["cluster", "in/clips", *_models(rng, seeds), *_quiet(rng), "--no-cache"]
    arguments += [part for output in outputs for part in ("-o", output)]
    if rng.random() < 0.2:
        arguments += [rng.choice(["--copy-to", "--link-to"]), "out/sorted"]
        outputs.append("out/sorted")
    return Case(arguments, files, outputs)


def _identify(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    files = {**_good(seeds), f"in/{name}": content, "in/g.sqlite": seeds.gallery}
    arguments = ["identify", f"in/{name}", *rng.choice([[], ["in/good.wav"]])]
    arguments += ["--gallery", "in/g.sqlite", *_models(rng, seeds), "-q", "-o", "out/x.json"]
    return Case(arguments, files, ["out/x.json"], changes=["in/g.sqlite"])


def _enroll(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    files = {**seeds.home, f"in/{name}": content, "in/g.sqlite": seeds.gallery}
    arguments = ["enroll", "Cho", f"in/{name}", "--gallery", "in/g.sqlite", *_models(rng, seeds)]
    arguments += rng.choice([[], ["--keep-sound"], ["--force"], ["--speaker", "longest"]])
    arguments += ["--min-speech", "0.5", *_quiet(rng)]
    return Case(arguments, files, changes=["in/g.sqlite"])


def _trials(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    files = {**seeds.home, **_voices(seeds), f"in/voices/ann/{name}": content}
    trials = seeds.tables["trials"]["plain.txt"] + f"1 ann/{name} ann/1.wav\n".encode()
    files["in/list.txt"] = trials
    arguments = ["score", "verification", "in/list.txt", "--root", "in/voices"]
    arguments += ["--embedder", f"home/weights/{seeds.embedder}", "--replicates", "10"]
    return Case([*arguments, "-o", "out/x.json", *_quiet(rng)], files, ["out/x.json"])


def _listed(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    """A folder of speakers, of which one has this file too."""
    files = {**seeds.home, **_voices(seeds), f"in/voices/ann/{name}": content}
    arguments = ["score", "identification", "in/voices", "--replicates", "10", "--enroll", "1"]
    arguments += ["--embedder", f"home/weights/{seeds.embedder}", *_quiet(rng), "-o", "out/x.json"]
    return Case(arguments, files, ["out/x.json"])


def _voices(seeds: Seeds) -> dict[str, bytes]:
    return {f"in/voices/{path}": content for path, content in seeds.voices.items()}


def _spoilt_table(rng: Random, seeds: Seeds, reader: str) -> tuple[str, bytes, list[str]]:
    name = rng.choice(sorted(seeds.tables[reader]))
    others = [
        rng.choice(sorted(files.values()))
        for files in (seeds.tables[reader], seeds.tables[rng.choice(sorted(seeds.tables))])
    ]
    content, harm = spoilt_text(rng, seeds.tables[reader][name], others)
    return name, content, [f"{reader} {name}", *harm]


def _tables(rng: Random, seeds: Seeds) -> Case:
    reader = rng.choice(sorted(_READERS))
    case = _READERS[reader](rng, seeds, *_spoilt_table(rng, seeds, reader))
    case.arguments += ["-o", "out/x.json", *_quiet(rng)]
    case.outputs.append("out/x.json")
    return case


def _diarization(rng: Random, seeds: Seeds, name: str, content: bytes, harm: list[str]) -> Case:
    whole = seeds.tables["diarization"]["a.rttm"]
    sides = [content, whole] if rng.random() < 0.5 else [whole, content]
    places = ["in/a/one.rttm", "in/b/one.rttm"]
    given = places if rng.random() < 0.7 else ["in/a", "in/b"]
    return Case(["score", "diarization", *given], dict(zip(places, sides, strict=True)), harm=harm)


def _uem(rng: Random, seeds: Seeds, name: str, content: bytes, harm: list[str]) -> Case:
    whole = seeds.tables["diarization"]["a.rttm"]
    files = {"in/a.rttm": whole, "in/b.rttm": whole, f"in/{name}": content}
    return Case(["score", "in/a.rttm", "in/b.rttm", "--uem", f"in/{name}"], files, harm=harm)


def _verification(rng: Random, seeds: Seeds, name: str, content: bytes, harm: list[str]) -> Case:
    arguments = ["score", "verification", f"in/{name}", "--replicates", "10"]
    outputs = []
    if rng.random() < 0.3:
        arguments, outputs = [*arguments, "--scores", "out/scores.tsv"], ["out/scores.tsv"]
    return Case(arguments, {f"in/{name}": content}, outputs, harm=harm)


def _embedded(rng: Random, seeds: Seeds, name: str, content: bytes, harm: list[str]) -> Case:
    files = {**seeds.home, **_voices(seeds), f"in/{name}": content}
    what = "verification" if harm[0].startswith("trials") else "identification"
    arguments = ["score", what, f"in/{name}", "--root", "in/voices", "--replicates", "10"]
    return Case([*arguments, "--embedder", f"home/weights/{seeds.embedder}"], files, harm=harm)


def _corpus(rng: Random, seeds: Seeds, name: str, content: bytes, harm: list[str]) -> Case:
    listed = harm[0].startswith("corpus")
    place = "in/corpus/voices" if listed else "in/corpus"
    files = {**seeds.home, f"{place}/{name}": content}
    sounds = place if listed else f"{place}/clips"
    files |= {f"{sounds}/{path}": sound for path, sound in seeds.voices.items()}
    arguments = ["score", "identification", "in/corpus", "--replicates", "10", "--enroll", "1"]
    return Case([*arguments, "--embedder", f"home/weights/{seeds.embedder}"], files, harm=harm)


def _clusters(rng: Random, seeds: Seeds, name: str, content: bytes, harm: list[str]) -> Case:
    truth, found = seeds.tables["truth"]["t.csv"], seeds.tables["clusters"]["clips.csv"]
    files = {f"in/{name}": content}
    given = [f"in/{name}", "in/found.csv"]
    if harm[0].startswith("truth"):
        files["in/found.csv"] = found
    else:
        files["in/truth.csv"], given = truth, ["in/truth.csv", f"in/{name}"]
    more = rng.choice([[], ["--missing", "alone"]])
    return Case(["score", "clusters", *given, *more], files, harm=harm)


_READERS: dict[str, Callable[[Random, Seeds, str, bytes, list[str]], Case]] = {
    "diarization": _diarization,
    "uem": _uem,
    "verification": _verification,
    "trials": _embedded,
    "identification": _embedded,
    "corpus": _corpus,
    "common-voice": _corpus,
    "truth": _clusters,
    "clusters": _clusters,
}


def _settings(rng: Random, seeds: Seeds) -> Case:
    """Knobs of `run` and `cluster`, as `--set`, in a TOML file, or as options."""
    command = rng.choice(["run", "cluster"])
    knobs = rng.sample(seeds.settings[command], rng.choice([1, 1, 1, 2, 6]))
    # The backend that a knob is of is the one that is used.
    values = {knob.path: _value(rng, knob) for knob in knobs}
    files = {**seeds.home, **_voices(seeds), "in/x.wav": _talk(seeds)}
    outputs = ["out/x.json"]
    arguments = [command, "in/x.wav" if command == "run" else "in/voices"]
    arguments += ["--no-cache"] if command == "cluster" else []
    used = {"segmentation": "energy", "clustering": "agglomerative"}
    for path in values:
        family, *rest = path.split(".")
        if family in used and len(rest) > 1 and rest[0] != "pyannote":
            used[family] = rest[0]
    arguments += ["--segmenter", used["segmentation"], "--clusterer", used["clustering"]]
    if not any(path == "embedder" for path in values):
        arguments += ["--embedder", f"home/weights/{seeds.embedder}"]
    harm = [f"{path}={value[:60]}" for path, value in values.items()]
    if command == "run" and rng.random() < 0.4:
        arguments += ["--config", "in/x.toml"]
        text = "".join(f"{path} = {value}\n" for path, value in values.items()).encode()
        if rng.random() < 0.4:
            text, spoils = spoilt_text(rng, text + b"[window]\nstep_s = 0.4\n")
            harm += spoils
        files["in/x.toml"] = text
    elif rng.random() < 0.1:
        files["home/config.toml"], spoils = spoilt_text(rng, b'default_preset = "fast"\n')
        harm = ["config.toml", *spoils]
    elif rng.random() < 0.15:
        arguments += _option(rng, command)
        harm = ["option"]
    else:
        for path, value in values.items():
            text = rng.choice(
                [f"{path}={value}"] * 9 + [f"{path}", f"={value}", f"{path}.x={value}"]
            )
            arguments += ["--set", text.replace("\0", "")]
    arguments += ["-o", "out/x.json", *_quiet(rng)]
    return Case(arguments, files, outputs, harm=harm)


def _talk(seeds: Seeds) -> bytes:
    """The voices one after the other, 5 s."""
    one, other = seeds.voices["ann/0.wav"], seeds.voices["bob/0.wav"]
    size = len(one) + len(other) - 88
    return (
        one[:4] + (size + 36).to_bytes(4, "little") + one[8:40] + size.to_bytes(4, "little")
        + one[44:] + other[44:]
    )  # fmt: skip


def _value(rng: Random, knob: Setting) -> str:
    """A TOML value for a knob: near its own, extreme, or of another type."""
    fits = isinstance(knob.default, (int, float)) and not isinstance(knob.default, bool)
    if fits and rng.random() < 0.5:
        value = knob.default * rng.choice([0, -1, 0.1, 0.5, 0.99, 1, 1.01, 2, 10, 100, 1e4])
        return str(int(value) if isinstance(knob.default, int) else float(value))
    if rng.random() < 0.7:
        return rng.choice(EXTREME_NUMBERS)
    words = [
        '""',
        '"x"',
        "true",
        "[]",
        "[1]",
        "{}",
        "2020-01-01",
        '"' + "a" * 4000 + '"',
        "[" * 3000,
    ]
    words += [
        '"energy"',
        '"graph"',
        '"cuda"',
        '"meta"',
        '"cpu:9"',
        '"auto"',
        "[0.5, 0.5]",
        "{x = 1}",
    ]
    return rng.choice(words)


def _option(rng: Random, command: str) -> list[str]:
    numbers = ["nan", "inf", "-1", "0", "1e308", "1e-300", "0.5", "2", "-0.0"]
    whole = ["-1", "0", "1", "99999999999999999999", "3", "1000000000"]
    options = {
        "--speakers": whole, "--min-speakers": whole, "--max-speakers": whole,
        "--device": ["meta", "cpu", "cuda", "", "mps", "x:1", "cuda:99999999999"],
        "--clusterer": ["", "x", "graph", "../x"], "--preset": ["", "x", "default", "fast"],
        "--embedder": [
            "", ".", "onnx:", "onnx:hf:", "onnx:/dev/null", "/dev/zero", "a/b", "~nobody/x",
            "in/x.wav", "in",
        ],
    }  # fmt: skip
    own = {
        "run": {"--channel": whole, "--track": [*whole, "", "x"], "--min-confidence": numbers},
        "cluster": {"--min-similarity": numbers, "--min-probability": numbers},
    }[command]
    given = []
    for name in rng.sample(sorted({**options, **own}), rng.choice([1, 1, 2])):
        given.append(f"{name}={rng.choice({**options, **own}[name])}")
    return given


def _galleries(rng: Random, seeds: Seeds) -> Case:
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
    arguments = [*arguments, "--gallery", "in/g.sqlite", *_quiet(rng)]
    sidecars = [f"in/g.sqlite{suffix}" for suffix in ("", "-journal", "-wal", "-shm")]
    return Case(arguments, files, outputs, changes=sidecars, harm=harm)


def _caches(rng: Random, seeds: Seeds) -> Case:
    content, harm = spoilt(rng, seeds.clips, [seeds.gallery])
    files = {**seeds.home, **_voices(seeds), "in/c.sqlite": content}
    arguments = [
        "cluster",
        "in/voices",
        "--cache",
        "in/c.sqlite",
        "--segmenter",
        "energy",
        *_quiet(rng),
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


def _weights(rng: Random, seeds: Seeds) -> Case:
    """Weights, calibration and PLDA of the embedder, or the network that segments."""
    files = {**_good(seeds), **_voices(seeds), "in/x.wav": _talk(seeds)}
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
    return Case([*arguments, *_quiet(rng)], files, ["out/x.json"], harm=harm)


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


KINDS: dict[str, Callable[[Random, Seeds], Case]] = {
    "media": _media,
    "tables": _tables,
    "settings": _settings,
    "galleries": _galleries,
    "weights": _weights,
}
