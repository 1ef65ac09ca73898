"""Build the wheel, install it in an environment of its own, and test it from another folder.

    python .ci/wheel_test.py

Only the tests and samples are copied there, so that what passes is the wheel and not the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Annotated, Optional

import typer

ROOT = Path(__file__).resolve().parents[1]


def main(
    constraints: Annotated[Optional[Path], typer.Option(help="pip constraints")] = None,  # noqa: UP045
) -> None:
    """Exit with the status of the tests."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        _run(sys.executable, "-m", "build", "--wheel", "--outdir", place / "dist", ROOT, cwd=place)
        (wheel,) = (place / "dist").glob("*.whl")
        print(f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MB", flush=True)
        venv.create(place / "env", with_pip=True)
        python = place / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
        limits = ["-c", constraints.resolve()] if constraints else []
        _run(
            python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *limits,
            f"{wheel}[test]", cwd=place,
        )  # fmt: skip
        for part in ("tests", "recipes/samples"):
            shutil.copytree(ROOT / part, place / "work" / part)
        (place / "work/pytest.ini").write_text(
            "[pytest]\naddopts = -q --import-mode=importlib\npythonpath = .\n"
            "markers =\n    slow: takes long\n    wheel: runs against the wheel\n"
            "    corpus: needs the corpus\n"
        )
        _run(
            python, "-c",
            "import diarize, encoder, sys; "
            "assert all('site-packages' in m.__file__ for m in (diarize, encoder))",
            cwd=place / "work",
        )  # fmt: skip
        tests = ("tests/end_to_end", "-m", "wheel", "-n", "2", "--dist", "loadfile")
        _run(python, "-m", "pytest", *tests, cwd=place / "work")


def _run(*command: object, cwd: Path) -> None:
    done = subprocess.run([str(c) for c in command], cwd=cwd)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    typer.run(main)
