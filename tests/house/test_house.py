"""Rules of the house, held by reading the source."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from encoder.common.settings import Settings
from encoder.errors import ConfigError

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("encoder/**/*.py"), *ROOT.glob("diarize/**/*.py")])

# Rooms by floor, lowest first: a room imports itself and rooms on lower floors. `a/b` is a room of
# its own inside `a`.
FLOORS = {
    "encoder": (
        "errors",
        "common",
        "audio/media losses models training",
        "audio",
        "features",
        "augmentation hub",
        "calibration data",
        "data/corpora evaluation inference",
        "speaker_training",
    ),
    "diarize": (
        "core",
        "audio clustering formats",
        "segmentation/network",
        "segmentation",
        "embedding models simulation",
        "clips gallery postprocessing scoring segmentation_training",
        "pipeline",
        "cli",
    ),
}

# Third-party packages and the only rooms that may import them.
EDGES = {
    "av": {"encoder/audio", "encoder/audio/media", "encoder/augmentation"},
    "torchaudio": {"encoder/audio"},
    "hdbscan": {"diarize/clustering"},
    "faiss": {"diarize/clustering"},
    "silero_vad": {"diarize/segmentation"},
    "typer": {"diarize/cli"},
    "rich": {"diarize/cli"},
    "pyannote": {"diarize/core"},
    "safetensors": {"encoder/hub"},
    "onnxruntime": {"encoder/inference"},
    "onnx": {"encoder/inference"},
    "onnxscript": {"encoder/inference"},
    "lightning_fabric": {"encoder/training"},
    "matplotlib": {"encoder/training", "encoder/evaluation"},
}


@functools.cache
def imports(path: Path) -> list[tuple[str, int, bool]]:
    """(module, line, lazily) of every import that runs; lazily: inside a function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "", node.lineno, id(node) in inside))
    return found


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room(path: str) -> str | None:
    """The room of "package/..." without the package, None for the package's own files."""
    package, *inside = path.removesuffix(".py").split("/")
    rooms = {r for rooms in FLOORS[package] for r in rooms.split()} if package in FLOORS else set()
    return next((r for n in (2, 1) if (r := "/".join(inside[:n])) in rooms), None)


def test_every_file_has_a_room():
    outside = {name(path) for path in FILES if room(name(path)) is None}
    assert outside <= {f"{p}/{f}.py" for p in FLOORS for f in ("__init__", "__main__")}


def test_a_room_says_what_it_is_for():
    for package in FLOORS:
        for folder in {path.parent for path in FILES if name(path).startswith(package)}:
            text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
            assert text, f"{name(folder)}/__init__.py has no docstring"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_run_one_way(path):
    forbidden = {"encoder": ("diarize", "recipes", "tests"), "diarize": ("recipes", "tests")}
    for module, line, _ in imports(path):
        package = name(path).split("/")[0]
        assert module.split(".")[0] not in forbidden[package], f"{name(path)}:{line} {module}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_third_party_packages_have_one_room_each(path):
    for module, line, _ in imports(path):
        package = module.split(".")[0]
        if package in EDGES:
            here = f"{name(path).split('/')[0]}/{room(name(path))}"
            assert here in EDGES[package], f"{name(path)}:{line} imports {module}"


@pytest.mark.parametrize("path", [f for f in FILES if f.name not in ("__main__.py",)], ids=name)
def test_all_names_exist(path):
    module = importlib.import_module(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    )
    for public in module.__all__:
        assert hasattr(module, public), public


def test_recipes_are_run_never_imported():
    for path in [*FILES, *ROOT.glob("tests/**/*.py")]:
        for imported, line, _ in imports(path):
            assert imported.split(".")[0] != "recipes", f"{name(path)}:{line}"


def loaded_after(code: str) -> set[str]:
    """Top-level modules in memory after `code` in a fresh interpreter."""
    script = f"{code}\nimport sys; print(' '.join({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stderr == ""
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import diarize, encoder",
        "import diarize.cli",
        "import diarize.scoring, diarize.formats.rttm, diarize.formats.uem",
        "import diarize.segmentation, diarize.clustering, diarize.pipeline.config",
        "import diarize.embedding.embedders",
    ],
)
def test_light_imports_do_not_pay_for_heavy_packages(code):
    heavy = {"torch", "sklearn", "hdbscan", "pyannote", "pandas", "av", "matplotlib", "numba"}
    heavy |= {"faiss", "onnxruntime", "onnx"}
    assert not loaded_after(code) & heavy


def test_a_diarizer_loads_nothing_that_it_does_not_use():
    unused = {"sklearn", "hdbscan", "pandas", "matplotlib", "faiss", "onnxruntime", "onnx"}
    unused |= {"typer", "rich", "pydantic", "sympy", "lightning_fabric"}
    later = {"torchaudio", "silero_vad", "pyannote", "safetensors"}
    assert not loaded_after("import diarize.pipeline.diarizer") & (unused | later)
    ready = loaded_after("import diarize.pipeline.diarizer as p; p.Diarizer.from_config()")
    assert not ready & (unused | {"pyannote"})
    assert "torchaudio" in ready  # as the list would be empty of sense with a name misspelt


