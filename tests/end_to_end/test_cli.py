"""The installed command on real speech and on bad input."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from diarize.formats.rttm import read_rttm
from tests.support.synth import write_tracks

pytestmark = pytest.mark.wheel


def one_line(done, *words, code=2):
    """The command failed as a person would want: one sentence, no traceback."""
    text = done.stderr.decode()
    assert done.returncode == code, text
    assert done.stdout == b""
    assert text.startswith("diarize: ") and text.count("\n") == 1, text
    for word in words:
        assert word in text


def turns_of(done, folder):
    """The turns of the one recording that a command wrote to its standard output."""
    (folder / "stdout.rttm").write_bytes(done.stdout)
    (turns,) = read_rttm(folder / "stdout.rttm").values()
    return turns


def test_a_meeting_to_rttm_and_json(command, meeting, tmp_path):
    done = command(meeting, "-o", tmp_path / "out.rttm", "-o", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    assert "\x1b" not in done.stderr.decode()  # no bar in a pipe
    assert "SPEAKER_00" in done.stderr.decode()
    ((uri, turns),) = read_rttm(tmp_path / "out.rttm").items()
    assert uri == meeting.stem
    stored = json.loads((tmp_path / "out.json").read_text())
    assert [(t["start_s"], t["end_s"], t["speaker"]) for t in stored["turns"]] == turns
    assert sum(s["share"] for s in stored["speakers"]) == pytest.approx(1, abs=0.001)
    assert re.fullmatch("[0-9a-f]{8}", stored["encoder_fingerprint"])
    assert stored["config"]["clusterer"] == "agglomerative"
    assert stored["version"] != "unknown"


def test_quiet_and_standard_input_and_output(command, meeting):
    from_file = command(meeting, "-q", "--speakers", "2")
    from_pipe = command("-", "-q", "--speakers", "2", "-o", "-", stdin=meeting.read_bytes())
    assert from_file.stderr == from_pipe.stderr == b""
    assert from_file.stdout.startswith(b"SPEAKER ami_ES2004a_600_660 1 ")
    assert from_file.stdout.replace(b"ami_ES2004a_600_660", b"stdin") == from_pipe.stdout
    assert len({line.split()[7] for line in from_file.stdout.decode().splitlines()}) == 2


def test_turns_overlap_unless_they_are_to_be_exclusive(command, meeting, tmp_path):
    flags = (meeting, "-q", "--segmenter", "neural", "--speakers", "4")
    assert command(*flags, "-o", tmp_path / "both.rttm").returncode == 0
    assert command(*flags, "--exclusive", "-o", tmp_path / "one.rttm").returncode == 0
    both, one = (
        next(iter(read_rttm(tmp_path / f"{name}.rttm").values())) for name in ("both", "one")
    )
    assert any(b.start_s < a.end_s for a, b in pairwise(both))
    assert not any(b.start_s < a.end_s for a, b in pairwise(one))
    for turns in (both, one):
        names = list(dict.fromkeys(turn.speaker for turn in turns))
        assert names == sorted(names) and len(names) == 4  # numbered by first appearance


def test_names_with_spaces(command, meeting, tmp_path):
    sound = tmp_path / "board meeting (1).flac"
    sound.write_bytes(meeting.read_bytes())
    done = command(sound, "-q", "--max-speakers", "2")
    assert done.returncode == 0
    assert set(line.split()[1] for line in done.stdout.decode().splitlines()) == {
        "board_meeting_(1)"
    }


def test_silence_is_an_empty_rttm(command, tmp_path):
    soundfile.write(tmp_path / "s.wav", np.zeros(80_000, np.float32), 16_000)
    done = command(tmp_path / "s.wav", "-o", tmp_path / "s.rttm")
    assert done.returncode == 0
    assert (tmp_path / "s.rttm").read_bytes() == b""
    assert "no speech" in done.stderr.decode()


def test_one_channel_of_two(command, meeting, tmp_path):
    speech, rate = soundfile.read(meeting, dtype="float32")
    soundfile.write(tmp_path / "two.wav", np.stack([speech * 0, speech], axis=1), rate)
    silent = command(tmp_path / "two.wav", "--channel", "0", "-q")
    spoken = command(tmp_path / "two.wav", "--channel", "1", "-q")
    assert silent.stdout == b"" and silent.returncode == 0
    alone = command(meeting, "-q").stdout.replace(b"ami_ES2004a_600_660", b"two")
    assert spoken.stdout == alone
    one_line(command(tmp_path / "two.wav", "--channel", "2"), "channel")


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda p: p / "missing.wav", "missing.wav"),
        (lambda p: p, "folder"),
        (lambda p: (p / "empty.wav").write_bytes(b"") or p / "empty.wav", "empty"),
        (lambda p: (p / "t.mp3").write_text("no sound at all\n" * 50) and p / "t.mp3", "t.mp3"),
    ],
    ids=["missing", "folder", "empty", "not media"],
)
def test_what_is_not_sound_is_said_in_one_line_and_writes_nothing(command, tmp_path, make, word):
    source, out = make(tmp_path), tmp_path / "out.rttm"
    one_line(command(source, "-o", out), word)
    assert not out.exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--speakers", "0"], ["0"]),
        (["--speakers", "2", "--max-speakers", "3"], ["speakers is 2", "(--speakers)"]),
        (["--min-speakers", "4", "--max-speakers", "2"], ["4", "2"]),
        (["--embedder", "/o'brien/w.safetensors"], ["/o'brien/w.safetensors"]),
        (["--set", "clustering.agglomerative=3"], ["clustering.agglomerative", "3"]),
        (["--set", "window.window_s=inf"], ["window.window_s", "finite"]),
        (["--clusterer", "kmeans"], ["kmeans", "agglomerative", "hdbscan"]),
        (["--segmenter", "webrtc"], ["webrtc", "silero", "energy"]),
        (["--set", "window.stepp_s=1"], ["window.stepp_s", "step_s"]),
        (["--config", "nowhere.toml"], ["nowhere.toml"]),
        (["--embedder", "nonesuch"], ["nonesuch"]),
        (["--channel", "-1"], ["-1"]),
        (["-o", "out.docx"], ["out.docx", ".json"]),
        (["-o", "no/such/folder/out.rttm"], ["no/such/folder"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_flags_that_cannot_be_used(command, meeting, flags, words):
    one_line(command(meeting, *flags, "-q"), *words)


def test_nothing_is_written_when_one_of_two_outputs_cannot_be(command, meeting, tmp_path):
    one_line(command(meeting, "-o", tmp_path / "a.rttm", "-o", tmp_path / "no/b.json"), "no/b.json")
    assert not list(tmp_path.iterdir())


def test_options_may_come_first_and_names_may_look_like_markup(command, meeting, tmp_path):
    sound = tmp_path / "call [interview] [b].flac"
    sound.write_bytes(meeting.read_bytes())
    done = command("--max-speakers", "1", "-o", tmp_path / "o.rttm", sound)
    assert done.returncode == 0 and (tmp_path / "o.rttm").exists()
    assert "call [interview] [b]: 1 speaker" in done.stderr.decode()
    done = command("score", tmp_path / "o.rttm", tmp_path / "o.rttm")
    assert "call_[interview]_[b]" in done.stdout.decode()


def test_a_name_too_long_and_a_closed_standard_input(command):
    one_line(command("x" * 300 + ".wav"), "xxx.wav")
    one_line(command("-", stdin=b""), "standard input")


@pytest.mark.parametrize("seconds", [0.05, 0.12, 0.3, 0.7])
def test_a_blink_of_speech(command, meeting, tmp_path, seconds):
    speech, rate = soundfile.read(meeting, dtype="float32", start=9 * 16_000, frames=16_000)
    soundfile.write(tmp_path / "blink.wav", speech[: int(seconds * rate)], rate)
    done = command(tmp_path / "blink.wav", "-q")
    assert done.returncode == 0 and done.stderr == b""
    assert len({line.split()[7] for line in done.stdout.decode().splitlines()}) <= 1


def test_ctrl_c_stops_without_a_traceback(begin, meeting, tmp_path):
    long, rate = soundfile.read(meeting, dtype="int16")
    soundfile.write(tmp_path / "long.wav", np.tile(long, 20), rate)  # 20 minutes: it takes a while
    running = begin(tmp_path / "long.wav", "-o", tmp_path / "o.rttm")
    running.wait_for(b"finding speech")
    code, sentence = running.interrupt()
    assert code == 130, sentence
    assert re.fullmatch(r"diarize: stopped, while .*; nothing was written", sentence)
    assert [path.name for path in tmp_path.iterdir()] == ["long.wav"]


def test_a_full_disk_is_said(command, meeting):
    one_line(command(meeting, "-q", "--max-speakers", "1", "-o", "/dev/full"), "/dev/full")


def test_score(command, meeting, tmp_path):
    reference = meeting.with_suffix(".rttm")
    done = command("score", reference, reference, "-o", tmp_path / "score.json")
    assert done.returncode == 0
    assert "4/4" in done.stdout.decode()
    total = json.loads((tmp_path / "score.json").read_text())["total"]
    assert total["der"]["full"]["rate"] == 0 and total["speaker_count_right"] == 1
    one_line(command("score", reference, tmp_path / "none.rttm"), "none.rttm")


def test_help_names_the_commands_and_version(command):
    text = command("--help").stdout.decode()
    assert "score" in text and "run" in text
    assert re.fullmatch(
        r"deepspeaker-diarize \d+\.\d+\.\d+\n", command("--version").stdout.decode()
    )
    flags = command("run", "--help").stdout.decode()
    for flag in ("--speakers", "--min-speakers", "--max-speakers", "--channel", "--clusterer"):
        assert flag in flags


def test_each_track_of_a_film_has_speakers_of_its_own(command, meeting, tmp_path):
    """One track a person, as meetings are recorded: nobody is one person on two tracks."""
    speech, rate = soundfile.read(meeting, dtype="float32", stop=20 * 16_000)
    late = np.roll(speech, 10 * rate)
    path = write_tracks(tmp_path / "talk.mkv", [speech, late])
    best = command(path)
    assert b"2 audio tracks: track 0 was heard, not track 1" in best.stderr
    each = command(path, "--track", "each", "--speakers", "1", "-o", "-", "-o", tmp_path / "t.json")
    assert each.returncode == 0
    turns = turns_of(each, tmp_path)
    assert {turn.speaker for turn in turns} == {"SPEAKER_00", "SPEAKER_01"}
    found = json.loads((tmp_path / "t.json").read_text())
    assert found["asked"]["track"] == "each" and found["asked"]["speakers"] == 1
    said = [text for text in found["warnings"] if text.startswith("track ")]
    assert sorted(text[:8] for text in said) == ["track 0:", "track 1:"]
    assert command(path, "--track", "mix", "-q").returncode == 0
    one_line(command(path, "--track", "2"), "no audio track 2")
    one_line(command(path, "--track", "both"), "both", "mix or each")


def test_no_turn_ends_after_the_sound(command, meeting, tmp_path):
    speech, rate = soundfile.read(
        meeting, dtype="float32", start=35 * 16_000, stop=41 * 16_000 + 11
    )
    soundfile.write(tmp_path / "tail.flac", speech, rate)
    done = command(tmp_path / "tail.flac", "-q", "--segmenter", "energy")
    turns = turns_of(done, tmp_path)
    assert turns and max(turn.end_s for turn in turns) <= len(speech) / rate


def test_an_empty_name_is_a_sentence(command):
    one_line(command("", "-q"), "name of the media file is empty")
