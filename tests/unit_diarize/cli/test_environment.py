"""What a command finds in its environment: how threads wait, and another alphabet's locale."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMMAND = "import sys; sys.argv = ['diarize', '--version']; from diarize.cli import main; main()"
RECIPE = "import recipes"


def run(*words, cwd=ROOT, **env):
    known = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, capture_output=True, text=True, check=False,
        env={**known, "PYTHONPATH": str(ROOT), **env},
    )  # fmt: skip


@pytest.mark.parametrize("code", [COMMAND, RECIPE])
@pytest.mark.parametrize(
    ("given", "kept"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": ""}, "PASSIVE"),
                        ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")],
)  # fmt: skip
def test_threads_do_not_spin_unless_the_user_says_so(code, given, kept):
    shown = (
        "import atexit, os, sys\n"
        "atexit.register(lambda: print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules))\n"
    )
    done = run("-c", shown + code, **given)
    assert done.stdout.splitlines()[-1] == f"{kept} False"


@pytest.mark.skipif(shutil.which("localedef") is None, reason="no locales can be made here")
@pytest.mark.parametrize("charset", ["UTF-8", "ISO-8859-9"])
def test_a_locale_with_another_capital_i_changes_nothing(tmp_path, charset):
    made = subprocess.run(
        ["localedef", "-i", "tr_TR", "-f", charset, tmp_path / "tr_TR"], capture_output=True
    )
    if made.returncode:
        pytest.skip("there is no Turkish locale to make")
    line = "SPEAKER KAYIT 1 0.0 1.0 <NA> <NA> IŞIK <NA> <NA>\n"
    (tmp_path / "A.RTTM").write_text(line, encoding="utf-8")
    results = []
    for name, env in (("a", {}), ("B", {"LC_ALL": "tr_TR", "LOCPATH": str(tmp_path)})):
        words = ["score", "A.RTTM", "A.RTTM", "-q", "-o", f"{name}.JSON"]
        done = run("-m", "diarize", *words, cwd=tmp_path, **env)
        assert done.returncode == 0, done.stderr
        results.append((tmp_path / f"{name}.JSON").read_bytes())
    assert results[0] == results[1] and b"KAYIT" in results[0]
