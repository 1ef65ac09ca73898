"""Folders of clips: what is found, embedded once, grouped and noted, on tones."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diarize.clips.cache import ClipCache
from diarize.clips.cluster import cluster_clips, least_similarity, pick_clusterer
from diarize.clips.embed import Clip, embed_clips
from diarize.clips.find import find_clips
from diarize.clustering.api import SpeakerCount
from diarize.embedding.clip_embedding import ClipEmbedder
from encoder.calibration.score_calibration import Calibration
from encoder.errors import BackendUnavailable, ConfigError, CorpusError
from tests.support.tones import BandEmbedder, LoudSegmenter, tone_voices, write_tone

ROOT = Path(__file__).parents[3]
CALIBRATION = Calibration("bands", slope=10.0, offset=-5.0, shortness=1.0)


def clip(name: str, vector: list[float] | None, speech_s: float = 2.0, **more: object) -> Clip:
    unit = None if vector is None else np.array(vector, np.float32) / np.linalg.norm(vector)
    return Clip(Path(name), unit, speech_s, 3.0, **more)  # type: ignore[arg-type]


def exact(min_similarity: float = 0.5):
    return pick_clusterer("agglomerative", 10, min_similarity=min_similarity)


# Finding


def test_every_medium_at_any_depth_once(tmp_path):
    for name in ("b.WAV", "a/x y.mp4", "a/b/c.opus", ".hidden/h.wav", ".h.wav", "a/notes.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "in" / "a" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "self.wav").symlink_to("self.wav")
    found = find_clips([tmp_path / "in"])
    assert list(found) == ["a/b/c.opus", "a/x y.mp4", "b.WAV", "self.wav"]
    assert [path.is_file() for path in found.values()] == [True, True, True, False]
    # A file given by itself may be called anything; what is given twice is there once.
    both = find_clips(
        [tmp_path / "in" / "a" / "b", tmp_path / "in" / "a" / "notes.txt", tmp_path / "in"]
    )
    assert list(both) == ["a/b/c.opus", "a/notes.txt", "a/x y.mp4", "b.WAV", "self.wav"]


def test_names_are_from_the_folder_that_holds_all(tmp_path, monkeypatch):
    for name in ("one/a.wav", "two/deep/a.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert list(find_clips([tmp_path / "two", tmp_path / "one"])) == ["one/a.wav", "two/deep/a.wav"]
    assert list(find_clips([tmp_path / "two" / "deep"])) == ["a.wav"]
    monkeypatch.chdir(tmp_path / "two")
    assert list(find_clips([Path()])) == ["deep/a.wav"]
    assert list(find_clips([Path("deep"), Path("../one")])) == ["one/a.wav", "two/deep/a.wav"]


def test_places_without_clips(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "one.wav").touch()
    for place, words in (
        ("empty", "no sound or film"),
        ("nowhere", "no .*nowhere"),
        ("one.wav", "one file"),
    ):
        with pytest.raises(CorpusError, match=words):
            find_clips([tmp_path / place])


# Hearing


def test_clips_are_embedded_in_order_whatever_the_threads(tmp_path):
    paths = [write_tone(tmp_path / f"{i}.wav", 50 + 100 * (i % 16), 1 + i % 3) for i in range(20)]
    counted = []
    one = embed_clips(paths, tone_voices(), workers=1, on_done=lambda *at: counted.append(at))
    four = embed_clips(paths, tone_voices(), workers=4)
    assert counted == [(i + 1, 20) for i in range(20)]
    assert [c.path for c in one] == [c.path for c in four] == paths
    assert [int(c.vector.argmax()) for c in one] == [i % 16 for i in range(20)]
    for a, b in zip(one, four, strict=True):
        assert np.array_equal(a.vector, b.vector)
        assert (a.speech_s, a.duration_s, a.reason) == (b.speech_s, b.duration_s, b.reason)


def test_what_cannot_be_read_has_a_note_and_nothing_else_is_lost(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.mp3").write_text("no sound\n" * 99)
    (tmp_path / "broken.wav").symlink_to("nowhere.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    odd = tmp_path / os.fsdecode(b"caf\xe9 \"a\", 'b'.wav")
    paths = [
        *(
            tmp_path / name
            for name in ("empty.wav", "text.mp3", "broken.wav", "pipe.wav", "gone.wav")
        ),
        write_tone(tmp_path / "silent.wav", 0, 2, noise=0),
        write_tone(tmp_path / "blink.wav", 450, 0.3),
        write_tone(tmp_path / "tiny.wav", 450, 0.01),
        write_tone(odd, 450),
    ]
    clips = embed_clips(paths, tone_voices())
    assert [c.readable for c in clips] == [False] * 5 + [True] * 4
    assert [c.vector is not None for c in clips] == [False] * 8 + [True]
    reasons = [c.reason for c in clips]
    for reason, word in zip(
        reasons,
        ("empty", "media", "broken.wav", "is no file", "gone.wav", "no speech in 2.0 s",
         "only 0.3 s of speech in 0.3 s", "no speech in 0.0 s", ""),
        strict=True,
    ):  # fmt: skip
        assert word in reason and "\n" not in reason
    rows = cluster_clips(clips, exact())
    assert [row.speaker for row in rows] == [None] * 8 + ["SPEAKER_00"]
    assert [row.note for row in rows] == reasons


def test_a_long_clip_says_how_much_was_read(tmp_path):
    from diarize.embedding.clip_embedding import ClipEmbeddingConfig

    voices = tone_voices(config=ClipEmbeddingConfig(longest_s=5.0))
    clips = embed_clips([write_tone(tmp_path / "long.wav", 450, 7)], voices)
    (row,) = cluster_clips(clips, exact())
    assert (row.speaker, row.seconds, row.note) == (
        "SPEAKER_00",
        5.0,
        "only the first 5 s were read",
    )


def test_a_vector_that_cannot_be_compared_is_none(tmp_path):
    class Broken(BandEmbedder):
        def embed_windows(self, wave, bounds, *, on_done=None):
            return super().embed_windows(wave, bounds) * np.float32(0)

    paths = [write_tone(tmp_path / "a.wav", 450)]
    voices = ClipEmbedder(LoudSegmenter(), Broken())
    with ClipCache.open(tmp_path / "c.sqlite", "bands", voices.recipe, print) as cache:
        for _ in range(2):
            clips = embed_clips(paths, voices, cache=cache)
            assert clips[0].vector is None and clips[0].readable
            (row,) = cluster_clips(clips, exact())
            assert (row.speaker, row.note) == (None, "no vector that can be compared")
            cache.commit()
    assert clips[0].from_cache


def test_what_is_remembered_of_a_clip_holds_under_another_name(tmp_path):
    whole = write_tone(tmp_path / "old.wav", 450, 5)
    whole.write_bytes(whole.read_bytes()[:80_000])  # cut off
    then = whole.stat().st_mtime - 100
    os.utime(whole, (then, then))
    (first,), embedded = remembered(tmp_path / "c.sqlite", [whole])
    whole.rename(tmp_path / "new.wav")
    (second,), again = remembered(tmp_path / "c.sqlite", [tmp_path / "new.wav"])
    assert (embedded, again) == (1, 0)
    assert first.warnings == second.warnings and second.warnings[0].startswith("stops at 2.5 s")
    assert "old.wav" not in second.warnings[0]


def remembered(cache_file: Path, paths: list[Path], fingerprint: str = "bands"):
    voices = tone_voices(fingerprint)
    warnings: list[str] = []
    with ClipCache.open(cache_file, fingerprint, voices.recipe, warnings.append) as cache:
        clips = embed_clips(paths, voices, cache=cache)
    assert warnings == []
    return clips, voices.segmenter.calls


def test_a_second_run_hears_only_what_changed(tmp_path):
    paths = [write_tone(tmp_path / f"{i}.wav", 50 + 100 * i) for i in range(6)]
    paths.append(write_tone(tmp_path / "silent.wav", 0, noise=0))
    (tmp_path / "bad.wav").touch()
    paths.append(tmp_path / "bad.wav")
    file = tmp_path / "clips.sqlite"
    first, embedded = remembered(file, paths)
    assert embedded == 7 and not any(c.from_cache for c in first)
    second, embedded = remembered(file, paths)
    assert embedded == 0 and [c.from_cache for c in second] == [True] * 7 + [False]
    for a, b in zip(first, second, strict=True):
        assert (a.vector is None) == (b.vector is None)
        assert a.vector is None or np.array_equal(a.vector, b.vector)
        assert (a.speech_s, a.duration_s, a.reason) == (b.speech_s, b.duration_s, b.reason)
    write_tone(paths[2], 1150)
    paths[3].rename(tmp_path / "renamed.wav")
    paths[3] = tmp_path / "renamed.wav"
    write_tone(tmp_path / "bad.wav", 1350)
    third, embedded = remembered(file, paths)
    assert embedded == 2 and [c.from_cache for c in third].count(False) == 2
    assert third[2].vector.argmax() == 11 and third[-1].vector.argmax() == 13
    _, embedded = remembered(file, paths, "another embedder")
    assert embedded == 8


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    """SIGKILL after 30 of 40 clips; what was committed until then is not embedded again."""
    paths = [write_tone(tmp_path / f"{i:02}.wav", 50 + 100 * (i % 16), 1) for i in range(40)]
    code = """
