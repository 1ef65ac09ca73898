"""Settings that cannot be, as options, `--set` and TOML."""

from __future__ import annotations

from random import Random

from recipes.fuzz.case_parts import all_voices, quiet_or_not, talk
from recipes.fuzz.mutations import EXTREME_NUMBERS, spoilt_text
from recipes.fuzz.seeds import Seeds, Setting
from recipes.fuzz.watch import Case

__all__ = ["setting_case"]


def setting_case(rng: Random, seeds: Seeds) -> Case:
    """Knobs of `run` and `cluster`, as `--set`, in a TOML file, or as options."""
    command = rng.choice(["run", "cluster"])
    knobs = rng.sample(seeds.settings[command], rng.choice([1, 1, 1, 2, 6]))
    # The backend that a knob is of is the one that is used.
    values = {knob.path: _value(rng, knob) for knob in knobs}
    files = {**seeds.home, **all_voices(seeds), "in/x.wav": talk(seeds)}
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
    arguments += ["-o", "out/x.json", *quiet_or_not(rng)]
    return Case(arguments, files, outputs, harm=harm)


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
