"""Corpora that lie in folders for their parts: speakers are speakers and test parts stay `eval`."""

from __future__ import annotations

import pytest

from encoder.data.corpora import layout_of, read_corpus
from encoder.errors import CorpusError
from tests.unit_encoder.data.test_corpora import tree


def read(root, **settings):
    """({file: (speaker, split, session)}, layout, warnings)"""
    warnings = []
    listed = read_corpus(root, on_warning=warnings.append, **settings)
    found = {u.name: (u.speaker, u.split, u.session.partition("/")[2]) for u in listed}
    return found, layout_of(root), warnings


TIMIT = [
    "TRAIN/DR1/FAAA0/SA1.WAV",
    "TRAIN/DR1/FAAA0/SX37.WAV",
    "TRAIN/DR1/MBBB0/SA1.WAV",
    "TEST/DR1/FCCC0/SA1.WAV",
    "TEST/DR2/MDDD0/SX37.WAV",
]


@pytest.mark.parametrize("below", ["", "timit/", "archive/data/"])
@pytest.mark.parametrize("change", [str, str.lower], ids=["upper", "lower"])
def test_timit(tmp_path, below, change):
    files = [below + change(file) for file in TIMIT]
    listed, layout, warnings = read(tree(tmp_path, *files, f"{below}TRAIN/DR1/FAAA0/SA1.TXT"))
    assert layout == "split_folders"
    speakers = ["FAAA0", "FAAA0", "MBBB0", "FCCC0", "MDDD0"]
    splits = ["train"] * 3 + ["eval"] * 2
    assert listed == {
        file: (change(speaker), split, file)
        for file, speaker, split in zip(files, speakers, splits, strict=True)
    }
    assert warnings == []


def test_of_a_sound_and_its_copy_one_is_read(tmp_path):
    copies = [f"{file}.wav" for file in TIMIT]
    listed, _, warnings = read(tree(tmp_path, *TIMIT, *copies))
    assert set(listed) == set(TIMIT)
    assert len(warnings) == 1 and "5 files" in warnings[0] and "are copies" in warnings[0]
    alone = tree(tmp_path / "alone", *copies)
    assert set(read(alone)[0]) == set(copies)


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (["wav/train/S0002/a.wav", "wav/dev/S0724/a.wav", "wav/test/S0764/a.wav"], "tee"),
        (["train/wav/SSB0005/a.wav", "test/wav/SSB0073/a.wav"], "te"),
        (["train/14_3466/a.wav", "dev/5_541/a.wav", "test/38_5837/a.wav"], "tee"),
        (["training/audio/s1/a.wav", "validation/audio/s2/a.wav"], "te"),
        (["train/speaker1/a.wav", "val/speaker2/a.wav"], "te"),
        (["train-clean-100/s1/a.wav", "dev-clean/s2/a.wav", "eval/s3/a.wav"], "tee"),
        (["test/s1/a.wav", "test/s2/a.wav", "docs/readme.txt"], "ee"),
    ],
    ids=["aishell", "aishell3", "magicdata", "validation", "val", "libri-like", "test-alone"],
)
def test_parts_hold_speakers(tmp_path, files, splits):
    listed, layout, _ = read(tree(tmp_path, *files))
    assert layout == "split_folders"
    names = [file for file in files if file.endswith(".wav")]
    assert {file: found[:2] for file, found in listed.items()} == {
        file: (file.split("/")[-2], {"t": "train", "e": "eval"}[split])
        for file, split in zip(names, splits, strict=True)
    }


def test_folders_below_a_speaker_are_sessions(tmp_path):
    files = ["train/s1/monday/a.wav", "train/s1/monday/b.wav", "test/s2/a.wav", "train/stray.wav"]
    listed, _, warnings = read(tree(tmp_path, *files))
    assert [listed[file][2] for file in files[:3]] == [
        "train/s1/monday", "train/s1/monday", "test/s2/a.wav",
    ]  # fmt: skip
    assert "1 media files" in warnings[0] and "'stray.wav' first" in warnings[0]


LIBRITTS = [
    "LibriTTS/train-clean-100/103/1241/103_1241_000000_000001.wav",
    "LibriTTS/train-clean-100/19/198/19_198_000000_000000.wav",
    "LibriTTS/dev-clean/84/121123/84_121123_000007_000001.wav",
]
MLS = [
    "mls_german/train/audio/4800/10003/4800_10003_000000.flac",
    "mls_german/dev/audio/1724/5911/1724_5911_000001.flac",
    "mls_german/test/audio/2037/1982/2037_1982_000002.opus",
]


@pytest.mark.parametrize(("files", "splits"), [(LIBRITTS, "tte"), (MLS, "tee")])
@pytest.mark.parametrize("from_above", [True, False])
def test_kin_of_librispeech(tmp_path, files, splits, from_above):
    root = tree(tmp_path, *files)
    start = "" if from_above else files[0].split("/")[0]
    listed, layout, _ = read(root / start)
    assert layout == "librispeech"
    expected = []
    for file, split in zip(files, splits, strict=True):
        speaker, book = file.split("/")[-3:-1]
        expected.append((speaker, {"t": "train", "e": "eval"}[split], f"{speaker}/{book}"))
    assert sorted(listed.values()) == sorted(expected)


