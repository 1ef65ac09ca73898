"""Spoilt media, and playlists, for every command that reads sound."""

from __future__ import annotations

from random import Random

from recipes.fuzz.case_parts import all_voices, good_voice, models_used, quiet_or_not
from recipes.fuzz.media import PLAYLISTS, stretched, with_right_checksums
from recipes.fuzz.mutations import spoilt, spoilt_text
from recipes.fuzz.seeds import Seeds
from recipes.fuzz.watch import Case

__all__ = ["media_case"]


def media_case(rng: Random, seeds: Seeds) -> Case:
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
    arguments = ["run", f"in/{name}", *models_used(rng, seeds), *more, *quiet_or_not(rng)]
    arguments += [part for output in outputs for part in ("-o", output)]
    return Case(arguments, {**good_voice(seeds), f"in/{name}": content}, outputs)


def _piped(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    arguments = ["run", "-", *models_used(rng, seeds), *quiet_or_not(rng)]
    files = {**good_voice(seeds), f"in/{name}": content}
    return Case(arguments, files, stdin=f"in/{name}", prints="rttm")


def _cluster(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    files = {**seeds.home, f"in/clips/{name}": content}
    files |= {f"in/clips/{path}": seeds.voices[path] for path in ("ann/0.wav", "bob/1.wav")}
    outputs = ["out/x.csv", "out/x.json"]
    arguments = ["cluster", "in/clips", *models_used(rng, seeds), *quiet_or_not(rng), "--no-cache"]
    arguments += [part for output in outputs for part in ("-o", output)]
    if rng.random() < 0.2:
        arguments += [rng.choice(["--copy-to", "--link-to"]), "out/sorted"]
        outputs.append("out/sorted")
    return Case(arguments, files, outputs)


def _identify(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    files = {**good_voice(seeds), f"in/{name}": content, "in/g.sqlite": seeds.gallery}
    arguments = ["identify", f"in/{name}", *rng.choice([[], ["in/good.wav"]])]
    arguments += ["--gallery", "in/g.sqlite", *models_used(rng, seeds), "-q", "-o", "out/x.json"]
    return Case(arguments, files, ["out/x.json"], changes=["in/g.sqlite"])


def _enroll(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    files = {**seeds.home, f"in/{name}": content, "in/g.sqlite": seeds.gallery}
    arguments = [
        "enroll",
        "Cho",
        f"in/{name}",
        "--gallery",
        "in/g.sqlite",
        *models_used(rng, seeds),
    ]
    arguments += rng.choice([[], ["--keep-sound"], ["--force"], ["--speaker", "longest"]])
    arguments += ["--min-speech", "0.5", *quiet_or_not(rng)]
    return Case(arguments, files, changes=["in/g.sqlite"])


def _trials(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    files = {**seeds.home, **all_voices(seeds), f"in/voices/ann/{name}": content}
    trials = seeds.tables["trials"]["plain.txt"] + f"1 ann/{name} ann/1.wav\n".encode()
    files["in/list.txt"] = trials
    arguments = ["score", "verification", "in/list.txt", "--root", "in/voices"]
    arguments += ["--embedder", f"home/weights/{seeds.embedder}", "--replicates", "10"]
    return Case([*arguments, "-o", "out/x.json", *quiet_or_not(rng)], files, ["out/x.json"])


def _listed(rng: Random, seeds: Seeds, name: str, content: bytes) -> Case:
    """A folder of speakers, of which one has this file too."""
    files = {**seeds.home, **all_voices(seeds), f"in/voices/ann/{name}": content}
    arguments = ["score", "identification", "in/voices", "--replicates", "10", "--enroll", "1"]
    arguments += [
        "--embedder",
        f"home/weights/{seeds.embedder}",
        *quiet_or_not(rng),
        "-o",
        "out/x.json",
    ]
    return Case(arguments, files, ["out/x.json"])
