"""Corpora as they are downloaded: who speaks where, in which session and split, and what is
refused.

Listing opens no media file, so most files here are empty.
"""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from encoder.audio.media_files import MEDIA_SUFFIXES, media_below
from encoder.data.corpora import LAYOUTS, layout_of, read_corpus
from encoder.data.feature_bank import bank_of
from encoder.data.manifest import Utterance
from encoder.data.splits import split_speakers
from encoder.errors import ConfigError, CorpusError, FormatError


def tree(root, *files):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def read(root, **settings):
    """(utterances as {name: (speaker, split, session)}, warnings)"""
    warnings = []
    listed = read_corpus(root, on_warning=warnings.append, **settings)
    assert [u.path for u in listed] == [Path(root) / u.name for u in listed]
    assert all(u.seconds == 0 for u in listed)
    return {u.name: (u.speaker, u.split, u.session) for u in listed}, warnings


LIBRI = [
    "train-clean-100/103/1240/103-1240-0000.flac",
    "train-clean-100/103/1240/103-1240-0001.flac",
    "train-clean-100/103/1241/103-1241-0000.flac",
    "train-clean-100/103/1240/103-1240.trans.txt",
    "dev-other/116/288045/116-288045-0000.flac",
    "test-clean/1089/134686/1089-134686-0000.flac",
    "SPEAKERS.TXT",
]


def test_librispeech(tmp_path):
    listed, warnings = read(tree(tmp_path, *LIBRI))
    assert listed == {
        LIBRI[0]: ("103", "train", "librispeech/103/1240"),
        LIBRI[1]: ("103", "train", "librispeech/103/1240"),
        LIBRI[2]: ("103", "train", "librispeech/103/1241"),
        LIBRI[4]: ("116", "eval", "librispeech/116/288045"),
        LIBRI[5]: ("1089", "eval", "librispeech/1089/134686"),
    }
    assert warnings == []


@pytest.mark.parametrize("up", ["", "corpora"])
def test_librispeech_from_above_and_from_a_subset(tmp_path, up):
    tree(tmp_path / up / "LibriSpeech", *LIBRI)
    assert layout_of(tmp_path) == "librispeech"
    assert {s for _, s, _ in read(tmp_path)[0].values()} == {"train", "eval"}
    train = tree(tmp_path / up / "LibriSpeech/train-clean-100", "19/198/19-198-0001.flac")
    assert {s for _, s, _ in read(train)[0].values()} == {"train"}


def test_voxceleb(tmp_path):
    files = [
        "vox1_dev_wav/wav/id10001/1zcIwhmdeo4/00001.wav",
        "vox1_dev_wav/wav/id10001/7gWzIy6yIIk/00001.wav",
        "vox2/dev/aac/id00012/21Uxsk56VDQ/00001.m4a",
        "vox2/test/aac/id00017/01dfn2spqyE/00001.m4a",
        "wav/id10271/37nktPRUJ58/00001.wav",
        "wav/id11000/37nktPRUJ58/00001.wav",
    ]
    listed, _ = read(tree(tmp_path, *files), heldout_share=0.0)
    assert layout_of(tmp_path) == "voxceleb"
    assert [listed[file] for file in files] == [
        ("id10001", "train", "voxceleb/id10001/1zcIwhmdeo4"),
        ("id10001", "train", "voxceleb/id10001/7gWzIy6yIIk"),
        ("id00012", "train", "voxceleb/id00012/21Uxsk56VDQ"),
        ("id00017", "eval", "voxceleb/id00017/01dfn2spqyE"),
        ("id10271", "eval", "voxceleb/id10271/37nktPRUJ58"),  # of VoxCeleb1's test
        ("id11000", "train", "voxceleb/id11000/37nktPRUJ58"),
    ]


@pytest.mark.parametrize("name", ["test_folder", "train-ing", "dev"])
def test_the_name_of_the_users_own_folder_is_no_split(tmp_path, name):
    """Only names as the corpora give them count: "dev" is one, "test_folder" is not."""
    vox = tree(tmp_path / name, *(f"wav/id0000{i}/v/1.wav" for i in range(3)))
    libri = tree(tmp_path / "x" / name, *(f"{i}/7/{i}-7-0001.flac" for i in range(3)))
    assert {s for _, s, _ in read(vox, heldout_share=0.0)[0].values()} == {"train"}
    assert {s for _, s, _ in read(libri, heldout_share=0.0)[0].values()} == {"train"}


def table(path, rows, head="client_id\tpath\tsentence"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *("\t".join(row) for row in rows)]) + "\n", encoding="utf-8")


