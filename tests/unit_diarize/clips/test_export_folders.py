"""One folder a speaker: copies, links, equal names, and nothing half made."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from diarize.clips.export_folders import check_folder, export_clips
from encoder.errors import StoreError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def clips(tmp_path):
    paths = []
    for number, name in enumerate(["a/x.wav", "b/x.wav", "b/X.wav", "c/y.tar.wav", "c/none.wav"]):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
        os.utime(path, (1e9 + number, 1e9 + number))
        paths.append(path)
    return paths


SPEAKERS = ["S0", "S0", "S0", "S1", None]
EXPECTED = {
    "S0/x.wav": "0",
    "S0/x (2).wav": "1",
    "S0/X (3).wav": "2",
    "S1/y.tar.wav": "3",
    "none/none.wav": "4",
}


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_copies_keep_content_time_and_every_name(tmp_path, clips):
    done = []
    export_clips(
        clips, SPEAKERS, tmp_path / "new" / "out", "copy", on_done=lambda *at: done.append(at)
    )
    out = tmp_path / "new" / "out"
    assert contents(out) == EXPECTED
    assert (out / "S1" / "y.tar.wav").stat().st_mtime == 1e9 + 3
    assert not (out / "S0" / "x.wav").is_symlink()
    assert done == [(i + 1, 5) for i in range(5)]
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_links_hold_from_anywhere(tmp_path, clips, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()  # empty is as good as absent
    relative = [path.relative_to(tmp_path) for path in clips]
    export_clips(relative, SPEAKERS, Path("out"), "link")
    monkeypatch.chdir("/")
    assert contents(tmp_path / "out") == EXPECTED
    assert (tmp_path / "out" / "S0" / "x.wav").readlink() == clips[0]


def test_what_is_no_file_is_left_out(tmp_path, clips):
    (tmp_path / "in" / "broken.wav").symlink_to("nowhere")
    os.mkfifo(tmp_path / "in" / "pipe.wav")
    more = [tmp_path / "in" / name for name in ("broken.wav", "pipe.wav", "gone.wav")]
    export_clips([*clips, *more], [*SPEAKERS, None, None, None], tmp_path / "out", "copy")
    assert contents(tmp_path / "out") == EXPECTED


MEMORY = Path(f"/proc/{os.getpid()}/mem")  # its first bytes are no memory


@pytest.mark.skipif(not MEMORY.exists(), reason="a file nobody can read is needed")
def test_a_file_that_cannot_be_read_is_left_out_and_said(tmp_path, clips):
    warnings = []
    export_clips(
        [clips[0], MEMORY, *clips[1:]], [SPEAKERS[0], "S0", *SPEAKERS[1:]],
        tmp_path / "out", "copy", on_warning=warnings.append,
    )  # fmt: skip
    assert contents(tmp_path / "out") == EXPECTED
    assert len(warnings) == 1 and str(MEMORY) in warnings[0] and "cannot be read" in warnings[0]


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_copies_have_a_plain_mode_whatever_the_clips_have(tmp_path, clips):
    for path, mode in zip(clips, (0o4755, 0o2777, 0o600, 0o1444, 0o6711), strict=True):
        path.chmod(mode)
    for umask, expected in ((0o022, 0o644), (0o077, 0o600), (0o000, 0o644)):
        before = os.umask(umask)
        try:
            export_clips(clips, SPEAKERS, tmp_path / f"out{umask}", "copy")
        finally:
            os.umask(before)
        copies = [path for path in (tmp_path / f"out{umask}").rglob("*.wav")]
        assert {stat.S_IMODE(path.stat().st_mode) for path in copies} == {expected}
        assert len(copies) == 5 and all(path.stat().st_nlink == 1 for path in copies)


def test_links_that_lead_elsewhere_are_not_followed(tmp_path, clips):
    """Out of the folder, by themselves or by a folder that is a link, or to what is no sound."""
    inside, outside = tmp_path / "in", tmp_path / "private"
    outside.mkdir()
    for name in ("x.wav", "secret"):
        (outside / name).write_text("private")
    (inside / "notes").write_text("private")
    (inside / "folder").symlink_to(outside)
    links = {
        "out.wav": outside / "x.wav", "up.wav": "../private/x.wav", "chain.wav": "out.wav",
        "secret.wav": outside / "secret", "notes.wav": "notes",
    }  # fmt: skip
    for name, to in links.items():
        (inside / name).symlink_to(to)
    (inside / "good.wav").symlink_to("c/y.tar.wav")
    more = [inside / name for name in (*links, "folder/x.wav", "good.wav")]
    warnings = []
    export_clips(
        [*clips, *more], [*SPEAKERS, *["S2"] * len(more)], tmp_path / "out", "copy",
        places=[inside], on_warning=warnings.append,
    )  # fmt: skip
    assert contents(tmp_path / "out") == {**EXPECTED, "S2/good.wav": "3"}
    assert len(warnings) == len(more) - 1
    for path, sentence in zip(more, warnings, strict=False):
        assert sentence.startswith(f"{str(path)!r} was not copied, for it is a link to")
    assert sum("outside of the folders" in sentence for sentence in warnings) == 5
    # Both folders were given; links hold no content, and are made all the same.
    both = [inside, outside]
    export_clips([inside / "up.wav"], ["S"], tmp_path / "b", "copy", places=both)
    assert contents(tmp_path / "b") == {"S/up.wav": "private"}
    export_clips([inside / "up.wav"], ["S"], tmp_path / "l", "link", places=[inside])
    assert (tmp_path / "l" / "S" / "up.wav").readlink() == inside / "up.wav"
    # A file that was named by itself, as a shell does for *.wav.
    export_clips([inside / "up.wav"], ["S"], tmp_path / "f", "copy", places=[inside / "up.wav"])
    assert contents(tmp_path / "f") == {}


@pytest.mark.parametrize("name", ["x" * 251 + ".wav", "é" * 125 + ".wav", "x." + "y" * 252])
def test_names_as_long_as_the_disk_allows_stay_different(tmp_path, name):
    paths = []
    for folder in "abc":
        paths.append(tmp_path / folder / name)
        paths[-1].parent.mkdir()
        paths[-1].write_text(folder)
    export_clips(paths, ["S"] * 3, tmp_path / "out", "copy")
    found = contents(tmp_path / "out")
    assert sorted(found.values()) == ["a", "b", "c"] and found[f"S/{name}"] == "a"
    numbered = [path.removesuffix(".wav") for path, text in found.items() if text != "a"]
    assert sorted(path[-3:] for path in numbered) == ["(2)", "(3)"]


def test_a_folder_name_as_long_as_the_disk_allows(tmp_path, clips):
    out = tmp_path / ("x" * 255)
    check_folder(out, [tmp_path / "in"])
    export_clips(clips, SPEAKERS, out, "copy")
    assert contents(out) == EXPECTED
    with pytest.raises(StoreError, match="too long"):
        check_folder(tmp_path / ("x" * 256), [tmp_path / "in"])


def test_a_table_in_the_folder_is_refused(tmp_path):
    for name in ("out/t.csv", "out/deep/t.csv", "out", "in/../out/t.csv"):
        with pytest.raises(StoreError, match="write it elsewhere"):
            check_folder(tmp_path / "out", [tmp_path / "in"], [tmp_path / name])
    check_folder(tmp_path / "out", [tmp_path / "in"], [tmp_path / "out.csv", Path("/dev/stdout")])


def test_folders_that_cannot_be(tmp_path, clips):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    (tmp_path / "dangling").symlink_to("nowhere")
    places = [tmp_path / "in"]
    for name, words in (
        ("full", "not empty"),
        ("file", "not empty"),
        ("dangling", "not empty"),
        ("in", "inside"),
        ("in/sorted/out", "inside"),
        ("link/sorted", "inside"),
        ("file/out", "choose"),
        ("x" * 300, "choose"),
    ):
        with pytest.raises(StoreError, match=words):
            check_folder(tmp_path / name, places)
    (tmp_path / "empty").mkdir()
    for name in ("empty", "absent", "absent/deeper", "in2"):
        check_folder(tmp_path / name, places)
    check_folder(tmp_path / "in" / "out", [clips[0]])  # files were given, not their folder
    assert not (tmp_path / "absent").exists()


def test_a_failure_leaves_nothing(tmp_path, clips):
    (tmp_path / "out").mkdir()

    def fill(done, total):
        if done == 3:  # somebody else uses the folder meanwhile
            (tmp_path / "out" / "theirs").touch()

    with pytest.raises(StoreError, match=r"cannot export clips to .*out"):
        export_clips(clips, SPEAKERS, tmp_path / "out", "copy", on_done=fill)
    assert contents(tmp_path / "out") == {"theirs": ""}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_clips(clips, SPEAKERS, tmp_path / "new" / "deep" / "out", "copy", on_done=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_a_kill_leaves_no_folder_of_that_name(tmp_path, clips):
    code = """
import os, signal, sys
from pathlib import Path
from diarize.clips.export_folders import export_clips
*clips, out = map(Path, sys.argv[1:])
export_clips(clips, ["S"] * len(clips), out, "copy",
           on_done=lambda done, total: done == 3 and os.kill(os.getpid(), signal.SIGKILL))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, clips), str(tmp_path / "out")],
        cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert len(list(tmp_path.glob(".*"))) == 1
    export_clips(clips, SPEAKERS, tmp_path / "out", "copy")
    assert contents(tmp_path / "out") == EXPECTED
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
