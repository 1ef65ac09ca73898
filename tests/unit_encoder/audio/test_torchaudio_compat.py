"""torchaudio beside a torch it was not built for, beside its own, and absent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(code, *paths):
    """Run `code` in a fresh interpreter that sees `paths` first; its output, or an assertion."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    env["PYTHONPATH"] = os.pathsep.join(map(str, [*paths, ROOT]))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


USE = """
import sys
assert "torchaudio" not in sys.modules
from encoder.audio.torchaudio_compat import torchaudio
assert "torchaudio" not in sys.modules, "importing encoder must not import torchaudio"
import torch
f = torchaudio().functional
assert torchaudio() is torchaudio() is sys.modules["torchaudio"]
t = torch.arange(800) / 800
down = f.resample(torch.sin(2 * torch.pi * 40 * t), 800, 400)
assert down.shape == (400,)
assert (down - torch.sin(2 * torch.pi * 40 * t[::2]))[20:-20].abs().max() < 1e-2
bank = f.melscale_fbanks(257, 20.0, 7600.0, 64, 16000, norm=None, mel_scale="htk")
assert bank.shape == (257, 64) and bank.max() <= 1 and (bank.sum(0) > 0).all()
print("ok")
"""


def test_resampling_and_mel_bank_work_here():
    assert run(USE) == "ok"


def test_works_after_somebody_elses_failed_import():
    code = (
        "try:\n    import torchaudio\nexcept OSError: pass\n"
        "from encoder.features.log_mel import LogMel\n"
    )
    assert run(code + "print(LogMel().bank.shape[1])") == "64"


def fake_torchaudio(folder, body):
    (folder / "torchaudio" / "_extension").mkdir(parents=True)
    (folder / "torchaudio" / "__init__.py").write_text(body)
    (folder / "torchaudio" / "_extension" / "__init__.py").write_text("MARK = 'the real one'")
    return folder


ASK = "from encoder.audio.torchaudio_compat import torchaudio\nprint(torchaudio().SAID)"


def test_an_intact_torchaudio_is_left_alone(tmp_path):
    body = "from torchaudio import _extension\nSAID = _extension.MARK"
    assert run(ASK, fake_torchaudio(tmp_path, body)) == "the real one"


def test_a_broken_extension_is_replaced(tmp_path):
    body = "from torchaudio import _extension\nSAID = _extension._IS_TORCHAUDIO_EXT_AVAILABLE"
    folder = fake_torchaudio(tmp_path, body)
    (folder / "torchaudio/_extension/__init__.py").write_text("raise OSError('libcudart.so')")
    assert run(ASK, folder) == "False"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise ImportError('no module of that name')", ["no module of that name", "pip install"]),
        ("raise OSError('broken for good')", ["broken for good", "belongs to it"]),
    ],
)
def test_a_hopeless_torchaudio_is_a_sentence(tmp_path, body, words):
    code = """
from encoder.errors import BackendUnavailable
from encoder.audio.torchaudio_compat import torchaudio
import sys
try:
    torchaudio()
except BackendUnavailable as error:
    assert "torchaudio._extension" not in sys.modules, "the stand-in was left behind"
    print(error)
"""
    said = run(code, fake_torchaudio(tmp_path, body))
    assert said.startswith("torchaudio cannot be imported")
    assert all(word in said for word in words), said


def test_a_missing_torchaudio_is_a_sentence():
    code = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torchaudio":
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Blocker())
from encoder.errors import BackendUnavailable
from encoder.features.log_mel import LogMel
try:
    LogMel()
except BackendUnavailable as error:
    print(error)
"""
    said = run(code)
    assert "No module named 'torchaudio'" in said
    assert "pip install torchaudio" in said
