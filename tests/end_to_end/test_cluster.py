"""`diarize cluster` as installed, on pieces of the real meeting and on bad input."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diarize.formats.rttm import read_rttm

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "voices"


def one_line(done, *words, code=2):
    """The command failed as a person would want: one sentence, no traceback."""
    text = done.stderr.decode()
    assert done.returncode == code, text
    assert done.stdout == b""
    assert text.startswith("diarize: ") and text.count("\n") == 1, text
    for word in words:
        assert word in text


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture(scope="session")
def folder(meeting, tmp_path_factory) -> Path:
    """Clips of 1.5 to 3 s in which one person of the meeting speaks alone: `NAME/START.wav`."""
    place = tmp_path_factory.mktemp("clips") / "my clips, all"
    speech, rate = soundfile.read(meeting, dtype="float32")
    (turns,) = read_rttm(meeting.with_suffix(".rttm")).values()
    edges = sorted({edge for turn in turns for edge in turn[:2]})
    for start, end in itertools.pairwise(edges):
        speaking = [turn.speaker for turn in turns if turn.start_s <= start and turn.end_s >= end]
        pieces = int((end - start) // 1.5) if len(speaking) == 1 else 0
        for begin, stop in itertools.pairwise(np.linspace(start, end, max(1, pieces // 2) + 1)):
            if pieces:
                path = place / speaking[0] / f"{begin:.1f}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, speech[int(begin * rate) : int(stop * rate)], rate)
    soundfile.write(place / "silent.flac", np.zeros(32_000, np.float32), 16_000)
    (place / "empty.wav").touch()
    (place / '=1+1, "x".mp3').write_text("no sound\n" * 99)
    return place


@pytest.mark.wheel
def test_a_folder_becomes_a_table_and_folders(command, folder, tmp_path):
    table, stored, people = tmp_path / "s.csv", tmp_path / "s.json", tmp_path / "people"
    flags = ["-o", table, "-o", stored, "--cache", tmp_path / "c.sqlite"]
    flags += ["--min-similarity", "0.3"]  # the women of this meeting are more alike, the man less
    done = command("cluster", folder, *flags, "--copy-to", people)
    assert done.returncode == 0 and done.stdout == b"", done.stderr.decode()
    assert "\x1b" not in done.stderr.decode()  # no bar in a pipe
    assert (
        "SPEAKER_00" in done.stderr.decode() and "3 clips without a speaker" in done.stderr.decode()
    )
    rows = rows_of(table.read_text())
    result = json.loads(stored.read_text())
    assert [row["path"] for row in rows] == [clip["path"] for clip in result["clips"]]
    assert [row["path"] for row in rows] == sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*.*")
    )
    voices = {row["path"].split("/")[0]: {row["speaker"]} for row in rows if row["speaker"]}
    for row in rows:
        voices.get(row["path"].split("/")[0], set()).add(row["speaker"])
    assert len(voices["MEE014"]) == 1 and len(voices["FEE013"]) == len(voices["FEE016"]) == 1
    assert not voices["MEE014"] & (voices["FEE013"] | voices["FEE016"])
    for row in rows:
        assert (people / (row["speaker"] or "none") / Path(row["path"]).name).exists()
    silent = {row["path"]: row["note"] for row in rows if not row["speaker"]}
    assert set(silent) == {"silent.flac", "empty.wav", '=1+1, "x".mp3'}
    assert silent["silent.flac"] == "no speech in 2.0 s" and "empty" in silent["empty.wav"]
    counts = result["counts"]
    assert counts["clips"] == len(rows) and counts["without_speaker"] == 3
    assert counts["embedded"] == len(rows) - 2 and counts["from_cache"] == 0
    assert counts["unreadable"] == 2
    assert result["version"] != "unknown" and len(result["encoder_fingerprint"]) == 8
    copied = sorted(path.name for path in people.rglob("*.*"))
    assert copied == sorted(Path(row["path"]).name for row in rows)
    assert (people / "none" / "silent.flac").exists()
    # Once more: nothing is embedded, nothing differs.
    done = command("cluster", folder, "-q", *flags, "--link-to", tmp_path / "links")
    assert done.stderr == b"" and rows_of(table.read_text()) == rows
    counts = json.loads(stored.read_text())["counts"]
    assert counts["embedded"] == 0 and counts["from_cache"] == len(rows) - 2
    plain = command("cluster", folder, "-q", "--no-cache", "--min-similarity", "0.3")
    assert plain.stdout.decode() == table.read_text()


def test_a_known_number_of_speakers(command, folder):
    done = command("cluster", folder, "-q", "--no-cache", "--speakers", "3")
    assert len({row["speaker"] for row in rows_of(done.stdout.decode())} - {""}) == 3


@pytest.mark.corpus
def test_real_speakers_are_separated_at_the_defaults(tmp_path):
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not beside the repository (../shared/corpus)")
    from diarize.clips.group import group_clips
    from diarize.scoring.clustering_metrics import score_clusters
    from encoder.data.manifest import read_manifest
    from encoder.data.splits import split_validation

    train = [u for u in read_manifest(CORPUS / "manifest.tsv") if u.split == "train"]
    _, kept = split_validation(train, share=0.04)
    speaker = {
        u.path.resolve(): u.speaker
        for u in kept
        if u.dataset in ("speechocean762", "speech_commands")
    }
    paths = list(speaker)[::2]
    groups = group_clips(paths, cache=False)
    truth = [speaker[clip.path] for clip in groups.clips]
    score = score_clusters(truth, [row.speaker for row in groups.rows])
    assert len(paths) > 90 and score.f > 0.9


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--speakers", "0"], ["0"]),
        (["--min-similarity", "0.5", "--min-probability", "0.5"], ["--min-similarity", "give one"]),
        (["--min-probability", "1"], ["min_probability", "1"]),
        (["--min-similarity", "2"], ["min_similarity", "2"]),
        (["--copy-to", "a", "--link-to", "b"], ["--copy-to and --link-to"]),
        (["--cache", "a", "--no-cache"], ["--cache and --no-cache"]),
        (["--clusterer", "kmeans"], ["kmeans", "agglomerative", "graph"]),
        (["--segmenter", "webrtc"], ["webrtc", "silero"]),
        (["--embedder", "nonesuch"], ["nonesuch"]),
        (["--set", "clip_embedding.piece=1"], ["clip_embedding.piece", "piece_s"]),
        (["--set", "clustering.agglomerative.x=1"], ["clustering.agglomerative.x"]),
        (["--set", "clustering.agglomerative=3"], ["clustering.agglomerative", "3"]),
        (["--set", "clustering.kmeans.k=3"], ["kmeans", "agglomerative"]),
        (["-o", "out.docx"], ["out.docx", ".json"]),
        (["-o", "no/such/folder/out.csv"], ["no/such/folder"]),
    ],
    ids=" ".join,
)
def test_flags_that_cannot_be_used(command, folder, flags, words):
    one_line(command("cluster", folder, *flags, "-q"), *words)


def test_folders_to_sort_into_that_cannot_be(command, folder, tmp_path):
    one_line(command("cluster", folder, "--copy-to", folder / "sorted"), "inside", "elsewhere")
    (tmp_path / "mine").touch()
    one_line(command("cluster", folder, "--link-to", tmp_path), "not empty")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    into = ("--copy-to", tmp_path / "new", "-q")
    one_line(command("cluster", folder, *into, "-o", tmp_path / "new"), "elsewhere")
    one_line(command("cluster", folder, *into, "--cache", tmp_path / "new/c"), "elsewhere")
    (tmp_path / "new").mkdir()
    one_line(command("cluster", folder, *into, "-o", tmp_path / "new/t.csv"), "elsewhere")
    long = tmp_path / f"{'x' * 300}.csv"
    one_line(command("cluster", folder, "-q", "-o", long), "shorter")


def test_places_without_a_voice(command, folder, tmp_path):
    out = tmp_path / "out.csv"
    (tmp_path / "empty").mkdir()
    one_line(command("cluster", tmp_path / "empty", "-o", out), "no sound or film", "empty")
    one_line(command("cluster", tmp_path / "absent", "-o", out), "absent")
    one_line(command("cluster", folder / "silent.flac", "-o", out), "one file")
    several = [folder / "silent.flac", folder / "empty.wav"]
    one_line(
        command("cluster", *several, "-o", out, "--no-cache"), "none of 2 clips can be embedded"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_cache_that_is_none(command, folder, tmp_path):
    (tmp_path / "thesis.txt").write_text("my work\n" * 99)
    done = command("cluster", folder, "-q", "--cache", tmp_path / "thesis.txt")
    one_line(done, "thesis.txt", "no cache of clips")
    assert (tmp_path / "thesis.txt").read_text() == "my work\n" * 99


def test_an_interrupt_says_how_far_it_came_and_the_next_run_goes_on(
    begin, command, meeting, tmp_path
):
    speech, rate = soundfile.read(meeting, dtype="float32")
    place = tmp_path / "clips"
    place.mkdir()
    for number in range(200):
        start = number * 2000
        soundfile.write(place / f"{number:03}.wav", speech[start : start + 8 * rate], rate)
    flags = [place, "-o", tmp_path / "o.json", "--cache", tmp_path / "c.sqlite"]
    running = begin("cluster", *flags)
    running.wait_for(rb" [1-9]\d*/200")  # some are embedded
    code, sentence = running.interrupt()
    said = re.fullmatch(
        r"diarize: stopped, (\d+) of 200 clips embedded; run it again to go on", sentence
    )
    assert code == 130 and said, sentence
    done = int(said[1])
    assert 0 < done < 200 and not (tmp_path / "o.json").exists()
    for path in sorted(place.iterdir())[done + 20 :]:
        path.unlink()  # enough to see that it goes on
    again = command("cluster", "-q", *flags)
    assert again.returncode == 0, again.stderr
    counts = json.loads((tmp_path / "o.json").read_text())["counts"]
    assert counts["clips"] == min(200, done + 20)
    assert done - 1 <= counts["from_cache"] <= done + 8