def common_voice(root, clips="abcdefg"):
    tree(root, *(f"clips/{c}.mp3" for c in clips))
    table(root / "train.tsv", [("ann", "a.mp3", '"Hi'), ("ann", "b.mp3", "x")])
    table(root / "dev.tsv", [("bob", "c.mp3", "x")])
    table(root / "test.tsv", [("cat", "d.mp3", "x")])
    validated = [("ann", "a.mp3", "x"), ("ann", "e.mp3", "x"), ("bob", "f", "x")]
    table(root / "validated.tsv", validated)
    return root


def test_common_voice(tmp_path):
    listed, warnings = read(common_voice(tmp_path))
    session = "common_voice/clips/{}.mp3".format
    assert listed == {
        "clips/a.mp3": ("ann", "train", session("a")),
        "clips/b.mp3": ("ann", "train", session("b")),
        "clips/c.mp3": ("bob", "eval", session("c")),
        "clips/d.mp3": ("cat", "eval", session("d")),
        "clips/e.mp3": ("ann", "train", session("e")),  # in no part, but its speaker is
        "clips/f.mp3": ("bob", "eval", session("f")),  # listed without its suffix
    }  # g is in no table
    assert warnings == []


def test_common_voice_of_several_languages(tmp_path):
    common_voice(tmp_path / "vi")
    common_voice(tmp_path / "de")
    listed, _ = read(tmp_path)
    assert len(listed) == 12
    assert layout_of(tmp_path) == "common_voice"


def test_common_voice_with_only_the_validated_table(tmp_path):
    tree(tmp_path, *(f"clips/{i}.mp3" for i in range(300)))
    table(tmp_path / "validated.tsv", [(f"s{i // 2}", f"{i}.mp3", "") for i in range(300)])
    listed, _ = read(tmp_path)
    splits = {speaker: split for speaker, split, _ in listed.values()}
    assert 5 <= list(splits.values()).count("heldout") <= 28
    assert set(splits.values()) == {"heldout", "train"}


def test_common_voice_counts_the_clips_that_are_not_there(tmp_path):
    listed, warnings = read(common_voice(tmp_path, clips="abcf"))
    assert len(listed) == 4
    (sentence,) = warnings
    assert "2 of 6 clips" in sentence
    assert "'d.mp3' first" in sentence


@pytest.mark.parametrize(
    ("head", "rows", "words"),
    [
        ("client\tpath", [("a", "b")], r"train\.tsv' lacks the column 'client_id'"),
        ("client_id\tfile", [("a", "b")], "lacks the column 'path'"),
        ("client_id\tpath", [("a", "a.mp3"), ("a",)], r"line 3 .*lacks the column 'path'"),
        ("client_id\tpath", [("a", "a.mp3"), ("a", "")], r"line 3 .*no client_id or no path"),
    ],
)
def test_broken_tables(tmp_path, head, rows, words):
    common_voice(tmp_path)
    table(tmp_path / "train.tsv", rows, head)
    with pytest.raises(FormatError, match=words):
        read_corpus(tmp_path)


def test_a_table_of_another_encoding(tmp_path):
    common_voice(tmp_path)
    (tmp_path / "dev.tsv").write_bytes(b"client_id\tpath\n\xff\xfe\t\xe9\n")
    with pytest.raises(FormatError, match=r"dev\.tsv' is not UTF-8"):
        read_corpus(tmp_path)


def test_a_common_voice_table_with_a_byte_order_mark(tmp_path):
    plain, _ = read(common_voice(tmp_path))
    path = tmp_path / "train.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(tmp_path)[0] == plain


def test_common_voice_whose_clips_are_spelled_otherwise(tmp_path):
    """As macOS unpacks them: e and accent, where the table has one letter."""
    table(tmp_path / "train.tsv", [("ann", "\u00e9.mp3"), ("bob", "b.mp3")], "client_id\tpath")
    listed, warnings = read(tree(tmp_path, "clips/e\u0301.mp3", "clips/b.mp3"))
    assert {speaker for speaker, _, _ in listed.values()} == {"ann", "bob"}
    assert len(warnings) == 1  # of single files


def test_one_speaker_in_two_spellings(tmp_path):
    root = tree(tmp_path, "Jos\u00e9/1.wav", "bob/1.wav")
    if (root / "Jose\u0301").exists():
        pytest.skip("this disk takes the spellings for one")
    listed, _ = read(tree(root, "Jose\u0301/2.wav"))
    assert {speaker for speaker, _, _ in listed.values()} == {"Jos\u00e9", "bob"}


