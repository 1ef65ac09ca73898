"""Spoilt RTTM, UEM, lists of trials, manifests and tables of clips for the scores."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from recipes.fuzz.case_parts import all_voices, quiet_or_not
from recipes.fuzz.mutations import spoilt_text
from recipes.fuzz.seeds import Seeds
from recipes.fuzz.watch import Case

__all__ = ["table_case"]


def _spoilt_table(rng: Random, seeds: Seeds, reader: str) -> tuple[str, bytes, list[str]]:
    name = rng.choice(sorted(seeds.tables[reader]))
    others = [
        rng.choice(sorted(files.values()))
        for files in (seeds.tables[reader], seeds.tables[rng.choice(sorted(seeds.tables))])
    ]
    content, harm = spoilt_text(rng, seeds.tables[reader][name], others)
    return name, content, [f"{reader} {name}", *harm]


def table_case(rng: Random, seeds: Seeds) -> Case:
    reader = rng.choice(sorted(_READERS))
    case = _READERS[reader](rng, seeds, *_spoilt_table(rng, seeds, reader))
    case.arguments += ["-o", "out/x.json", *quiet_or_not(rng)]
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
    files = {**seeds.home, **all_voices(seeds), f"in/{name}": content}
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