import os, signal, sys
from pathlib import Path
from diarize.clips.embed import embed_clips
from diarize.clips import cache as clip_cache
from tests.support.tones import tone_voices
clip_cache.COMMIT_EVERY_S = 0
voices = tone_voices()
def on_done(done, total):
    if done == 30:
        os.kill(os.getpid(), signal.SIGKILL)
with clip_cache.ClipCache.open(Path(sys.argv[1]), "bands", voices.recipe, print) as cache:
    embed_clips(map(Path, sys.argv[2:]), voices, cache=cache, workers=2, on_done=on_done)
"""
    file = tmp_path / "clips.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", code, str(file), *map(str, paths)],
        cwd=ROOT, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    clips, embedded = remembered(file, paths)
    assert embedded == sum(not c.from_cache for c in clips)
    assert 10 <= embedded <= 11  # the last one may not have been committed
    assert [int(c.vector.argmax()) for c in clips] == [i % 16 for i in range(40)]


def test_an_interrupted_run_keeps_what_it_embedded(tmp_path):
    paths = [write_tone(tmp_path / f"{i:02}.wav", 450, 1) for i in range(20)]
    voices = tone_voices()

    def stop(done, total):
        if done == 12:
            raise KeyboardInterrupt

    file = tmp_path / "clips.sqlite"
    with (
        pytest.raises(KeyboardInterrupt),
        ClipCache.open(file, "bands", voices.recipe, print) as cache,
    ):
        embed_clips(paths, voices, cache=cache, on_done=stop)
    _, embedded = remembered(file, paths)
    assert embedded == 8


# Grouping


def test_a_hand_made_table():
    clips = [
        clip("z/1.wav", [0, 1, 0]),
        clip("a/2.wav", [1, 0, 0], 1.0),
        clip("a/3.wav", None, 0.2, reason="no speech", readable=False),
        clip("a/4.wav", [1, 0.2, 0], 4.0, warnings=("cut off",)),
        clip("a/5.wav", [0, 0, 1]),
        clip("a/6.wav", [1, -0.2, 0], 2.0),
        clip("a/7.wav", None, reason="broken", warnings=("odd",)),
    ]
    rows = cluster_clips(clips, exact(), names=[f"n{i}" for i in range(7)], calibration=CALIBRATION)
    assert [row.path for row in rows] == [f"n{i}" for i in range(7)]
    expected = ["00", "01", None, "01", "02", "01", None]
    assert [row.speaker for row in rows] == [e and f"SPEAKER_{e}" for e in expected]
    # One-offs have no similarity; of the others, to the mean of the two others.
    assert [row.similarity is None for row in rows] == [True, False, True, False, True, False, True]
    assert rows[1].similarity == pytest.approx(1.0)  # the others' mean lies on (1, 0, 0)
    four = np.array([1, 0.2, 0]) / np.sqrt(1.04)
    others = np.array([1, 0, 0]) + np.array([1, -0.2, 0]) / np.sqrt(1.04)
    assert rows[3].similarity == pytest.approx(four @ others / np.linalg.norm(others))
    odds = 10 * rows[3].similarity - 5 + 1 / 4 + 1 / 3  # 4 s of its own, 3 s of the others
    assert rows[3].probability == pytest.approx(1 / (1 + np.exp(-odds)))
    assert rows[0].probability is None
    assert [row.note for row in rows] == ["", "", "no speech", "cut off", "", "", "broken; odd"]
    assert [row.seconds for row in rows] == [3.0] * 7


def test_leave_one_out_against_the_loop():
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((5, 8)) * 3
    clips = [clip(str(i), (centres[i % 5] + rng.standard_normal(8)).tolist()) for i in range(40)]
    rows = cluster_clips(clips, exact(0.3))
    for row, own in zip(rows, clips, strict=True):
        others = [
            c.vector
            for c, r in zip(clips, rows, strict=True)
            if r.speaker == row.speaker and c is not own
        ]
        if others:
            mean = np.mean(others, axis=0)
            assert row.similarity == pytest.approx(
                float(own.vector @ mean / np.linalg.norm(mean)), abs=1e-6
            )
        else:
            assert row.similarity is None


def test_names_have_digits_for_all_speakers():
    vectors = np.eye(101)
    for number, name in ((100, "SPEAKER_99"), (101, "SPEAKER_100")):
        rows = cluster_clips([clip(str(i), vectors[i]) for i in range(number)], exact())
        assert [row.speaker for row in rows] == [
            f"SPEAKER_{i:0{len(name) - 8}d}" for i in range(number)
        ]


def test_known_counts_are_obeyed():
    near = [[1, 0, 0], [1, 0.1, 0], [0, 1, 0], [0, 1, 0.1], [0, 0, 1]]
    clips = [clip(str(i), v) for i, v in enumerate(near)]
    for count in (1, 2, 3, 4, 5):
        rows = cluster_clips(clips, exact(), SpeakerCount(count, count))
        assert len({row.speaker for row in rows}) == count
    assert cluster_clips([], exact()) == []
    assert [r.speaker for r in cluster_clips(clips[:1], exact())] == ["SPEAKER_00"]


def test_the_threshold_is_a_probability_at_the_median_speech():
    clips = [clip(str(i), [1, 0], s) for i, s in enumerate((1.0, 2.0, 30.0))]
    clips.append(clip("silent", None, 0.1))
    # log odds 0 = 10 s - 5 + 1/2 + 1/2
    assert least_similarity(clips, CALIBRATION, 0.5) == pytest.approx(0.4)
    assert least_similarity(clips, CALIBRATION, 0.9) == pytest.approx((np.log(9) + 4) / 10)
    with pytest.raises(ConfigError, match=r"no calibration.*min_similarity"):
        least_similarity(clips, None, 0.5)


def test_large_folders_take_the_graph():
    notes: list[str] = []
    pick = lambda name, number: pick_clusterer(  # noqa: E731
        name, number, min_similarity=0.4, on_note=notes.append
    )
    small, large = pick("", 10_000), pick("", 10_001)
    assert type(small).__name__ == "Agglomerative" and type(large).__name__ == "Graph"
    assert len(notes) == 1 and "10001 clips" in notes[0]
    assert small.config.max_distance == pytest.approx(0.6)
    assert type(pick("agglomerative", 30_000)) is type(small)
    assert type(pick("graph", 5)) is type(large)
    with pytest.raises(ConfigError, match=r"agglomerative.* 100 GB .*choose 'graph'"):
        pick("agglomerative", 111_804)
    chosen = pick_clusterer(
        "agglomerative", 5, min_similarity=0.4,
        settings={"agglomerative": {"min_cluster_size": 3}, "hdbscan": {}},
    )  # fmt: skip
    assert chosen.config.min_cluster_size == 3
    assert chosen.config.max_distance == pytest.approx(0.6)
    with pytest.raises(ConfigError, match=r"clustering\.graph\.nonesuch"):
        pick_clusterer("graph", 5, min_similarity=0.4, settings={"graph": {"nonesuch": 1}})


def test_without_faiss_it_is_said_before_clips_are_embedded(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)  # as if it were not installed
    for number in (5, 12_000):
        pick_clusterer("graph", number, min_similarity=0.4)
    for name in ("", "graph"):
        with pytest.raises(BackendUnavailable, match=r"need faiss .*deepspeaker-diarize\[large\]"):
            pick_clusterer(name, 12_001, min_similarity=0.4)


def test_tones_come_out_by_pitch_with_every_clusterer(tmp_path):
    pitch = [450, 850, 450, 1250, 850, 450]
    paths = [write_tone(tmp_path / f"{i}.wav", hz, 2 + i / 10) for i, hz in enumerate(pitch)]
    clips = embed_clips(paths, tone_voices())
    for name in ("agglomerative", "hdbscan", "graph"):
        clusterer = pick_clusterer(name, len(clips), min_similarity=0.5)
        rows = cluster_clips(clips, clusterer)
        for (a, row_a), (b, row_b) in itertools.combinations(zip(pitch, rows, strict=True), 2):
            assert (a == b) == (row_a.speaker == row_b.speaker), name
