"""Noise, music and rooms are found by a table or by the folders' names."""

import pytest

from encoder.data.noise_corpus import read_acoustics
from encoder.errors import CorpusError, FormatError

TABLE = "kind\tset\tpath\tseconds\nnoise\tmusan\tnoise/a.wav\t2.5\nrir\thall\trir/h.wav\t1\n"


def test_the_table(tmp_path):
    (tmp_path / "acoustics.tsv").write_text(TABLE)
    (noise,) = read_acoustics(tmp_path)
    (tmp_path / "acoustics.tsv").write_text("\ufeff" + TABLE, encoding="utf-8")
    assert read_acoustics(tmp_path) == [noise]
    assert (noise.path, noise.speaker, noise.dataset) == (
        tmp_path / "noise/a.wav",
        "noise",
        "musan",
    )
    assert (noise.session, noise.split, noise.seconds) == ("noise/a.wav", "noise", 2.5)
    (room,) = read_acoustics(tmp_path, kinds=("rir",))
    assert room.path == tmp_path / "rir/h.wav"


def test_plain_folders(tmp_path):
    for file in (
        "noise/street/1.wav",
        "noise/2.flac",
        "noise/notes.txt",
        "music/m.mp3",
        "rir/r.wav",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    found = [(u.name, u.speaker, u.dataset) for u in read_acoustics(tmp_path)]
    assert found == [
        ("noise/2.flac", "noise", "noise"),
        ("noise/street/1.wav", "noise", "street"),
        ("music/m.mp3", "music", "music"),
    ]
    assert [u.name for u in read_acoustics(tmp_path, kinds=("rir",))] == ["rir/r.wav"]


def test_none_of_either(tmp_path):
    assert read_acoustics(tmp_path) == []
    with pytest.raises(CorpusError, match="absent' does not exist"):
        read_acoustics(tmp_path / "absent")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind\tset\tpath\nnoise\ta\tb\n", r"line 1 .*lacks the column 'seconds'"),
        (TABLE.replace("2.5", "long"), r"line 2 .*'long' for seconds"),
        ("kind\tset\tpath\tseconds\nnoise\n", r"line 2 .*lacks the column 'set'"),
    ],
)
def test_broken_tables(tmp_path, text, words):
    (tmp_path / "acoustics.tsv").write_text(text)
    with pytest.raises(FormatError, match=words):
        read_acoustics(tmp_path)


def test_a_table_of_another_encoding(tmp_path):
    (tmp_path / "acoustics.tsv").write_bytes(b"kind\xff\n\xfe\n")
    with pytest.raises(FormatError, match="not UTF-8"):
        read_acoustics(tmp_path)


def test_a_file_in_another_spelling_is_found(tmp_path):
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise/cafe\u0301.wav").touch()
    rows = "kind\tset\tpath\tseconds\nnoise\tx\tnoise/caf\u00e9.wav\t1\n"
    (tmp_path / "acoustics.tsv").write_text(rows, encoding="utf-8")
    (found,) = read_acoustics(tmp_path)
    assert found.path.exists() and found.name == "noise/caf\u00e9.wav"
