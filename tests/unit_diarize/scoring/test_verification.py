"""Lists of verification trials: reading, scoring as scikit-learn does, and the command."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from sklearn.metrics import roc_curve

from diarize.formats.trial_lists import format_trials, read_trials
from diarize.scoring.verification import embed_trials, score_verification
from encoder.calibration.metrics import cllr
from encoder.calibration.score_calibration import Calibration, write_calibration
from encoder.errors import CorpusError, FormatError
from tests.support.in_process import run_command


@pytest.fixture
def trial_list(tmp_path):
    """Write a list and read it."""

    def make(text):
        path = tmp_path / "trials.txt"
        path.write_text(text, encoding="utf-8")
        return read_trials(path)

    return make


def test_voxceleb_and_headed_lists_say_the_same(trial_list):
    bare = trial_list("1 id1/a/1.wav id1/b/2.wav\n\n0 id1/a/1.wav id2/c/3.wav\n")
    assert bare.is_target.tolist() == [True, False] and bare.scores is None
    assert bare.test == ["id1/b/2.wav", "id2/c/3.wav"]
    assert (bare.speakers, bare.speakers_from) == ((["id1", "id1"], ["id1", "id2"]), "folders")
    headed = trial_list(
        "label\ttest\tenrolment\r\ntarget\tid1/b/2.wav\tid1/a/1.wav\r\n"
        "nontarget\tid2/c/3.wav\tid1/a/1.wav\r\n"
    )
    for name in ("enrollment", "test", "speakers", "speakers_from"):
        assert getattr(bare, name) == getattr(headed, name)
    scored = trial_list("1 a b 0.5\n0 a c -2\n")
    assert scored.scores.tolist() == [0.5, -2] and scored.speakers is None
    for word in ("enrollment", "enrolment"):
        named = trial_list(
            f"target\t{word}\ttest\tscore\t{word}_speaker\ttest_speaker\n1\ta b.wav\tb\t.5\tX\tX\n"
        )
        assert named.speakers == (["X"], ["X"]) and named.speakers_from == "columns"
        assert named.enrollment == ["a b.wav"]


def test_folders_that_disagree_with_the_labels_are_no_speakers(trial_list):
    assert trial_list("1 x/a x/b\n0 x/a x/c\n").speakers is None  # x is not a speaker
    assert trial_list("1 x/a y/b\n0 x/a y/c\n").speakers is None
    assert trial_list("1 x/a x/b\n0 x/a c\n").speakers is None


def test_what_is_written_is_read_again(trial_list):
    first = trial_list("1 s/a s/b\n0 s/a t/c\n")
    text = format_trials(first, [0.25, -1.5])
    titles = "target enrollment test score enrollment_speaker test_speaker"
    assert text.splitlines()[0].split("\t") == titles.split()
    again = trial_list(text)
    assert again.scores.tolist() == [0.25, -1.5] and again.speakers_from == "columns"
    assert (again.enrollment, again.speakers) == (first.enrollment, first.speakers)


def test_all_digits_of_a_score_are_written_and_those_without_one_are_not(trial_list):
    first = trial_list("1 s/a s/b\n0 s/a t/c\n0 s/a t/d\n")
    scores = [1 / 3, float("nan"), 1e-9]
    again = trial_list(format_trials(first, np.array(scores)))
    assert again.scores.tolist() == [1 / 3, 1e-9] and again.test == ["s/b", "t/d"]


def test_between_tabs_all_is_text(trial_list):
    # To a reader of quotes the first one opens a field that swallows the lines up to the next. The
    # last line is longer than such a reader takes, and \x0b is a line's end to some.
    names = ['"a.wav', "b.wav", 'c".wav', "d\x0be.wav", "f\u2028.wav", 140_000 * "x"]
    lines = ["target\tenrolment\ttest", *(f"{n % 2}\te\t{name}" for n, name in enumerate(names))]
    trials = trial_list("\n".join(lines) + "\n")
    assert trials.test == names
    assert trial_list(format_trials(trials, range(6))).test == names


def test_lists_are_parted_by_tabs_commas_or_semicolons(trial_list):
    names = ["my a.wav", "b.wav"]
    bare = trial_list("1\tmy a.wav\tb.wav\n0\tc.wav\tmy d.wav\n")
    assert [bare.enrollment[0], bare.test[0], bare.test[1]] == [*names, "my d.wav"]
    assert trial_list("1\tmy a.wav\tb.wav\t0.5\n").scores.tolist() == [0.5]
    for comma in ",;":
        listed = trial_list(f'target{comma}enrolment{comma}test\n1{comma}"my a.wav"{comma}b.wav\n')
        assert [listed.enrollment[0], listed.test[0]] == names


def test_speakers_that_read_the_same_are_the_same(trial_list):
    composed, apart = "Jos\u00e9", "Jose\u0301"
    folders = trial_list(f"1 ./{composed}/1.wav {apart}/2.wav\n0 {apart}/1.wav x//1.wav\n")
    assert folders.speakers_from == "folders"
    assert folders.speakers == ([composed, composed], [composed, "x"])
    head = "target\tenrollment\ttest\tenrollment_speaker\ttest_speaker\n"
    columns = trial_list(f"{head}1\ta\tb\t{composed}\t{apart}\n")
    assert columns.speakers == ([composed], [composed])


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\rb"])
def test_a_name_that_would_break_its_line_is_refused(trial_list, name):
    trials = replace(trial_list("1 a b\n0 a c\n"), test=["b", name])
    with pytest.raises(FormatError, match="cannot stand in a list"):
        format_trials(trials, [0.0, 1.0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lists no trial"),
        ("1 a\n", "line 1 .* is '1 a': write target enrollment test"),
        ("1 a b\n2 a b\n", "line 2 .* has the label '2': write 1 for one speaker"),
        ("1 a b 0.1\n0 a b\n", "only some trials .* have a score"),
        ("1 a b x\n", "line 1 .* has the score 'x'"),
        ("1 a b nan\n", "line 1 .* has the score 'nan'"),
        ("1 a b 1\n0 a b inf\n", "line 2 .* has the score 'inf'"),
        (
            "target\tenrolment\ttest\tenrolment_speaker\ttest_speaker\n"
            "1\ta\tb\tX\tX\n1\ta\tb\tX\tY\n",
            "line 3 .* speakers 'X' and 'Y' but the label 1",
        ),
        ("target\tenrolment\ttest\n1\ta\n", "line 2 .* lacks the column .test., for it has fewer"),
    ],
)
def test_a_broken_list_is_named_with_its_line(trial_list, text, words):
    with pytest.raises(FormatError, match=words):
        trial_list(text)


def scored_list(seed=0, speakers=8, utterances=5):
    rng = np.random.default_rng(seed)
    names = [f"id{k}/{u}.wav" for k in range(speakers) for u in range(utterances)]
    lines = []
    for number, a in enumerate(names):
        for b in names[number + 1 :]:
            same = a.split("/")[0] == b.split("/")[0]
            lines.append(f"{int(same)} {a} {b} {rng.normal() + 2 * same:.4f}")
    return "\n".join(lines) + "\n"


def test_numbers_are_those_of_scikit_learn(trial_list):
    trials = trial_list(scored_list())
    score = score_verification(trials, trials.scores, replicates=50)
    accepted, found, _ = roc_curve(trials.is_target, trials.scores, drop_intermediate=False)
    missed = 1 - found
    at = int(np.argmax(accepted >= missed))
    assert min(missed[at], accepted[at - 1]) <= score.eer <= max(missed[at - 1], accepted[at])
    for prior in (0.01, 0.05):
        costs = prior * missed + (1 - prior) * accepted
        assert score.min_dcf[prior] == pytest.approx(costs.min() / prior)
        assert score.intervals[f"min_dcf {prior}"].low <= score.min_dcf[prior]
    assert score.intervals["eer"].low < score.eer < score.intervals["eer"].high
    assert (score.trials, score.of_one_speaker, score.speakers) == (780, 80, 8)
    assert score.drawn == "speakers (first folders)" and score.notes == []
    assert json.loads(json.dumps(score.to_json()))["eer"] == score.eer


def test_trials_without_a_score_are_left_out_and_counted(trial_list):
    trials = trial_list("1 a/1 a/2\n0 a/1 b/1\n1 b/1 b/2\n0 a/1 b/2\n")
    score = score_verification(trials, np.array([0.9, 0.1, np.nan, 0.2]), replicates=10)
    assert (score.trials, score.left_out) == (3, 1) and "1 of 4 trials" in score.notes[0]
    with pytest.raises(CorpusError, match="0 same-speaker and 2 different-speaker"):
        score_verification(trials, np.array([np.nan, 0.1, np.nan, 0.2]))
    unknown = trial_list("1 a b\n0 a c\n")
    score = score_verification(unknown, np.array([0.9, 0.1]), replicates=10)
    assert score.drawn == "trials" and "add columns" in score.notes[0] and score.speakers is None


class Tone:
    """A fake embedder: the unit vector of a wave's mean and mean size."""

    minimum_samples = 100
    fingerprint = "tone"

    def embed_windows(self, wave, bounds, *, on_done=None):
        parts = [wave[start:end] for start, end in bounds]
        rows = np.array([[float(p.mean()), float(p.abs().mean())] for p in parts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def sounds(tmp_path):
    """Files s0/0.wav ... s3/2.wav: of each speaker a level of their own, with noise."""
    rng = np.random.default_rng(0)
    names = []
    for speaker in range(4):
        for number in range(3):
            name = f"s{speaker}/{number}.wav"
            (tmp_path / name).parent.mkdir(exist_ok=True)
            wave = 0.1 * speaker + rng.uniform(-0.3, 0.3, size=4000 + 1600 * number)
            soundfile.write(tmp_path / name, wave, 16_000)
            names.append(name)
    lines = [f"{int(a[:2] == b[:2])} {a} {b}" for n, a in enumerate(names) for b in names[n + 1 :]]
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_files_are_embedded_once_and_compared(sounds, monkeypatch):
    monkeypatch.setenv("DIARIZE_HOME", str(sounds / "home"))
    trials = read_trials(sounds / "list.txt")
    found = embed_trials(trials, sounds, Tone())
    assert found.probabilities is None and found.notes == []
    for number in (0, 7, 40):
        a, b = (
            soundfile.read(sounds / side[number])[0] for side in (trials.enrollment, trials.test)
        )
        u, v = (np.array([w.mean(), np.abs(w).mean()]) for w in (a, b))
        cosine = u @ v / np.linalg.norm(u) / np.linalg.norm(v)
        assert found.scores[number] == pytest.approx(cosine, abs=1e-4)
    calibration = Calibration("tone", 8.0, -6.0, 0.1)
    write_calibration(calibration, sounds / "home/weights")
    again = embed_trials(trials, sounds, Tone())
    lengths = [
        [(4000 + 1600 * int(p[3])) / 16_000 for p in s] for s in (trials.enrollment, trials.test)
    ]
    expected = calibration.probability(found.scores, *lengths)
    np.testing.assert_allclose(again.probabilities, expected)
    score = score_verification(trials, again.scores, probabilities=again.probabilities)
    assert score.cllr == pytest.approx(cllr(expected, trials.is_target)) and score.cllr > 0


def test_files_that_cannot_be_read_take_their_trials_with_them(sounds):
    (sounds / "s1/1.wav").write_bytes(b"no sound")
    (sounds / "s2/0.wav").unlink()
    trials = read_trials(sounds / "list.txt")
    found = embed_trials(trials, sounds, Tone())
    assert len(found.notes) == 2 and "s1/1.wav" in found.notes[0]
    gone = {"s1/1.wav", "s2/0.wav"}
    lost = [bool(gone & {a, b}) for a, b in zip(trials.enrollment, trials.test, strict=True)]
    assert np.isnan(found.scores).tolist() == lost


@pytest.fixture
def command(capsys, monkeypatch):
    """Run `diarize score ...`: (exit code, stdout, stderr)."""

    def run(*arguments):
        return run_command(monkeypatch, capsys, "score", *arguments)

    return run


def test_the_command_with_scores_of_ones_own(command, tmp_path):
    trials = tmp_path / "trials.txt"
    trials.write_text(scored_list())
    more = [
        "-o",
        tmp_path / "o.json",
        "--det",
        tmp_path / "det.svg",
        "--scores",
        tmp_path / "s.tsv",
    ]
    code, out, err = command("verification", trials, "--replicates", 20, *more)
    assert code == 0 and err == ""
    assert "equal error rate" in out and "minDCF, target prior 0.05" in out
    stored = json.loads((tmp_path / "o.json").read_text())
    assert f"{100 * stored['eer']:.1f} %" in out and stored["speakers"] == 8
    assert (tmp_path / "det.svg").read_text().startswith("<?xml")
    again = read_trials(tmp_path / "s.tsv")
    np.testing.assert_allclose(again.scores, read_trials(trials).scores)
    code, out, _ = command("verification", tmp_path / "s.tsv", "--replicates", 20, "-o", "-", "-q")
    assert code == 0 and json.loads(out)["eer"] == stored["eer"]


def test_the_command_says_what_is_wrong_before_it_starts(command, tmp_path):
    trials = tmp_path / "trials.txt"
    trials.write_text("1 a b\n0 a c\n")
    for arguments, words in (
        ((tmp_path / "none",), "none"),
        ((trials, "--det", tmp_path / "det.doc"), ".png, .svg or .pdf"),
        ((trials, "-o", tmp_path / "no/o.json"), "create its folder"),
        ((trials, "--embedder", tmp_path / "no.safetensors"), "no weights file"),
    ):
        code, out, err = command("verification", *arguments)
        assert code == 2 and words in err and len(err.splitlines()) == 1 and out == ""
    for output in ("-o", "--scores"):
        code, out, err = command("verification", trials, output, trials)
        assert code == 2 and "choose another name" in err and out == ""
    assert trials.read_text() == "1 a b\n0 a c\n"
    picture = tmp_path / "list.svg"
    picture.write_text(scored_list())
    code, _, err = command("verification", picture, "--det", tmp_path / "." / "list.svg")
    assert code == 2 and "choose another name" in err and picture.read_text() == scored_list()
    for wrong in (("--seed", -1), ("--replicates", 100_001)):
        code, _, err = command("verification", trials, *wrong)
        assert code == 2 and wrong[0] in err and "Traceback" not in err
    code, _, err = command("verification", trials, "-q")
    assert code == 2 and len(err.splitlines()) == 1
    code, _, err = command("verification", trials)  # nothing can be read
    assert code == 2 and "none of 3 utterances can be read" in err


def test_a_name_that_looks_like_a_formula(command, tmp_path):
    trials = tmp_path / "$list^{$.txt"
    trials.write_text(scored_list())
    code, _, err = command(
        "verification", trials, "--det", tmp_path / "det.svg", "--replicates", 10
    )
    assert code == 0 and err == "" and (tmp_path / "det.svg").exists()


def test_the_command_writes_only_trials_with_a_score(command, sounds):
    (sounds / "s1/1.wav").write_bytes(b"no sound")
    more = ["--embedder", tiny_weights(sounds), "--replicates", 10]
    code, _, err = command("verification", sounds / "list.txt", *more, "--scores", sounds / "s.tsv")
    assert code == 0 and "has only the 55 trials" in err and "11 of 66 trials are left out" in err
    assert len(read_trials(sounds / "s.tsv").scores) == 55


def tiny_weights(folder):
    import torch

    from encoder.features.log_mel import FeatureConfig
    from encoder.hub.weights_file import save_weights
    from encoder.models.rescnn import ResCNN, ResCNNConfig

    torch.manual_seed(0)
    model = ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=8))
    return save_weights(model, FeatureConfig(), folder, name="tiny")


