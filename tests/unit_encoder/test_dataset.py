"""A bank holds the features of the files, says what it left out, and is whole or refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from encoder.audio import load_audio
from encoder.dataset import FeatureBank, Item, _features_of, build_bank
from encoder.errors import CorpusError
from encoder.features import FeatureConfig, LogMel
from encoder.manifest import Utterance

SPEEDS = (1.0, 0.9, 1.1)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of a finished bank, its utterances, the sentences, and the progress seen."""
    folder = tmp_path_factory.mktemp("bank")
    rng = np.random.default_rng(0)
    lengths = {"a1": 1.0, "a2": 0.7, "short": 0.3, "broken": 0.0, "absent": 0.0, "nan": 1.0, "b": 1}
    utterances = []
    for name, seconds in lengths.items():
        path = folder / f"{name}.wav"
        wave = 0.1 * rng.standard_normal(round(seconds * 16000)).astype(np.float32)
        if name == "broken":
            path.write_bytes(b"RIFF and nothing more")
        elif name == "nan":
            soundfile.write(path, np.where(np.arange(len(wave)) == 9, np.nan, wave), 16000, "FLOAT")
        elif name != "absent":
            soundfile.write(path, wave, 16000)
        utterances.append(Utterance(path, name[0], "d", "train", f"take-{name}", seconds))
    seen = []
    left_out = build_bank(
        utterances, folder / "bank", speeds=SPEEDS, workers=1,
        on_done=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    return folder / "bank", utterances, left_out, seen


def test_what_was_left_out_and_why(built):
    _, utterances, left_out, seen = built
    reasons = {"short.wav": "0.30 s, less than 0.5 s", "broken.wav": "", "absent.wav": ""}
    for name, reason in reasons.items():
        assert sum(name in s and reason in s for s in left_out) == 1, left_out
    assert seen == [(i + 1, len(utterances)) for i in range(len(utterances))]


def test_no_bank_holds_a_nan(built):
    bank = FeatureBank.open(built[0])
    assert np.isfinite(bank.features).all()


def test_items_and_speeds(built):
    bank = FeatureBank.open(built[0])
    config = FeatureConfig()
    lengths = {"take-a1": 16000, "take-a2": 11200, "take-b": 16000}
    at = 0
    for item in bank.items:
        assert item.start == at
        at += item.frames
        if item.take in lengths:
            samples = -(-lengths[item.take] * 10 // round(item.speed * 10))
            assert item.frames == config.frames(samples)
            voice = item.take[5]
            assert item.speaker == (voice if item.speed == 1 else f"{voice}@{item.speed}")
    assert bank.features.shape == (at, 64)
    assert [i.speed for i in bank.items if i.take == "take-a1"] == list(SPEEDS)
    assert set(lengths) <= {i.take for i in bank.items}


def test_features_are_those_of_the_file(built):
    folder, utterances, *_ = built
    bank = FeatureBank.open(folder)
    for utterance in (utterances[0], utterances[-1]):
        item = next(i for i in bank.items if i.take == utterance.take and i.speed == 1.0)
        expected = LogMel()(load_audio(utterance.path))
        torch.testing.assert_close(bank.frames(item), expected, atol=5e-3, rtol=1e-3)


def test_speed_moves_a_tone(tmp_path):
    """A copy at speed 1.1 is shorter and higher by a tenth."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.5 * tone, 16000)
    slow, fast = _features_of((path, (0.9, 1.1), 0.5))
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
        build_bank([broken, replace(broken, speaker="z")], folder, workers=1)
    with pytest.raises(CorpusError, match="build it again"):
        FeatureBank.open(folder)
