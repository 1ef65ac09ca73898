"""README's Python blocks run as they stand, and its commands exist."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from diarize import Diarizer, load_config

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)


def test_there_are_blocks_to_run():
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b.splitlines()[0])
def test_python_blocks_run(block, tmp_path, monkeypatch):
    shutil.copy(ROOT / "recipes/samples/ami_ES2004a_600_660.flac", tmp_path / "meeting.wav")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    (written,) = tmp_path.glob("*.rttm")
    speakers = {line.split()[7] for line in written.read_text().splitlines()}
    assert len(speakers) == 4  # both blocks ask for four


def test_the_stages_by_hand_are_the_pipeline(tmp_path, monkeypatch):
    shutil.copy(ROOT / "recipes/samples/ami_ES2004a_600_660.flac", tmp_path / "meeting.wav")
    monkeypatch.chdir(tmp_path)
    spaces = [{}, {}]
    for block, space in zip(BLOCKS[:2], spaces, strict=True):
        exec(compile(block, "README.md", "exec"), space)
    assert len(spaces[0]["result"].speakers) == 4
    silero = Diarizer.from_config(load_config(settings=["segmenter=silero"]))
    assert silero("meeting.wav", speakers=4).turns == spaces[1]["turns"]


def test_make_targets_named_in_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z-]+)", README):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_commands_shown_in_the_readme_are_known():
    from diarize.cli import app

    known = {c.name for c in [*app.registered_commands, *app.registered_groups]}
    for first in re.findall(r"^\$ diarize ([a-z]+)\b(?!\.)", README, re.M):
        assert first in known, first


def test_samples_name_source_and_licence():
    listed = (ROOT / "recipes/samples/README.md").read_text(encoding="utf-8")
    for path in (ROOT / "recipes/samples").iterdir():
        assert path.name == "README.md" or f"`{path.name}`" in listed
