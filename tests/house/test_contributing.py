"""CONTRIBUTING's map of the rooms is made of their docstrings.

`python -m tests.house.test_contributing` writes it anew.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.house.test_house import FLOORS

ROOT = Path(__file__).parents[2]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
MAP = re.compile(r"(?<=<!-- rooms -->\n).*?(?=<!-- /rooms -->)", re.S)


def first_sentence(folder: Path) -> str:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert text, folder
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=\w)\.(?= [A-Z]|$)", paragraph)[0].rstrip(".")


def house_map() -> str:
    """A row for each room and the folders in it, lower floors first, as test_house.py has them."""
    rows = ["| room | what it does |", "|---|---|"]
    for package, floors in FLOORS.items():
        rooms = [room for on_floor in floors for room in on_floor.split()]
        for room in rooms:
            folder = ROOT / package / room
            inside = {init.parent for init in folder.glob("**/__init__.py")}
            own = {ROOT / package / other for other in rooms} - {folder}
            for place in sorted(inside - own):
                name = place.relative_to(ROOT).as_posix()
                rows.append(f"| `{name}` | {first_sentence(place)} |")
    return "\n".join(rows) + "\n"


def test_the_map_is_the_house():
    (found,) = MAP.findall(CONTRIBUTING.read_text(encoding="utf-8"))
    assert found == house_map(), "run `python -m tests.house.test_contributing`"


def test_the_map_names_every_folder_with_code():
    found = CONTRIBUTING.read_text(encoding="utf-8")
    for package in FLOORS:
        for init in (ROOT / package).glob("*/**/__init__.py"):
            assert f"`{init.parent.relative_to(ROOT).as_posix()}`" in found


def test_the_files_and_options_that_it_names_exist():
    text = CONTRIBUTING.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:encoder|diarize|tests|\.ci)/[\w./]+)`", text):
        assert (ROOT / path).exists(), path
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make\s+([a-z-]+)`", text):
        assert re.search(rf"^{target}:", makefile, re.M), target


if __name__ == "__main__":
    content = CONTRIBUTING.read_text(encoding="utf-8")
    CONTRIBUTING.write_text(MAP.sub(lambda _: house_map(), content), encoding="utf-8")
