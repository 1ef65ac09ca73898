"""Rules of the house, held by reading the source."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("encoder/**/*.py"), *ROOT.glob("diarize/**/*.py")])

# Third-party packages with one door each: package -> the only files that may import it.
DOORS = {
    "av": {"encoder/media.py", "encoder/codecs.py", "encoder/flac.py"},
    "torchaudio": {"encoder/torchaudio_door.py"},
    "hdbscan": {"diarize/clustering/density.py"},
    "faiss": {"diarize/clustering/neighbours.py"},
    "silero_vad": {"diarize/segmentation/silero.py"},
    "typer": {
        "diarize/cli.py",
        "diarize/cli_diarize.py",
        "diarize/cli_cluster.py",
        "diarize/cli_gallery.py",
        "diarize/cli_identify.py",
        "diarize/cli_group.py",
        "diarize/cli_options.py",
        "diarize/cli_score.py",
        "diarize/cli_score_clusters.py",
        "diarize/cli_score_voices.py",
    },
    "rich": {
        "diarize/cli_view.py",
        "diarize/cli_clips_view.py",
        "diarize/cli_tables.py",
        "diarize/cli_score.py",
        "diarize/cli_score_clusters.py",
        "diarize/cli_score_voices.py",
    },
    "pyannote": {"diarize/timeline.py"},
    "safetensors": {"encoder/checkpoint.py"},
    "onnxruntime": {"encoder/onnx_inference.py"},
    "onnx": {"encoder/export.py"},
    "onnxscript": {"encoder/export.py"},
    "lightning_fabric": {"encoder/engine.py"},
    "matplotlib": {"encoder/curves.py", "encoder/det.py"},
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


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_run_one_way(path):
    forbidden = {"encoder": ("diarize", "recipes", "tests"), "diarize": ("recipes", "tests")}
    for module, line, _ in imports(path):
        package = name(path).split("/")[0]
        assert module.split(".")[0] not in forbidden[package], f"{name(path)}:{line} {module}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_third_party_packages_come_in_by_their_door(path):
    for module, line, _ in imports(path):
        package = module.split(".")[0]
        if package in DOORS:
            assert name(path) in DOORS[package], f"{name(path)}:{line} imports {module}"


@pytest.mark.parametrize("path", [f for f in FILES if f.name not in ("__main__.py",)], ids=name)
def test_all_names_exist(path):
    module = importlib.import_module(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    )
    for public in module.__all__:
        assert hasattr(module, public), public


@pytest.mark.parametrize("recipe", sorted(ROOT.glob("recipes/*.py")), ids=name)
def test_recipes_are_run_never_imported(recipe):
    module = f"recipes.{recipe.stem}"
    for path in [*FILES, *ROOT.glob("tests/**/*.py")]:
        for imported, line, _ in imports(path):
            assert imported != module, f"{name(path)}:{line}"


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
        "import diarize.segmentation, diarize.clustering, diarize.config",
        "import diarize.embedding",
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
    assert not loaded_after("import diarize.pipeline") & (unused | later)
    ready = loaded_after("import diarize.pipeline as p; p.Diarizer.from_config()")
    assert not ready & (unused | {"pyannote"})
    assert "torchaudio" in ready  # as the list would be empty of sense with a name misspelt


def test_lazy_names_lead_somewhere():
    import diarize
    import encoder

    for package in (diarize, encoder):
        for public in package.__all__:
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
            "import diarize.pipeline, diarize.segmentation.silero, encoder.training\n"
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


def test_every_knob_says_what_it_is():
    import dataclasses

    from diarize.clustering import CLUSTERERS
    from diarize.config import DiarizeConfig
    from diarize.folder import ClipsConfig
    from diarize.segmentation import SEGMENTERS
    from encoder.plan import TrainPlan

    schemas = [DiarizeConfig, ClipsConfig, TrainPlan]
    schemas += [r.load(n).Config for r in (SEGMENTERS, CLUSTERERS) for n in r.names()]
    for schema in schemas:
        for knob in dataclasses.fields(schema):
            nested = dataclasses.is_dataclass(schema.__annotations__.get(knob.name)) or (
                knob.default_factory is not dataclasses.MISSING
            )
            assert nested or knob.metadata.get("help"), f"{schema.__name__}.{knob.name}"


def test_no_file_outgrows_its_room():
    sizes = {name(f): len(f.read_text(encoding="utf-8").splitlines()) for f in FILES}
    assert max(sizes.values()) <= 400, max(sizes, key=sizes.__getitem__)
    assert sorted(sizes.values())[len(sizes) // 2] <= 150


def test_changelog_names_the_version():
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version is not None
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# Rooms in the order of the path: a room imports itself and rooms before it.
ORDER = {
    "encoder": (
        "errors units whole config registry sources media codecs flac headers playback audio"
        " threads torchaudio_door features models mining history engine collapse teacher losses"
        " manifest listing layouts acoustics rooms telephone dataset augment sampler schedule"
        " resume training plan curves metrics identification closed_set bootstrap protocol"
        " det crops evaluation checkpoint hub calibration_measures calibration"
        " run finetune by_length inference kaldi onnx_features onnx_inference download export"
    ),
    "diarize": (
        "timeline files formats loudness recording segmentation windows embedding stretches vectors"
        " voice store naming"
        " strangers enrolment clustering resegmentation stitch_config assembly local_speakers"
        " stitching confidence config clips sorting result folder recognition pipeline scoring"
        " cli_view cli_group cli_options cli_diarize cli_clips_view"
        " cli_cluster cli_tables cli_gallery cli_identify cli_score_clusters cli_score_voices"
        " cli_score cli"
    ),
}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_rooms_import_only_rooms_before_them(path):
    package, *rest = path.relative_to(ROOT).with_suffix("").parts
    if rest[0] == "__init__":
        return  # the package's door names rooms lazily
    order = ORDER[package].split()
    here = order.index(rest[0])
    for module, line, _ in imports(path):
        parts = module.split(".")
        if parts[0] == package and len(parts) > 1:
            there = order.index(parts[1])
            assert there <= here, f"{name(path)}:{line} imports {module}"
