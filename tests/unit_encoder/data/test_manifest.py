"""Manifests are read whole or refused with a line; the validation split is stable."""

from pathlib import Path

import pytest

from encoder.data.manifest import Utterance, read_manifest
from encoder.data.splits import split_validation
from encoder.errors import CorpusError, FormatError

HEAD = "dataset\tspeaker\tpath\tseconds\tsplit\trecording\n"
ROW = "vctk\tvctk_p225\ta b/x.opus\t2.5\ttrain\tvctk/p225/x\n"


def write(tmp_path, text):
    path = tmp_path / "manifest.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def utterances(speakers):
    return [
        Utterance(Path(f"{s}-{i}.wav"), s, "d", "train", f"{s}-{i}", 3.0)
        for s in speakers
        for i in range(2)
    ]


def test_read(tmp_path):
    got = read_manifest(write(tmp_path, HEAD + ROW))
    path = tmp_path / "a b/x.opus"
    expected = Utterance(path, "vctk_p225", "vctk", "train", "vctk/p225/x", 2.5, "a b/x.opus")
    assert got == [expected]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dataset\tspeaker\tpath\n" + "a\tb\tc\n", r"line 1 .*lacks the column 'split'"),
        (HEAD + ROW + "vctk\tp225\tx.opus\t2.5\n", r"line 3 .*lacks the column 'split'"),
        (HEAD + ROW.replace("2.5", "long"), r"line 2 .*'long' for seconds"),
        (HEAD.replace("recording", "x") + ROW, r"line 2 .*lacks the column 'session'"),
        ("", r"line 1 .*lacks the column 'path'"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_broken_manifests_name_the_place(tmp_path, text, words):
    with pytest.raises(FormatError, match=words):
        read_manifest(write(tmp_path, text))


def test_an_empty_manifest(tmp_path):
    with pytest.raises(CorpusError, match="lists no utterance"):
        read_manifest(write(tmp_path, HEAD))


def test_a_session_has_a_column_of_its_own_or_is_the_recording(tmp_path):
    row = ROW.replace("\n", "\tmonday\n")
    both = read_manifest(write(tmp_path, HEAD.replace("\n", "\tsession\n") + row))
    assert [u.session for u in both] == ["monday"]
    one = read_manifest(write(tmp_path, HEAD.replace("recording", "session") + ROW))
    assert [u.session for u in one] == ["vctk/p225/x"]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    plain = read_manifest(write(tmp_path, HEAD + ROW))
    assert read_manifest(write(tmp_path, "\ufeff" + HEAD + ROW)) == plain


def test_a_missing_manifest(tmp_path):
    with pytest.raises(CorpusError, match=r"absent\.tsv"):
        read_manifest(tmp_path / "absent.tsv")


def test_split_is_disjoint_whole_and_about_right():
    everything = utterances([f"s{i}" for i in range(4000)])
    train, held = split_validation(everything, share=0.1)
    assert sorted([*train, *held], key=str) == sorted(everything, key=str)
    assert not {u.speaker for u in train} & {u.speaker for u in held}
    assert 320 < len({u.speaker for u in held}) < 480  # 400 expected, 4 deviations either side


def test_split_depends_on_the_name_alone():
    names = [f"s{i}" for i in range(200)]
    held = {u.speaker for u in split_validation(utterances(names), share=0.2)[1]}
    fewer = {u.speaker for u in split_validation(utterances(names[::-3]), share=0.2)[1]}
    assert fewer == held & set(names[::-3])
    larger = {u.speaker for u in split_validation(utterances(names), share=0.4)[1]}
    assert held < larger
    assert "s13" in held  # the same on every machine and in every version
    pinned = {u.speaker for u in split_validation(utterances(names[:60]), share=0.1)[1]}
    assert pinned == {"s7", "s23", "s25", "s39", "s50", "s56"}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_split_extremes(share):
    train, held = split_validation(utterances(["a", "b"]), share=share)
    assert (len(train), len(held)) == (4 * (1 - share), 4 * share)


def test_files_and_speakers_in_another_spelling(tmp_path):
    (tmp_path / "e\u0301").mkdir()
    (tmp_path / "e\u0301/1.wav").touch()
    rows = [
        f"d\t{speaker}\t\u00e9\\1.wav\t1\ttrain\tr\n" for speaker in ("Jos\u00e9", "Jose\u0301")
    ]
    first, second = read_manifest(write(tmp_path, HEAD + "".join(rows)))
    assert first == second
    assert first.path.exists()
    assert (first.speaker, first.name) == ("Jos\u00e9", "\u00e9\\1.wav")


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_manifest_saved_by_a_spreadsheet(tmp_path, delimiter):
    text = "\ufeff" + (HEAD + ROW).replace("\t", delimiter).replace("\n", "\r\n")
    assert read_manifest(write(tmp_path, text)) == read_manifest(write(tmp_path, HEAD + ROW))
