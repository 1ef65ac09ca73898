"""Conversations made of the sample meeting's voices, as a corpus that can be scored."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import soundfile

from diarize.formats.rttm import read_rttm
from tests.support.recipe_runs import SAMPLES, run, write_rows

pytestmark = pytest.mark.slow

TALK = "ami_ES2004a_600_660"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Utterances of the sample's speakers where each talks alone, all `heldout`, and a hiss."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "voices").mkdir()
    sound, rate = soundfile.read(SAMPLES / f"{TALK}.flac")
    rows = []
    for number, turn in enumerate(read_rttm(SAMPLES / f"{TALK}.rttm")[TALK]):
        if turn.duration_s < 1.5:
            continue
        name = f"{number}.flac"
        piece = sound[round(turn.start_s * rate) : round(turn.end_s * rate)]
        soundfile.write(folder / "voices" / name, piece, rate)
        row = {"dataset": "ami", "speaker": turn.speaker, "path": name, "split": "heldout"}
        rows.append({**row, "recording": name, "seconds": f"{turn.duration_s:.2f}"})
    write_rows(folder / "voices/manifest.tsv", rows)
    soundfile.write(folder / "hiss.flac", np.random.default_rng(0).normal(size=rate) * 0.1, rate)
    background = {"kind": "noise", "set": "x", "path": "hiss.flac", "seconds": "1.0"}
    write_rows(folder / "acoustics.tsv", [background])
    return folder


def test_labelled_conversations_are_made_and_made_again(corpus, tmp_path):
    command = ["--data", corpus, "--style", "call", "--style", "meeting", "--speakers", 2]
    command += ["--speakers", 1, "--shortest-s", 20, "--longest-s", 25]
    text = run("prepare.simulated_conversations", *command, "--out", "one", cwd=tmp_path)
    assert "4 conversations" in text and "switches_a_minute" in text
    folder = tmp_path / "one/conversations"
    with (folder / "manifest.tsv").open(newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    assert [row["speakers"] for row in rows] == ["2", "1", "2", "1"]
    assert [row["kind"].split()[-1] for row in rows] == ["call", "call", "meeting", "meeting"]
    for row in rows:
        sound = soundfile.info(folder / row["file"])
        assert sound.samplerate == 16_000 and sound.channels == 1
        assert 20 <= sound.duration <= 25
        assert float(row["seconds"]) == pytest.approx(sound.duration, abs=0.06)
        (turns,) = read_rttm(folder / f"{row['recording']}.rttm").values()
        talk = {name: 0.0 for name in {turn.speaker for turn in turns}}
        for turn in turns:
            talk[turn.speaker] += turn.duration_s
        assert len(talk) == int(row["speakers"]) and min(talk.values()) > 1.2
        assert max(turn.end_s for turn in turns) <= sound.duration
    # The same again with the voices kept, and one style alone.
    alone = [*command[:4], *command[6:]]
    run("prepare.simulated_conversations", *alone, "--out", "two", cwd=tmp_path)
    for path in (tmp_path / "two/conversations").glob("call*"):
        assert path.read_bytes() == (folder / path.name).read_bytes()
    assert len(list((tmp_path / "two/conversations").iterdir())) == 5
    assert len(list((tmp_path / "cache/voices").iterdir())) == 1
    assert not list(tmp_path.rglob("*.partial"))
    run("prepare.simulated_conversations", *alone, "--out", "three", "--seed", 1, cwd=tmp_path)
    assert not {p.name for p in (tmp_path / "three/conversations").glob("call*")} & {
        p.name for p in folder.iterdir()
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--style", "opera"], "unknown style 'opera': choose from meeting, call, broadcast"),
        (["--speakers", 40], "usable speakers in 'heldout', not 40"),
        (["--split", "train"], "has no speakers of the split 'train'"),
        (["--speakers", 0], "0 speakers cannot be made"),
        (["--shortest-s", 60, "--longest-s", 30], "60 to 30 s cannot be made"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(corpus, tmp_path, arguments, sentence):
    text = run(
        "prepare.simulated_conversations", "--data", corpus, *arguments, cwd=tmp_path, code=2
    )
    assert sentence in " ".join(text.split()) and "Traceback" not in text
    assert not (tmp_path / "cache/simulated").exists()


def test_without_a_corpus_it_is_skipped(tmp_path):
    assert "skipped" in run("prepare.simulated_conversations", "--data", "nowhere", cwd=tmp_path)
