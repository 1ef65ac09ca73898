"""Identification on lists and folders, and the command."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch

from diarize.formats.trial_lists import read_identification
from diarize.scoring.identification import identify_corpus, identify_list
from encoder.data.corpora import read_corpus
from encoder.errors import CorpusError, FormatError
from encoder.evaluation.closed_set import draw_enrollments
from encoder.evaluation.protocol import ProtocolConfig
from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import save_weights
from encoder.models.rescnn import ResCNN, ResCNNConfig
from tests.support.in_process import run_command

SPEAKERS, FILES = 7, 4


class Levels:
    """A fake embedder: a unit vector whose angle is the wave's level."""

    minimum_samples = 100
    fingerprint = "levels"

    def embed_windows(self, wave, bounds, *, on_done=None):
        angles = np.array([3 * float(wave[start:end].abs().mean()) for start, end in bounds])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """Speakers s0 ... s6 with four files each, which differ in level as speakers do, nearly."""
    rng = np.random.default_rng(0)
    voices = tmp_path / "voices"
    for speaker in range(SPEAKERS):
        for number in range(FILES):
            path = voices / f"s{speaker}/{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            level = 0.1 + 0.1 * speaker + rng.normal(scale=0.04)
            soundfile.write(path, np.full(8000, max(level, 0.01)), 16_000)
    return voices


def level(path):
    return 3 * np.abs(soundfile.read(path)[0]).mean()


def test_a_list_against_loops(folder):
    lines = [f"{role} s{s}/{n}.wav" for s in range(SPEAKERS) for n, role in enumerate((1, 1, 2, 3))]
    listed = folder / "list.txt"
    listed.write_text("\n".join(lines) + "\n")
    score, left_out = identify_list(read_identification(listed), folder, Levels())
    right1 = right5 = 0
    for speaker in range(SPEAKERS):
        means = []
        for other in range(SPEAKERS):
            angles = [level(folder / f"s{other}/{n}.wav") for n in (0, 1)]
            mean = sum(np.array([np.cos(a), np.sin(a)]) for a in angles)
            means.append(mean / np.linalg.norm(mean))
        angle = level(folder / f"s{speaker}/3.wav")
        likes = [np.cos(angle) * m[0] + np.sin(angle) * m[1] for m in means]
        place = sorted(likes, reverse=True).index(likes[speaker])
        right1, right5 = right1 + (place == 0), right5 + (place < 5)
    assert (score.top1, score.top5) == (right1 / SPEAKERS, right5 / SPEAKERS)
    assert 0 < score.top1 < 1 and (score.speakers, score.tests) == (SPEAKERS, SPEAKERS)
    assert score.intervals["top1"].low <= score.top1 <= score.intervals["top1"].high
    assert left_out == []


def test_files_that_cannot_be_read_and_headed_lists(folder):
    (folder / "s0/3.wav").write_bytes(b"")
    head = "role\tspeaker\tpath\n"
    rows = [
        f"{'enroll' if n < 2 else 'test'}\tN{s}\ts{s}/{n}.wav" for s in (0, 1, 2) for n in range(4)
    ]
    listed = folder / "list.tsv"
    listed.write_text(head + "\n".join(rows) + "\n")
    table = read_identification(listed)
    assert table.speakers[:4] == ["N0"] * 4 and len(table.enroll) == len(table.test) == 6
    score, left_out = identify_list(table, folder, Levels())
    assert (score.tests, score.left_out, score.speakers) == (5, 1, 3) and "s0/3.wav" in left_out[0]
    assert score.top5 is None  # five of three is no result
    listed.write_text(head + "test\tN0\ts0/0.wav\nenrol\tN1\ts1/0.wav\n")
    with pytest.raises(CorpusError, match="'N0' is tested but not enrolled"):
        identify_list(read_identification(listed), folder, Levels())
    listed.write_text(head + "enrol\tN1\ts1/0.wav\n")
    with pytest.raises(CorpusError, match="1 enrolled speaker and 0 tests"):
        identify_list(read_identification(listed), folder, Levels())
    listed.write_text("1 0.wav\n")
    with pytest.raises(FormatError, match=r"line 1 .* role '1' and speaker ''"):
        read_identification(listed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("enrol\tA\ta.wav\ntest\tA\t./a.wav\n", "line 3 .* both enrolls and is tested"),
        ("enrol\tA\ta.wav\nenrol\tB\ta.wav\n", "line 3 .* is of 'A' and of 'B'"),
    ],
)
def test_a_file_has_one_speaker_and_one_role(tmp_path, text, words):
    (tmp_path / "list.tsv").write_text("role\tspeaker\tpath\n" + text)
    with pytest.raises(FormatError, match=words):
        read_identification(tmp_path / "list.tsv")


def test_one_enrolled_speaker_is_too_few(folder):
    (folder / "list.txt").write_text("1 s0/0.wav\n1 s0/1.wav\n3 s0/2.wav\n")
    with pytest.raises(CorpusError, match=r"1 enrolled speaker and 1 test: .* two speakers"):
        identify_list(read_identification(folder / "list.txt"), folder, Levels())