def test_lazy_names_lead_somewhere():
    import diarize
    import encoder

    for package in (diarize, encoder):
        for public in package.__all__:
            if public == "__version__":
                assert re.match(r"\d+\.\d+", package.__version__)
            else:
                assert getattr(package, public).__name__ == public
        with pytest.raises(AttributeError, match="nonesuch"):
            package.nonesuch  # noqa: B018


def test_importing_changes_no_global_state():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, warnings, torch, numpy as np, scipy.cluster.hierarchy\n"
            "before = (torch.get_num_threads(), dict(os.environ), list(warnings.filters),\n"
            "          torch.initial_seed(), np.random.get_state()[1].tolist())\n"
            "import diarize.pipeline.diarizer, diarize.segmentation.silero, encoder.training.loop\n"
            "import diarize.clustering.agglomerative\n"
            "after = (torch.get_num_threads(), dict(os.environ), list(warnings.filters),\n"
            "         torch.initial_seed(), np.random.get_state()[1].tolist())\n"
            "print([a == b for a, b in zip(before, after)])",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.split("\n")[-2] == "[True, True, True, True, True]"


def setting_groups():
    """Every dataclass of the packages that declares help for a field."""
    found = set()
    for path in FILES:
        if (
            "metadata={" not in (text := path.read_text(encoding="utf-8"))
            and "bounded(" not in text
        ):
            continue
        module = importlib.import_module(name(path).removesuffix(".py").replace("/", "."))
        found |= {
            thing
            for thing in vars(module).values()
            if isinstance(thing, type)
            and dataclasses.is_dataclass(thing)
            and thing.__module__ == module.__name__
            and any(knob.metadata.get("help") for knob in dataclasses.fields(thing))
        }
    return sorted(found, key=lambda group: group.__name__)


def is_number(knob):
    return re.search(r"\b(int|float)\b", str(knob.type)) is not None


def test_there_are_groups_of_settings_to_look_at():
    names = {group.__name__ for group in setting_groups()}
    assert {"DiarizeConfig", "ClipsConfig", "TrainConfig", "ConversationStyle"} <= names
    from diarize.clustering import CLUSTERERS
    from diarize.segmentation import SEGMENTERS
    from diarize.segmentation.network.weights import NETWORKS
    from encoder.features.kinds import FEATURES
    from encoder.models import ARCHITECTURES

    families = (SEGMENTERS, CLUSTERERS, NETWORKS, ARCHITECTURES, FEATURES)
    registered = {r.load(n).Config for r in families for n in r.names()}
    assert all(issubclass(group, Settings) for group in registered)
    told = {group.__name__ for group in registered if dataclasses.fields(group)}
    assert told - {"SileroConfig"} <= names


def test_every_knob_says_what_it_is_and_every_number_has_bounds():
    for group in setting_groups():
        assert issubclass(group, Settings), group  # what is no group of settings needs no help
        for knob in dataclasses.fields(group):
            told = f"{group.__name__}.{knob.name}"
            nested = knob.default_factory is not dataclasses.MISSING
            assert nested or knob.metadata.get("help"), told
            if is_number(knob):
                bounds = knob.metadata.get("bounds")
                assert bounds and -math.inf < bounds.low < bounds.high < math.inf, told


def test_every_group_checks_its_bounds():
    for group in setting_groups():
        required = {"kind": "wave"} if group.__name__ == "OnnxFeatures" else {}
        for knob in filter(is_number, dataclasses.fields(group)):
            bounds = knob.metadata["bounds"]
            for value in (math.nan, bounds.high + 1, bounds.low - 1):
                several = isinstance(knob.default, tuple)
                given = (value,) * len(knob.default) if several else value
                with pytest.raises(ConfigError, match=f"{knob.name} is"):
                    group(**required, **{knob.name: given})


def test_the_library_names_settings_not_flags_or_make_targets():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = "|".join(re.findall(r"^([a-z-]+):", makefile, re.M))
    told = re.compile(rf"(?<![\w-])--[a-z]|`make |\bmake ({targets})\b")
    for path in FILES:
        if room(name(path)) == "cli" and name(path).startswith("diarize/"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                # A flag by itself is given to another program.
                found = told.search(node.value) if " " in node.value else None
                assert not found, f"{name(path)}:{node.lineno} names {found[0]!r}"


def test_no_folder_is_a_heap():
    for folder in {path.parent for path in [*FILES, *ROOT.glob("recipes/**/*.py")]}:
        files = [p for p in folder.glob("*.py") if p.name != "__init__.py"]
        assert len(files) <= 14, name(folder)


def test_no_file_outgrows_its_room():
    sizes = {name(f): len(f.read_text(encoding="utf-8").splitlines()) for f in FILES}
    assert max(sizes.values()) <= 400, max(sizes, key=sizes.__getitem__)
    assert sorted(sizes.values())[len(sizes) // 2] <= 150


def test_changelog_names_the_version():
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version is not None
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_rooms_import_only_lower_floors(path):
    package = name(path).split("/")[0]
    if (here := room(name(path))) is None:
        return  # the package's own names, imported lazily
    floor = {r: level for level, rooms in enumerate(FLOORS[package]) for r in rooms.split()}
    for module, line, _ in imports(path):
        there = room(module.replace(".", "/"))
        if module.split(".")[0] == package and there != here:
            assert there is not None, f"{name(path)}:{line} imports {module}, which is in no room"
            assert floor[there] < floor[here], f"{name(path)}:{line} imports {module}"
