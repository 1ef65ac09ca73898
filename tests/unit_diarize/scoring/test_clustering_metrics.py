"""Groups of clips against who is who: pairs by loops, by hand, and as scikit-learn has them."""

import itertools
import json

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, v_measure_score

from diarize.scoring.clustering_metrics import match_clips, score_clusters
from encoder.errors import CorpusError


@pytest.mark.parametrize("seed", range(6))
def test_against_loops_and_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth = [f"s{k}" for k in rng.integers(5, size=40)]
    found = [int(k) for k in rng.integers(1, 7, size=40)]
    score = score_clusters(truth, found)
    pairs = list(itertools.combinations(range(40), 2))
    together = {p for p in pairs if found[p[0]] == found[p[1]]}
    alike = {p for p in pairs if truth[p[0]] == truth[p[1]]}
    assert score.precision == pytest.approx(len(together & alike) / len(together))
    assert score.recall == pytest.approx(len(together & alike) / len(alike))
    assert score.f == pytest.approx(2 * len(together & alike) / (len(together) + len(alike)))
    assert score.ari == pytest.approx(adjusted_rand_score(truth, found))
    assert score.v_measure == pytest.approx(v_measure_score(truth, found))
    mostly = 0
    for group in set(found):
        own = [t for t, f in zip(truth, found, strict=True) if f == group]
        mostly += max(own.count(t) for t in own)
    assert score.purity == pytest.approx(mostly / 40)
    assert (score.speakers_true, score.speakers_found) == (len(set(truth)), len(set(found)))


def test_by_hand():
    # Pairs together: ab, ac, bc, de; of one speaker: ab, cd, ce, de. Both: ab, de.
    score = score_clusters(list("xxyyy"), [7, 7, 7, 8, 8])
    assert (score.precision, score.recall, score.f) == (0.5, 0.5, 0.5)
    assert score.purity == pytest.approx(4 / 5) and score.clips == 5
    perfect = score_clusters(["x", "y", "x"], ["b", "a", "b"])
    assert (perfect.f, perfect.ari, perfect.v_measure, perfect.purity) == (1, 1, 1, 1)


def test_unlabelled_clips_stand_alone():
    score = score_clusters(list("xxxx"), ["a", None, "", -1])
    assert (score.precision, score.recall, score.unlabelled) == (1, 0, 3)
    assert (score.speakers_found, score.speakers_true) == (1, 1)
    assert score_clusters(list("xy"), [None, -1]).speakers_found == 0
    assert score_clusters(list("xx"), ["a", "b"]).recall == 0
    assert score_clusters(list("xy"), ["a", "b"]).f == 1