def test_vivos(tmp_path):
    files = [f"train/waves/VIVOSSPK01/VIVOSSPK01_R00{i}.wav" for i in range(2)]
    files += ["test/waves/VIVOSDEV01/VIVOSDEV01_R001.wav"]
    listed, _ = read(tree(tmp_path / "vivos", *files, "train/prompts.txt", "train/genders.txt"))
    assert [listed[f] for f in files] == [
        ("VIVOSSPK01", "train", "vivos/VIVOSSPK01/VIVOSSPK01_R000"),
        ("VIVOSSPK01", "train", "vivos/VIVOSSPK01/VIVOSSPK01_R001"),
        ("VIVOSDEV01", "eval", "vivos/VIVOSDEV01/VIVOSDEV01_R001"),
    ]
    assert layout_of(tmp_path) == "vivos"


def test_plain_folders(tmp_path):
    root = tree(
        tmp_path / "mine",
        "ann/1.wav", "ann/2.WAV", "ann/day 2/x.mp3", "ann/day 2/y.mp3", "ann/notes.txt",
        "bob/film.mp4", "bob/deep/er/z.opus", "bob/.hidden.wav", ".cache/x/1.wav",
        "__MACOSX/ann/1.wav",
    )  # fmt: skip
    listed, warnings = read(root, heldout_share=0.0)
    assert listed == {
        "ann/1.wav": ("ann", "train", "mine/ann/1.wav"),  # a file of its own: a session of its own
        "ann/2.WAV": ("ann", "train", "mine/ann/2.WAV"),
        "ann/day 2/x.mp3": ("ann", "train", "mine/ann/day 2"),
        "ann/day 2/y.mp3": ("ann", "train", "mine/ann/day 2"),
        "bob/deep/er/z.opus": ("bob", "train", "mine/bob/deep/er"),
        "bob/film.mp4": ("bob", "train", "mine/bob/film.mp4"),
    }
    assert warnings == []


def test_a_manifest_is_read_as_before_and_comes_first(tmp_path):
    tree(tmp_path, *LIBRI)
    head = "dataset\tspeaker\tpath\tseconds\tsplit\trecording\n"
    rows = "d\tann\ta.wav\t2.5\ttrain\tr1\nd\tbob\tb.wav\t3\teval\tr2\n"
    for place in ("manifest.tsv", "voices/manifest.tsv"):
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.write_text(head + rows)
        utterances = read_corpus(tmp_path)
        assert [u.path for u in utterances] == [path.parent / "a.wav", path.parent / "b.wav"]
        assert [u.seconds for u in utterances] == [2.5, 3.0]
        assert [u.split for u in utterances] == ["train", "eval"]


def test_a_layout_can_be_forced(tmp_path):
    tree(tmp_path / "LibriSpeech", *LIBRI)
    listed, _ = read(tmp_path / "LibriSpeech", layout="plain", heldout_share=0.0)
    assert {speaker for speaker, _, _ in listed.values()} == {
        "train-clean-100", "dev-other", "test-clean",
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"'kaldi': choose from manifest, .*plain"):
        read_corpus(tmp_path, layout="kaldi")
    with pytest.raises(
        CorpusError, match=r"such as '116-288045-0000\.flac', but none where .*vivos"
    ):
        read_corpus(tmp_path, layout="vivos")


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "manifest"])
@pytest.mark.parametrize(
    ("files", "words"),
    [
        (None, "does not exist: check the path"),
        ([], "holds no media file: give a folder"),
        (["ann/notes.txt", "bob/x.pdf"], "holds no media file: give a folder"),
    ],
)
def test_nothing_to_read(tmp_path, name, files, words):
    folder = tmp_path / "corpus"
    if files is not None:
        tree(folder, *files).mkdir(exist_ok=True)
    with pytest.raises(CorpusError, match=f"corpus' {words}|corpus' {words}"):
        read_corpus(folder, layout=name)


def test_a_file_is_no_corpus(tmp_path):
    tree(tmp_path, "a.wav")
    with pytest.raises(CorpusError, match=r"a\.wav' is a file: give the folder"):
        read_corpus(tmp_path / "a.wav")


def test_media_without_speaker_folders(tmp_path):
    with pytest.raises(CorpusError, match="media in no speaker's folder: give a folder"):
        read_corpus(tree(tmp_path, "a.wav", "b.wav"))


def test_one_speaker_alone(tmp_path):
    """Often the folder above the right one: VCTK's wav48/p225/*.wav."""
    with pytest.raises(CorpusError, match=r"one speaker alone \('wav48'\): give the folder that"):
        read_corpus(tree(tmp_path, "wav48/p225/1.wav", "wav48/p226/1.wav"))