def test_of_a_long_file_the_beginning_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("DIARIZE_HOME", str(tmp_path / "home"))
    write_calibration(Calibration("tone", 8.0, -6.0, 0.1), tmp_path / "home/weights")
    rng = np.random.default_rng(0)
    start = rng.uniform(-0.3, 0.3, size=300 * 16_000)
    soundfile.write(tmp_path / "long.wav", np.concatenate([start, np.full(16_000, 0.9)]), 16_000)
    soundfile.write(tmp_path / "start.wav", start, 16_000)
    soundfile.write(tmp_path / "other.wav", start[:8000] + 0.2, 16_000)
    (tmp_path / "list.txt").write_text("1 long.wav start.wav\n0 long.wav other.wav\n")
    found = embed_trials(read_trials(tmp_path / "list.txt"), tmp_path, Tone())
    assert found.notes == ["only the first 300 s were read of 'long.wav'"]
    assert found.scores[0] == pytest.approx(1, abs=1e-6) and found.scores[1] < 0.99


def test_files_are_found_by_another_spelling(sounds):
    for k in range(2):
        (sounds / "Jose\u0301").mkdir(exist_ok=True)
        (sounds / f"s{k}/0.wav").rename(sounds / f"Jose\u0301/{k}.wav")
    (sounds / "list.txt").write_text("1 Jos\u00e9/0.wav Jos\u00e9/1.wav\n", encoding="utf-8")
    found = embed_trials(read_trials(sounds / "list.txt"), sounds, Tone())
    assert found.notes == [] and np.isfinite(found.scores).all()


def test_scoring_scores_needs_no_torch(tmp_path):
    import subprocess

    (tmp_path / "t.txt").write_text(scored_list())
    script = (
        "import sys\n"
        "sys.argv = ['diarize', 'score', 'verification', 't.txt', '--replicates', '10']\n"
        "from diarize.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'matplotlib', 'av'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]" and "equal error rate" in done.stdout