def test_tests_of_speakers_whose_enrollment_is_lost_are_left_out(folder):
    lines = [f"{role} s{s}/{n}.wav" for s in range(4) for n, role in enumerate((1, 1, 3, 3))]
    (folder / "list.txt").write_text("\n".join(lines) + "\n")
    table = read_identification(folder / "list.txt")
    (folder / "s0/0.wav").write_bytes(b"")  # one file still enrols them
    (folder / "s1/0.wav").write_bytes(b"")
    (folder / "s1/1.wav").unlink()
    score, notes = identify_list(table, folder, Levels())
    assert (score.speakers, score.tests, score.left_out, score.tests_left_out) == (3, 6, 3, 2)
    assert len(notes) == 4 and "2 tests of 's1'" in notes[-1]
    for speaker in (2, 3):
        for number in (0, 1):
            (folder / f"s{speaker}/{number}.wav").unlink()
    with pytest.raises(CorpusError, match="can be read are of 1 enrolled speaker and 2 tests"):
        identify_list(table, folder, Levels())


def test_of_many_pairs_some_are_drawn_and_that_is_said(folder):
    utterances = read_corpus(folder)
    config = ProtocolConfig(closed_enrollment=1, enrollments=(), replicates=20)
    every, notes = identify_corpus(utterances, Levels(), config=config, most_pairs=378)
    assert notes == []  # 28 * 27 / 2
    drawn, notes = identify_corpus(utterances, Levels(), config=config, most_pairs=377)
    assert "378 pairs" in notes[0] and "at most 377" in notes[0] and len(notes) == 1
    assert drawn["voices"].closed_set == every["voices"].closed_set
    assert drawn["voices"].eer == pytest.approx(every["voices"].eer, abs=0.05)


def test_a_folder_against_loops(folder):
    utterances = read_corpus(folder)
    config = ProtocolConfig(closed_enrollment=2, enrollments=(1,), negatives=20, replicates=20)
    measures, _ = identify_corpus(utterances, Levels(), config=config)
    names = [u.speaker for u in utterances]
    enroll, test = draw_enrollments(names, [u.session for u in utterances], enrollment=2)
    right = 0
    for row in test:
        likes = {}
        for name in set(names):
            angles = [level(utterances[e].path) for e in enroll if names[e] == name]
            mean = sum(np.array([np.cos(a), np.sin(a)]) for a in angles)
            angle = level(utterances[row].path)
            likes[name] = np.array([np.cos(angle), np.sin(angle)]) @ mean / np.linalg.norm(mean)
        right += max(likes, key=likes.get) == names[row]
    ranks = measures["voices"].closed_set
    assert ranks.top1 == pytest.approx(right / len(test)) and 0.3 < ranks.top1 < 1
    assert (ranks.speakers, ranks.tests) == (SPEAKERS, len(test))
    assert 0 < measures["voices"].accuracy[1] <= 1


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    model = ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=8))
    return save_weights(model, FeatureConfig(), tmp_path_factory.mktemp("tiny"), name="tiny")


@pytest.fixture
def command(capsys, monkeypatch, weights):
    def run(*arguments):
        return run_command(
            monkeypatch, capsys, "score", "identification", *arguments,
            "--embedder", weights, "--replicates", "20",
        )  # fmt: skip

    return run


def test_the_command(command, folder, tmp_path):
    (folder / "s3/1.wav").write_bytes(b"no sound")
    code, out, err = command(folder, "--enroll", 1, "-o", tmp_path / "o.json")
    assert code == 0 and "all, K=1" in out and "s3/1.wav" in err
    stored = json.loads((tmp_path / "o.json").read_text())["voices"]
    assert "EER" in out and f" {100 * stored['eer']:.1f} " in out
    assert stored["closed_set"]["tests"] == SPEAKERS * FILES - 1 - SPEAKERS
    listed = tmp_path / "list.txt"
    listed.write_text("1 s0/0.wav\n1 s1/0.wav\n3 s0/1.wav\n3 s1/1.wav\n")
    code, out, _ = command(listed, "--root", folder)
    assert code == 0 and "enrolled speakers" in out
    code, out, _ = command(listed, "--root", folder, "-o", "-")
    assert code == 0 and json.loads(out)["tests"] == 2


def test_the_command_says_what_is_wrong(command, folder, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("1 a/1\n")
    for arguments, words in (
        ((listed, "-o", listed), "choose another name"),
        ((folder, "--seed", -1), "--seed"),
        ((tmp_path / "none",), "none"),
        ((folder, "--split", "dev"), "no split 'dev'"),
        ((folder / "s0",), "s0"),
        ((folder, "-o", tmp_path / "no/o.json"), "create its folder"),
    ):
        code, out, err = command(*arguments)
        assert code == 2 and words in err and "Traceback" not in err and out == ""


def test_one_file_in_two_spellings_has_one_role(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("1 Jos\u00e9/1.wav\n3 ./Jose\u0301//1.wav\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"line 2 .* again, and it both enrolls and is tested"):
        read_identification(path)
    path.write_text("1 Jos\u00e9/1.wav\n3 Jose\u0301/2.wav\n", encoding="utf-8")
    assert read_identification(path).speakers == ["Jos\u00e9"] * 2


def test_a_quiet_command_says_nothing_beside_its_refusal(command, folder, tmp_path):
    """A table that lists what is not there is a remark, for whoever asked for remarks."""
    corpus = tmp_path / "corpus"
    (corpus / "clips").mkdir(parents=True)
    shutil.copy(folder / "s0/0.wav", corpus / "clips" / "other.wav")
    (corpus / "validated.tsv").write_text("client_id\tpath\tsentence\nann\ta.mp3\tx\n")
    code, _, err = command(corpus)
    assert code == 2 and "1 of 1 clips" in err and len(err.splitlines()) == 2
    code, _out, err = command(corpus, "-q")
    assert code == 2 and "holds media" in err and len(err.splitlines()) == 1
