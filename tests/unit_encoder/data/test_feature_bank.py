"""A bank holds the features of the files, says what it left out, and is whole or refused."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from encoder.audio.load import load_audio
from encoder.augmentation.telephone import codec_of
from encoder.data.feature_bank import (
    FeatureBank,
    Item,
    _features_of,
    _Job,
    bank_of,
    build_bank,
    speeds_of,
)
from encoder.data.manifest import Utterance
from encoder.errors import CorpusError
from encoder.features.log_mel import FeatureConfig, LogMel

ROOT = Path(__file__).parents[3]
SPEEDS = (1.0, 0.9, 1.1)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of a finished bank, its utterances, the sentences, and the progress seen."""
    folder = tmp_path_factory.mktemp("bank")
    rng = np.random.default_rng(0)
    lengths = dict.fromkeys(
        ("a1", "a2", "short", "broken", "absent", "nan", "quiet", "cut", "b"), 1.0
    )
    lengths |= {"a2": 0.7, "short": 0.3}
    utterances = []
    for name, seconds in lengths.items():
        path = folder / f"{name}.wav"
        wave = 0.1 * rng.standard_normal(round(seconds * 16000)).astype(np.float32)
        if name == "broken":
            path.write_bytes(b"RIFF and nothing more")
        elif name == "nan":
            soundfile.write(path, np.where(np.arange(len(wave)) == 9, np.nan, wave), 16000, "FLOAT")
        elif name == "quiet":
            soundfile.write(path, 0 * wave, 16000)
        elif name != "absent":
            soundfile.write(path, wave, 16000)
        if name == "cut":
            path.write_bytes(path.read_bytes()[:12_000])
        utterances.append(Utterance(path, name[0], "d", "train", f"session-{name}", seconds))
    seen = []
    left_out = build_bank(
        utterances, folder / "bank", speeds=SPEEDS, workers=1,
        on_done=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    return folder / "bank", utterances, left_out, seen


def test_what_was_left_out_and_why(built):
    _, utterances, left_out, seen = built
    reasons = {
        "short.wav": "0.30 s, less than 0.5 s",
        "broken.wav": "",
        "absent.wav": "",
        "quiet.wav": "is silent from beginning to end",
        "nan.wav": "has samples that are no numbers at 0.0 s",
        "cut.wav": "its header promises",
    }
    for name, reason in reasons.items():
        assert sum(name in s and reason in s for s in left_out) == 1, left_out
    assert seen == [(i + 1, len(utterances)) for i in range(len(utterances))]


def test_without_workers_the_bank_is_the_same(built, tmp_path):
    left_out = build_bank(built[1], tmp_path, speeds=SPEEDS, workers=0)
    assert left_out == built[2]
    one, other = FeatureBank.open(built[0]), FeatureBank.open(tmp_path)
    assert one.items == other.items
    np.testing.assert_allclose(one.features, other.features, atol=2e-2)


def test_no_bank_holds_a_nan(built):
    bank = FeatureBank.open(built[0])
    assert np.isfinite(bank.features).all()


def test_items_and_speeds(built):
    bank = FeatureBank.open(built[0])
    config = FeatureConfig()
    lengths = {"session-a1": 16000, "session-a2": 11200, "session-b": 16000}
    at = 0
    for item in bank.items:
        assert item.start == at
        at += item.frames
        if item.session in lengths:
            samples = -(-lengths[item.session] * 10 // round(item.speed * 10))
            assert item.frames == config.frames(samples)
            voice = item.session.removeprefix("session-")[0]
            assert item.speaker == (voice if item.speed == 1 else f"{voice}@{item.speed}")
    assert bank.features.shape == (at, 64)
    assert [i.speed for i in bank.items if i.session == "session-a1"] == list(SPEEDS)
    assert set(lengths) <= {i.session for i in bank.items}


def test_features_are_those_of_the_file(built):
    folder, utterances, *_ = built
    bank = FeatureBank.open(folder)
    for utterance in (utterances[0], utterances[-1]):
        item = next(i for i in bank.items if i.session == utterance.session and i.speed == 1.0)
        expected = LogMel()(load_audio(utterance.path))
        torch.testing.assert_close(bank.frames(item), expected, atol=5e-3, rtol=1e-3)


def test_speed_moves_a_tone(tmp_path):
    """A copy at speed 1.1 is shorter and higher by a tenth."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.5 * tone, 16000)
    slow, fast = _features_of(_Job(path, (0.9, 1.1), 0.5))
    pitch = [0.9 * 1000, 1.1 * 1000]
    bands = [round((mel(p) - mel(20)) / ((mel(7600) - mel(20)) / 65) - 1) for p in pitch]
    assert [int(f.mean(axis=0).argmax()) for f in (slow, fast)] == bands


def mel(hertz):
    return 2595 * np.log10(1 + hertz / 700)


RAMP = FeatureBank(
    np.arange(30, dtype=np.float16).reshape(10, 3),
    [Item(0, 6, "a", "d", "t", 1.0), Item(6, 4, "b", "d", "u", 1.0)],
)


@pytest.mark.parametrize(
    ("item", "offset", "count", "rows"),
    [
        (0, 0, None, [0, 1, 2, 3, 4, 5]),
        (1, 0, None, [6, 7, 8, 9]),
        (0, 2, 3, [2, 3, 4]),
        (0, 0, 6, [0, 1, 2, 3, 4, 5]),
        (1, 0, 4, [6, 7, 8, 9]),
        (1, 0, 5, [6, 7, 8, 9, 6]),
        (1, 3, 5, [6, 7, 8, 9, 6]),  # a short item has one crop only
        (1, 0, 11, [6, 7, 8, 9, 6, 7, 8, 9, 6, 7, 8]),
    ],
)
def test_frames_cut_and_repeat(item, offset, count, rows):
    got = RAMP.frames(RAMP.items[item], offset, count)
    assert got.dtype == torch.float32
    assert (got[:, 0] / 3).tolist() == rows


def copy_of(bank, tmp_path):
    shutil.copytree(bank, tmp_path / "copy")
    return tmp_path / "copy"


def lose_index(folder):
    (folder / "index.json").unlink()


def cut_index(folder):
    text = (folder / "index.json").read_text()
    (folder / "index.json").write_text(text[: len(text) // 2])


def cut_features(folder):
    with (folder / "features.f16").open("r+b") as handle:
        handle.truncate(1000)


def lose_features(folder):
    (folder / "features.f16").unlink()


def lose_key(folder):
    (folder / "index.json").write_text('{"shape": [1, 64]}')


@pytest.mark.parametrize("harm", [lose_index, cut_index, cut_features, lose_features, lose_key])
def test_half_a_bank_is_refused(built, tmp_path, harm):
    folder = copy_of(built[0], tmp_path)
    FeatureBank.open(folder)
    harm(folder)
    with pytest.raises(CorpusError, match=r"no finished feature bank in .*copy.*build it again"):
        FeatureBank.open(folder)


def test_a_bank_of_other_features_is_refused(built, tmp_path):
    folder = copy_of(built[0], tmp_path)
    index = json.loads((folder / "index.json").read_text())
    index["config"]["f_max"] = 4000.0
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(CorpusError, match=r"other settings.*4000"):
        FeatureBank.open(folder)


def test_a_failed_build_takes_the_old_index_away(built, tmp_path):
    folder = copy_of(built[0], tmp_path)
    broken = next(u for u in built[1] if u.path.name == "broken.wav")
    with pytest.raises(CorpusError, match=r"none of the 2 utterances .*broken\.wav"):
        build_bank([broken, replace(broken, speaker="z")], folder, workers=0)
    with pytest.raises(CorpusError, match="build it again"):
        FeatureBank.open(folder)


@pytest.fixture(scope="module")
def called(built, tmp_path_factory):
    """A bank with a telephone copy of each utterance, and the utterances in it."""
    usable = [u for u in built[1] if u.path.stem in ("a1", "a2", "b")]
    usable = [replace(u, name=u.path.name) for u in usable]
    folder = tmp_path_factory.mktemp("called")
    build_bank(usable, folder, speeds=(1.0, 0.9), telephone=True, workers=0)
    return FeatureBank.open(folder), usable


def test_every_utterance_has_one_telephone_copy(called):
    bank, utterances = called
    assert len(bank.items) == 3 * len(utterances)
    for plain, slow, call in zip(bank.items[::3], bank.items[1::3], bank.items[2::3], strict=True):
        assert (plain.channel, slow.channel) == ("", "")
        assert call == plain._replace(start=call.start, channel=call.channel)  # the same speaker
        kind, codec = call.channel.split(":")
        assert kind == "telephone"
        assert codec == codec_of(plain.name)
        at = call.start
        assert at == slow.start + slow.frames


def test_a_telephone_copy_is_the_same_sound_in_a_narrow_band(called):
    bank, _ = called
    for plain, call in zip(bank.items[::3], bank.items[2::3], strict=True):
        wide, narrow = bank.frames(plain), bank.frames(call)
        assert (wide - narrow)[:, 55:].mean() > 5  # above 5 kHz: noise has fallen by 20 dB
        assert (wide - narrow)[:, 15:35].mean().abs() < 2


def test_a_share_of_telephone_copies_and_the_key(built, tmp_path):
    usable = [replace(u, name=f"n{i}") for i, u in enumerate([built[1][0]] * 6)]
    banks = [bank_of(usable, tmp_path, "x", telephone=share) for share in (0.0, 0.5, 1.0)]
    copies = [[i.name for i in bank.items if i.channel] for bank in banks]
    assert copies[0] == []
    assert copies[1] == [u.name for u in usable if codec_of(u.name, share=0.5)]
    assert 0 < len(copies[1]) < len(copies[2]) == 6
    assert len(list(tmp_path.iterdir())) == 3


def test_the_key_of_a_bank_without_copies_is_as_it_always_was(tmp_path):
    """A bank that took hours is found again: its name is this hash of its list."""
    utterances = [Utterance(Path("v/a.wav"), "ann", "d", "train", "t", 2.5, "a.wav")]
    (tmp_path / "train-3cb011f6").mkdir()
    shape = {"shape": [5, 64], "config": asdict(FeatureConfig())}
    rows = [[0, 5, "ann", "d", "t", 1.0], [0, 5, "ann", "d", "t", 1.0, "a.wav"]]  # older indexes
    index = json.dumps({**shape, "items": rows})
    (tmp_path / "train-3cb011f6/index.json").write_text(index)
    np.zeros((5, 64), np.float16).tofile(tmp_path / "train-3cb011f6/features.f16")
    bank = bank_of(utterances, tmp_path, "train", speeds=(1.0, 0.9))
    assert [(i.name, i.channel) for i in bank.items] == [("", ""), ("a.wav", "")]


def test_one_copy_is_one_of_the_other_speeds_by_the_speaker(built, tmp_path):
    names = [f"speaker {n}" for n in range(40)]
    chosen = {name: speeds_of(name, (1.1, 1.0, 0.9)) for name in names}
    assert all(len(speeds) == 2 and speeds[0] == 1.0 for speeds in chosen.values())
    assert {speeds[1] for speeds in chosen.values()} == {0.9, 1.1}
    assert all(speeds_of(name, (0.9, 1.1, 1.0)) == chosen[name] for name in names)  # any order
    assert speeds_of("a", (1.0,)) == (1.0,)
    build_bank(built[1], tmp_path, speeds=SPEEDS, one_speed_copy=True, workers=0)
    every = FeatureBank.open(built[0])
    for item in FeatureBank.open(tmp_path).items:
        assert item.speed in speeds_of(item.person, SPEEDS)
        (same,) = [i for i in every.items if i.copy == item.copy and i.session == item.session]
        assert (same.speaker, same.frames) == (item.speaker, item.frames)


def test_banks_with_one_copy_have_their_own_key(built, tmp_path):
    some = built[1][:2]
    for one_speed_copy in (False, True):
        bank_of(some, tmp_path, "x", speeds=SPEEDS, one_speed_copy=one_speed_copy)
    assert sorted(len(FeatureBank.open(f).items) for f in tmp_path.iterdir()) == [4, 6]


@pytest.mark.skipif(os.name != "posix", reason="locks and signals of POSIX")
def test_what_a_killed_build_has_left_is_removed_by_the_next(built, tmp_path):
    """Also of another list, which nobody may build again."""
    usable = [u for u in built[1] if u.path.stem in ("a1", "a2")]
    code = """
import os, signal, sys
from pathlib import Path
from encoder.data.feature_bank import bank_of
from encoder.data.manifest import Utterance
utterances = [Utterance(Path(name), "a", "d", "train", "s", 1.0) for name in sys.argv[2:]]
def stop(done, total):
    os.kill(os.getpid(), signal.SIGKILL)
bank_of(utterances, Path(sys.argv[1]), "train", on_done=stop)
"""
    for names in ([str(u.path) for u in usable], [str(usable[0].path)]):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), *names], cwd=ROOT, check=False, timeout=120
        )
        assert done.returncode == -signal.SIGKILL
        left = [path.parent for path in tmp_path.rglob("*.partial")]
        assert len(left) == 2 and len(set(left)) == 1  # its own features and index, no other's
    (orphan := tmp_path / "dev-01234567").mkdir()  # killed between its two files
    (orphan / "features.f16").write_bytes(bytes(1000))
    kept = tmp_path / "train-notabank"
    kept.mkdir()
    (kept / "features.f16").touch()
    bank = bank_of([replace(u, speaker="z") for u in usable], tmp_path, "train")
    assert len(bank.items) == 2
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert files[-1] == "train-notabank/features.f16" and len(files) == 3
    assert all(stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600 for name in files[:2])