def test_what_is_doubtful_is_said(tmp_path):
    root = tree(tmp_path, "ann/1.wav", "bob/1.wav", "stray.wav", "zoe/notes.txt")
    (root / "yan").mkdir()
    listed, warnings = read(root)
    assert set(listed) == {"ann/1.wav", "bob/1.wav"}
    assert len(warnings) == 3
    stray, empty, single = warnings
    assert "1 media files" in stray
    assert "'stray.wav' first" in stray
    assert "2 of 4 speaker folders" in empty
    assert "'yan' first" in empty
    assert "each of the 2 speakers" in single
    assert "single file" in single


def test_no_speaker_is_in_two_splits(tmp_path):
    files = ["train-clean-100/103/1/103-1-0000.flac", "dev-clean/103/2/103-2-0000.flac"]
    files += ["train-clean-100/104/1/104-1-0000.flac"]
    listed, warnings = read(tree(tmp_path, *files))
    assert [listed[f][1] for f in files] == ["eval", "eval", "train"]
    assert any("1 speakers are in more than one split, '103' first" in w for w in warnings)


def spoken(speakers, split=""):
    return [Utterance(Path(f"{s}{i}"), s, "d", split, s, 0.0) for s in speakers for i in (0, 1)]


def test_held_out_speakers_depend_on_their_name_alone():
    names = [f"s{i}" for i in range(3000)]
    held = {u.speaker for u in split_speakers(spoken(names)) if u.split == "heldout"}
    assert 230 < len(held) < 370
    some = split_speakers(spoken(names[::-3]), share=0.1)
    assert {u.speaker for u in some if u.split == "heldout"} == held & set(names[::-3])
    assert {u.split for u in some} == {"heldout", "train"}
    pinned = split_speakers(spoken(f"s{i}" for i in range(60)))
    assert "s1000" in held  # the same on every machine and in every version
    few = {u.speaker for u in pinned if u.split == "heldout"}
    assert few == {"s15", "s31", "s33", "s36"}


def test_held_out_and_validation_speakers_are_chosen_independently():
    """Were they not, the ones nearest to the edge would all be held out before validation."""
    from encoder.data.splits import split_validation

    train = [u for u in split_speakers(spoken(f"s{i}" for i in range(2000))) if u.split == "train"]
    assert 30 < len({u.speaker for u in split_validation(train, share=0.04)[1]}) < 120


def test_a_stated_split_is_kept_and_holds_for_all_of_the_speaker():
    listed = spoken(["a"], "eval") + spoken(["a", "b"]) + spoken(["c"], "train")
    listed = split_speakers(listed, share=1.0)
    assert [u.split for u in listed] == ["eval"] * 4 + ["heldout"] * 2 + ["train"] * 2


def test_a_few_speakers_are_all_for_training():
    assert {u.split for u in split_speakers(spoken(["a", "b"]), share=1.0)} == {"train"}


def test_links_are_followed_but_not_round_in_circles(tmp_path):
    tree(tmp_path / "store", "1.wav")
    root = tree(tmp_path / "corpus", "ann/1.wav")
    (root / "bob").symlink_to(tmp_path / "store")
    (root / "ann" / "again").symlink_to(root)
    found = [p.relative_to(root).as_posix() for p in media_below(root)]
    assert found == ["ann/1.wav", "bob/1.wav"]


def test_suffixes():
    named = ".opus .wav .flac .mp3 .m4a .ogg .webm .mp4 .aac .wma .sph".split()  # noqa: SIM905
    assert set(named) <= MEDIA_SUFFIXES


def test_any_rate_and_format_and_a_changed_file_makes_a_new_bank(tmp_path):
    root, sounds = (
        tmp_path / "corpus",
        {"ann/a.wav": 8000, "bob/b.flac": 44_100, "bob/c.mp3": 24_000},
    )
    rng = np.random.default_rng(0)
    for file, rate in sounds.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / file, 0.1 * rng.standard_normal(rate), rate)
    (root / "ann/broken.ogg").write_bytes(b"OggS and nothing more")
    left_out = []
    bank = bank_of(read_corpus(root), tmp_path / "banks", "x", on_left_out=left_out.append)
    assert [i.name for i in bank.items] == list(sounds)
    assert all(abs(i.frames - 98) < 8 for i in bank.items)
    assert len(left_out) == 1
    assert "broken.ogg" in left_out[0]
    bank_of(read_corpus(root), tmp_path / "banks", "x")
    assert len(list((tmp_path / "banks").iterdir())) == 1
    soundfile.write(root / "ann/a.wav", 0.1 * rng.standard_normal(16_000), 8000)
    changed = bank_of(read_corpus(root), tmp_path / "banks", "x")
    assert changed.items[0].frames > 190
    assert len(list((tmp_path / "banks").iterdir())) == 2