@pytest.mark.parametrize(
    "files",
    [
        [
            "dev/wav/A.J._Buckley/1zcIwhmdeo4/00001.wav",
            "test/wav/Eartha_Kitt/7gWzIy6yIIk/00002.wav",
            "dev/wav/Adam_Beach/21Uxsk56VDQ/00001.wav",
        ],
        [
            "voxceleb1_wav/A.J._Buckley/1zcIwhmdeo4_0000001.wav",
            "voxceleb1_wav/Eartha_Kitt/7gWzIy6yIIk_0000012.wav",
            "voxceleb1_wav/Adam_Beach/21Uxsk56VDQ_0000001.wav",
        ],
    ],
)
def test_voxceleb1_with_names(tmp_path, files):
    listed, layout, _ = read(tree(tmp_path, *files), heldout_share=0.0)
    assert layout == "voxceleb"
    assert [listed[file] for file in files] == [
        ("A.J._Buckley", "train", "A.J._Buckley/1zcIwhmdeo4"),
        ("Eartha_Kitt", "eval", "Eartha_Kitt/7gWzIy6yIIk"),
        ("Adam_Beach", "train", "Adam_Beach/21Uxsk56VDQ"),
    ]


def test_sessions_of_a_plain_corpus_are_no_videos(tmp_path):
    files = [f"{who}/2021-march-{n}/00001.wav" for who in ("Emma", "Otto") for n in (1, 2)]
    assert layout_of(tree(tmp_path, *files)) == "plain"


CN_CELEB = {
    "data/id00010/advertisement-01-001.flac": ("id00010", "train", "id00010/advertisement-01"),
    "data/id00010/live_broadcast-02-013.flac": ("id00010", "train", "id00010/live_broadcast-02"),
    "data/id00800/singing-02-003.flac": ("id00800", "eval", "id00800/singing-02"),
    "data/id10001/vlog-01-001.flac": ("id10001", "train", "id10001/vlog-01"),
    "eval/enroll/id00801-enroll.flac": ("id00801", "eval", "id00801/enroll"),
    "eval/test/id00801-singing-02-003.flac": ("id00801", "eval", "id00801/singing-02"),
}


def test_cn_celeb(tmp_path):
    root = tree(tmp_path / "CN-Celeb_flac", *CN_CELEB, "eval/enroll/id00800-enroll.flac")
    listed, layout, _ = read(root)
    assert layout == "cn_celeb"
    assert listed == CN_CELEB  # id00800 is read from data/, which eval/ repeats


def test_voxforge(tmp_path):
    files = [
        "Aaron-20080318-kdl/wav/a0001.wav",
        "Aaron-20080318-kdl/wav/a0002.wav",
        "Aaron-20080318-lbb/wav/a0001.wav",
        "anonymous-20080425-wwx/wav/a1.wav",
        "anonymous-20080723-abc/flac/a2.flac",
        "jean-luc-20100710-hne/wav/ar-01.wav",
    ]
    listed, layout, warnings = read(tree(tmp_path, *files, "Aaron-20080318-kdl/etc/PROMPTS"))
    assert layout == "voxforge"
    assert [listed[file][0] for file in files] == [
        "Aaron", "Aaron", "Aaron", "anonymous-20080425-wwx", "anonymous-20080723-abc", "jean-luc",
    ]  # fmt: skip
    assert [listed[file][2] for file in files[:3]] == [
        "Aaron-20080318-kdl", "Aaron-20080318-kdl", "Aaron-20080318-lbb",
    ]  # fmt: skip
    assert "2 sessions" in warnings[0] and "are anonymous" in warnings[0]


@pytest.mark.parametrize(
    "folders",
    [
        ["podcast/P0000", "youtube/Y0000", "audiobook/B0000"],
        ["xs_files/xs_chunks_0000", "dev_files/dev_chunks_0000", "test_files/test_chunks_0000"],
        ["train_data_01/003/104", "test_data_01/003/105"],
        ["small/100/book", "medium/101/book", "large/102/book"],
        ["wav48/p225", "wav16/p225"],
        ["vox_dev/x", "vox_test/y"],
        ["train", "dev", "data"],
        ["train1", "train2", "Ann"],
    ],
)
def test_parts_are_not_taken_for_speakers(tmp_path, folders):
    root = tree(tmp_path, *(f"{folder}/{n}.wav" for folder in folders for n in (1, 2)))
    with pytest.raises(
        CorpusError, match=r"the folders '\w+' and '\w+' of .* parts of a corpus, not"
    ):
        read_corpus(root)
    assert read_corpus(root, layout="plain")


@pytest.mark.parametrize(
    "speakers",
    [
        ["speaker1", "speaker2"],
        ["ann_test", "bob_test", "eve_test"],
        ["data_scientist", "clipper"],
        ["Ann", "Valerie", "Devon", "Tess"],
    ],
)
def test_speakers_are_taken_for_speakers(tmp_path, speakers):
    root = tree(tmp_path, *(f"{speaker}/{n}.wav" for speaker in speakers for n in (1, 2)))
    listed, layout, warnings = read(root)
    assert layout == "plain"
    assert {speaker for speaker, _, _ in listed.values()} == set(speakers)
    assert warnings == []


def test_one_part_among_speakers_is_said(tmp_path):
    listed, _, warnings = read(tree(tmp_path, "train/1.wav", "ann/1.wav", "ann/2.wav"))
    assert {speaker for speaker, _, _ in listed.values()} == {"ann", "train"}
    assert len(warnings) == 1 and "'train' in" in warnings[0] and "check that it is" in warnings[0]


def test_parts_without_speakers(tmp_path):
    root = tree(tmp_path, "train/a.wav", "dev/b.wav", "test/sph/c.sph")
    with pytest.raises(CorpusError, match="none where the layout 'split_folders' has it"):
        read_corpus(root)


def test_a_session_named_like_a_part_is_a_session(tmp_path):
    root = tree(tmp_path, "ann/train/1.wav", "ann/test/1.wav", "bob/test/1.wav")
    listed, layout, _ = read(root)
    assert layout == "plain"
    assert {speaker for speaker, _, _ in listed.values()} == {"ann", "bob"}