@pytest.mark.slow
def test_a_million_clips():
    rng = np.random.default_rng(0)
    truth = np.arange(1_000_000) // 100
    score = score_clusters(truth.tolist(), (truth // 2).tolist())
    # Groups of 200 clips, half of a speaker: 2 * C(100, 2) of C(200, 2) pairs.
    assert score.precision == pytest.approx(2 * 4950 / 19900) and score.recall == 1
    assert score.speakers_true == 10_000 and score.speakers_found == 5000
    assert 0 < score_clusters(truth, rng.integers(10_000, size=1_000_000)).f < 0.001


def test_unequal_or_no_clips():
    with pytest.raises(CorpusError, match="2 true and 1 found"):
        score_clusters(["a", "b"], ["a"])
    with pytest.raises(CorpusError, match="0 true and 0 found"):
        score_clusters([], [])


def test_clips_pair_by_path_as_far_as_it_is_clear():
    truth = {"a/1.wav": "x", "b/1.wav": "y", "/data/c/2.wav": "z", "lost.wav": "w"}
    found = {"clips/a/1.wav": "P", "b/1.wav": "Q", "c/2.wav": "R", "strange.wav": "S"}
    matched = match_clips(truth, found)
    assert (matched.truth, matched.found) == (["x", "y", "z"], ["P", "Q", "R"])
    assert matched.not_found == ["lost.wav"] and matched.not_known == ["strange.wav"]
    # 1.wav could be either: neither is taken.
    unclear = match_clips({"a/1.wav": "x", "b/1.wav": "y"}, {"1.wav": "P"})
    assert unclear.found == [] and unclear.not_known == ["1.wav"]
    unclear = match_clips({"1.wav": "x"}, {"a/1.wav": "P", "b/1.wav": "Q"})
    assert unclear.truth == [] and len(unclear.not_known) == 2


@pytest.fixture
def score(capsys):
    """Run `diarize score clusters`: (exit code, stdout, stderr)."""
    from diarize import cli

    def run(*arguments):
        import sys

        argv, code = sys.argv, 0
        sys.argv = ["diarize", "score", "clusters", *map(str, arguments)]
        try:
            cli.main()
        except SystemExit as stopped:
            code = stopped.code or 0
        finally:
            sys.argv = argv
        return code, *capsys.readouterr()

    return run


def test_the_command(score, tmp_path):
    labels, found = tmp_path / "who.csv", tmp_path / "found.csv"
    labels.write_text("path,speaker\na/1.wav,x\na/2.wav,x\nb/3.wav,y\nb/4.wav,y\n")
    found.write_text(
        "path,speaker,note\na/1.wav,S0,\na/2.wav,S0,\nb/3.wav,S1,\nb/4.wav,,no speech\no.wav,S1,\n"
    )
    code, out, err = score(labels, found)
    assert code == 0 and "100.0" in out and "2/2" in out
    assert "no group for 1 clip, 'b/4.wav': left out" in err
    assert "does not know 1 clip, 'o.wav': left out" in err
    for flags, recall, clips in (((), 1.0, 3), (("--missing", "alone"), 0.5, 4)):
        code, out, _ = score(labels, found, *flags, "-o", "-", "-q")
        stored = json.loads(out)
        assert (stored["recall"], stored["clips"]) == (recall, clips)
        assert stored["no_group"] == ["b/4.wav"] and stored["not_known"] == ["o.wav"]
    for speaker in "ab":
        (tmp_path / "clips" / speaker).mkdir(parents=True)
    for name in ("a/1.wav", "a/2.wav", "b/3.wav"):
        (tmp_path / "clips" / name).touch()
    assert json.loads(score(tmp_path / "clips", found, "-o", "-")[1])["f"] == 1


def test_the_command_says_what_is_wrong(score, tmp_path):
    labels = tmp_path / "who.csv"
    labels.write_text("path,speaker\n1.wav,x\n")
    for arguments, words in (
        ((tmp_path / "none.csv", labels), "none.csv"),
        ((tmp_path, labels), "give a folder of speaker folders"),
        ((labels, labels, "-o", tmp_path / "no/out.json"), "create its folder"),
    ):
        code, out, err = score(*arguments)
        assert code == 2 and words in err and len(err.splitlines()) == 1 and not out
    before = labels.read_text()
    (tmp_path / "link.csv").symlink_to(labels)
    found = tmp_path / "found.csv"
    found.write_text(before)
    for inputs in ((labels, found), (found, labels)):
        code, out, err = score(*inputs, "-o", tmp_path / "link.csv")
        assert code == 2 and "choose another name" in err and labels.read_text() == before
    deep = tmp_path / "deep.json"
    deep.write_text('{"clips": ' + "[" * 200_000 + "]" * 200_000 + "}")
    code, _, err = score(labels, deep)
    assert code == 2 and "no JSON of clips" in err and len(err.splitlines()) == 1
    other = tmp_path / "other.csv"
    other.write_text("path,speaker\n2.wav,x\n")
    code, _, err = score(labels, other)
    assert code == 2 and "no clip is in both" in err and "'2.wav'" in err
    assert score(labels, other, "--missing", "alone")[0] == 2  # the paths are wrong


def test_when_no_clip_has_a_speaker(score, tmp_path):
    labels, found = tmp_path / "who.csv", tmp_path / "found.csv"
    labels.write_text("path,speaker\n1.wav,x\n2.wav,x\n3.wav,y\n")
    found.write_text("path,speaker,note\n1.wav,,no speech\n2.wav,,no speech\n3.wav,,no speech\n")
    code, out, err = score(labels, found)
    assert code == 2 and "has no clip with a group: `--missing alone`" in err and out == ""
    code, out, _ = score(labels, found, "--missing", "alone", "-o", "-", "-q")
    stored = json.loads(out)
    assert code == 0 and (stored["recall"], stored["unlabelled"]) == (0, 3)
    code, _, err = score(found, labels)
    assert code == 2 and "has no clip with a speaker" in err


def test_numbers_name_speakers_too(score, tmp_path):
    labels, found = tmp_path / "who.csv", tmp_path / "found.json"
    labels.write_text("path,speaker\n1.wav,x\n2.wav,x\n3.wav,y\n")
    rows = [{"path": f"{n}.wav", "speaker": s} for n, s in ((1, 3), (2, 3), (3, -1))]
    found.write_text(json.dumps({"clips": rows}))
    code, out, _ = score(labels, found, "-o", "-", "-q")
    stored = json.loads(out)
    assert code == 0 and stored["recall"] == 1 and stored["no_group"] == ["3.wav"]


@pytest.mark.parametrize(
    "spelled", ["./{}", "a/../{}", "/data/{}", "C:\\data\\{}"], ids=["dot", "up", "root", "drive"]
)
@pytest.mark.parametrize(
    "change", [str, lambda p: p.replace("/", "//"), lambda p: p.replace("/", "\\")]
)
def test_paths_pair_whatever_their_spelling(spelled, change):
    truth = {"x/1.wav": "A", "x/Jos\u00e9.wav": "B"}
    found = {"x/1.wav": "S0", "x/Jose\u0301.wav": "S1"}
    other = {spelled.format(change(path)): label for path, label in found.items()}
    for matched in (match_clips(truth, other), match_clips(other, truth)):
        assert sorted([matched.truth, matched.found]) == [["A", "B"], ["S0", "S1"]]
        assert matched.not_found == matched.not_known == []
