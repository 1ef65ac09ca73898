"""Names and paths that mean one thing are one, and files are found by either spelling."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from encoder.common.names import existing_path, name_key, path_key

COMPOSED = "Jos\u00e9"
APART = unicodedata.normalize("NFD", COMPOSED)
ANGSTROM = "\u212b"  # which composes to the letter, and which no decomposition gives back


@pytest.mark.parametrize(
    "other",
    ["./x/3.wav", "x//3.wav", "x\\3.wav", "x/./3.wav", "x/y/../3.wav", "x/3.wav", ".\\x\\\\3.wav"],
)
def test_paths_to_one_place(other):
    assert path_key(other) == ("x", "3.wav")


def test_paths_to_several_places():
    paths = [
        "x/3.wav",
        "/x/3.wav",
        "../x/3.wav",
        "../../x/3.wav",
        "y/3.wav",
        "X/3.wav",
        "C:/x/3.wav",
    ]
    assert len({path_key(path) for path in paths}) == len(paths)
    assert path_key("/x/3.wav") == ("/", "x", "3.wav")


def test_names_that_read_the_same():
    assert COMPOSED != APART
    assert name_key(APART) == name_key(COMPOSED) == COMPOSED
    assert path_key(f"./{APART}/1.wav") == path_key(f"{COMPOSED}\\1.wav")
    assert name_key("a\udcff") == "a\udcff"  # a name that is not UTF-8


def spellings_are_apart(folder: Path) -> bool:
    (folder / "n\u0303").touch()
    return not (folder / "\u00f1").exists()


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        (f"{APART}/{APART}.wav", f"{COMPOSED}/{COMPOSED}.wav"),
        (f"{COMPOSED}/{APART}.wav", f"{APART}/{COMPOSED}.wav"),
        (f"{ANGSTROM}.wav", "\u00c5.wav"),
        ("x/3.wav", "x\\3.wav"),
        (f"{APART}/3.wav", f".\\{COMPOSED}\\3.wav"),
    ],
)
def test_a_file_is_found_by_another_spelling(tmp_path, stored, asked):
    if not spellings_are_apart(tmp_path):
        pytest.skip("this disk takes the spellings for one")
    (tmp_path / stored).parent.mkdir(exist_ok=True)
    (tmp_path / stored).write_text(stored)
    assert existing_path(tmp_path, asked).read_text() == stored
    assert existing_path(tmp_path, stored) == tmp_path / stored


@pytest.mark.parametrize(
    "path", ["b.wav", "n\u00f6.wav", "x\\b.wav", "n\u00f6/../b.wav", "\0\u00e9"]
)
def test_what_is_not_there_is_as_written(tmp_path, path):
    assert existing_path(tmp_path, path) == tmp_path / path
    assert existing_path(tmp_path / "absent", path) == tmp_path / "absent" / path


def test_a_file_that_appears_later_is_found(tmp_path):
    if not spellings_are_apart(tmp_path):
        pytest.skip("this disk takes the spellings for one")
    assert existing_path(tmp_path, "\u00fc.wav") == tmp_path / "\u00fc.wav"
    (tmp_path / "u\u0308.wav").touch()
    os.utime(tmp_path, ns=(1, 1))
    assert existing_path(tmp_path, "\u00fc.wav") == tmp_path / "u\u0308.wav"


def test_of_two_that_fit_none_is_taken(tmp_path):
    if not spellings_are_apart(tmp_path):
        pytest.skip("this disk takes the spellings for one")
    (tmp_path / f"{ANGSTROM}.wav").touch()
    (tmp_path / "A\u030a.wav").touch()
    assert existing_path(tmp_path, "\u00c5.wav") == tmp_path / "\u00c5.wav"


def test_a_locale_without_unicode_finds_the_file(tmp_path):
    (tmp_path / "e\u0301.wav").write_text("here")
    code = (
        "import sys; from pathlib import Path; from encoder.common.names import existing_path;"
        "print(existing_path(Path(sys.argv[1]), '\\u00e9.wav').read_text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
            "LC_ALL": "C",
        },
        check=False,
    )
    assert done.stdout == "here\n", done.stderr
