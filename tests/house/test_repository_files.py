"""The files beside the code say what the code and its Makefile say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
YAML = [
    ".pre-commit-config.yaml",
    "CITATION.cff",
    *(f".github/ISSUE_TEMPLATE/{name}.yml" for name in ("bug", "feature", "config")),
    ".github/workflows/test.yml",
]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", YAML)
def test_yaml_files_are_mappings(name):
    text = read(name)
    assert text.isascii() and "\t" not in text
    yaml = pytest.importorskip("yaml")
    assert isinstance(yaml.safe_load(text), dict)


def test_commits_are_checked_as_make_lint_checks():
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", read("Makefile"), re.M)
    assert recipe is not None
    tools = [
        " ".join(word for word in line.split()[:2] if word.isalpha())
        for line in recipe[1].replace("$(BIN)/", "").splitlines()
    ]
    assert tools == ["ruff check", "ruff format", "mypy"]
    hooks = re.findall(r"entry: \.venv/bin/(.+)", read(".pre-commit-config.yaml"))
    assert [hook.removesuffix(" --fix") for hook in hooks] == tools


def test_the_workflow_runs_make_on_all_systems_and_pythons():
    workflow = read(".github/workflows/test.yml")
    assert "make test" in workflow and "make lint" in workflow
    systems = re.search(r"os: \[(.+)\]", workflow)
    assert systems is not None
    assert systems[1].split(", ") == ["ubuntu-latest", "macos-latest", "windows-latest"]
    supported = re.findall(r"Python :: (3\.\d+)", PYPROJECT)
    matrix = re.search(r"python: \[(.+)\]", workflow)
    assert matrix is not None
    assert re.findall(r"[\d.]+", matrix[1]) == supported


def test_the_citation_is_of_this_version():
    (version,) = re.findall(r'^version = "(.+)"', PYPROJECT, re.M)
    citation = read("CITATION.cff")
    assert f"version: {version}\n" in citation and "arXiv:1705.02304" in citation
