"""A model of an embedder's vectors: fitted to speakers who were drawn from one, and its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import encoder
from encoder.calibration.plda import ARRAYS, Plda, find_plda, fit_plda, read_plda, write_plda
from encoder.errors import CheckpointError, CorpusError, StoreError
from encoder.hub.tensor_file import write_arrays

D = 24
APART = np.linspace(0.5, 3.0, D)  # between speakers, where one speaker varies by 1


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def speakers(K, sizes, *, seed=0, apart=APART, scale=0.02):
    """Unit vectors (N, D) and who (N,): far from the origin, so that on the sphere they lie as in
    the plane of known covariances, turned and stretched by a matrix that is always the same."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(K), sizes)
    rows = (rng.normal(size=(K, D)) * np.sqrt(apart))[who] + rng.normal(size=(len(who), D))
    mixed = rows @ np.random.default_rng(99).normal(size=(D, D)) * scale / D**0.5
    return unit(np.eye(1, D) * 3 + mixed), who


def variances(rows, who):
    """Within the speakers (L, L), and of their means (L, L)."""
    means = np.stack([rows[who == k].mean(axis=0) for k in np.unique(who)])
    apart = rows - means[np.unique(who, return_inverse=True)[1]]
    return apart.T @ apart / (len(rows) - len(means)), np.cov(means.T)


@pytest.fixture(scope="module")
def fitted():
    return fit_plda(*speakers(600, 12), directions=16, fingerprint="abcd1234")


def test_new_speakers_vary_by_one_within_and_as_said_between(fitted):
    rows, who = speakers(500, 40, seed=1)
    within, between = variances(fitted.transform(rows), who)
    np.testing.assert_allclose(within, np.eye(16), atol=0.25)
    np.testing.assert_allclose(np.diag(within), 1, atol=0.2)
    np.testing.assert_allclose(np.diag(between), fitted.between, rtol=0.35)
    assert np.abs(between - np.diag(np.diag(between))).max() < 0.5
    assert (np.diff(fitted.between) <= 0).all()


def test_the_variance_between_is_that_of_the_speakers_and_not_of_their_few_vectors():
    """Speakers of two vectors and of forty give about the same; speakers who are one, none."""
    few = fit_plda(*speakers(3000, 2, seed=2), directions=8)
    many = fit_plda(*speakers(800, 40, seed=3), directions=8)
    np.testing.assert_allclose(few.between, many.between, rtol=0.25)
    nobody = fit_plda(*speakers(800, 10, seed=4, apart=np.zeros(D)), directions=8)
    assert nobody.between.max() < 0.1


def test_where_speakers_hardly_differ_little_is_kept():
    """Only in three directions do they differ: the first three, which the projection finds."""
    apart = np.zeros(D)
    apart[[2, 11, 19]] = 4.0, 3.0, 2.0
    rows, who = speakers(800, 12, seed=5, apart=apart)
    found = fit_plda(rows, who, directions=6)
    assert found.between[:3].min() > 5 * found.between[3:].max()


def test_one_speakers_vectors_are_nearer_than_anothers(fitted):
    """Nearer by what the model says of two vectors: more often right than the cosine."""
    rows, _ = speakers(300, 2, seed=6)
    a, b = slice(0, None, 2), slice(1, None, 2)
    latent, between = fitted.transform(rows), fitted.between
    total = 1 + between
    # log odds of one speaker against two, the terms in which the vectors are
    gain = between / (total**2 - between**2)
    x, y = latent[a], latent[b]
    loss = between**2 / (total * (total**2 - between**2)) / 2
    odds = (x * gain) @ y.T - (np.square(x) @ loss)[:, None] - np.square(y) @ loss
    assert (odds.argmax(axis=1) == np.arange(300)).mean() > 0.3  # of 300; by chance 1 in 300
    centred = unit(rows - rows.mean(axis=0))
    cosines = centred[a] @ centred[b].T
    right = (cosines.argmax(axis=1) == np.arange(300)).mean()
    assert (odds.argmax(axis=1) == np.arange(300)).mean() > right


def test_the_length_of_a_vector_and_the_numbers_of_speakers_say_nothing(fitted):
    rows, who = speakers(600, 12)
    np.testing.assert_allclose(fitted.transform(7 * rows), fitted.transform(rows), atol=1e-6)
    order = np.random.default_rng(0).permutation(600) * 3
    again = fit_plda(rows, order[who], directions=16)
    np.testing.assert_allclose(again.between, fitted.between, rtol=1e-3)
    assert fitted.transform(rows[:0]).shape == (0, 16)
    assert fitted.transform(rows.astype(np.float32)).dtype == np.float64


def test_speakers_of_one_vector_do_not_count(fitted):
    rows, who = speakers(600, 12)
    alone, _ = speakers(50, 1, seed=7)
    found = fit_plda(
        np.concatenate([alone, rows]),
        np.concatenate([600 + np.arange(50), who]),
        directions=16,
        fingerprint="abcd1234",
    )
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(fitted, name))


@pytest.mark.parametrize(
    ("K", "size", "directions", "says"),
    [
        (10, 20, 10, "200 vectors of 10 speakers"),  # as many speakers as directions
        (20, 2, 8, "40 vectors of 20 speakers"),  # fewer vectors than twice the values
        (100, 1, 8, "0 vectors of 0 speakers"),
        (100, 5, 0, "0 directions"),
        (100, 5, D + 1, f"{D + 1} directions of {D} values"),
    ],
)
def test_too_little_is_refused(K, size, directions, says):
    with pytest.raises(CorpusError, match=f"{says}.*give more speakers"):
        fit_plda(*speakers(K, size), directions=directions)


def same(a: Plda, b: Plda) -> bool:
    arrays = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ARRAYS)
    return arrays and (a.fingerprint, a.fitted_on) == (b.fingerprint, b.fitted_on)


def test_written_and_read_again(fitted, tmp_path):
    some = replace(fitted, fitted_on={"data": "drawn", "speakers": 600})
    path = write_plda(some, tmp_path / "weights")
    assert path == tmp_path / "weights/plda-abcd1234.safetensors"
    assert list(path.parent.iterdir()) == [path]
    assert same(read_plda(path), some)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The user's two folders and the package's, in this order."""
    monkeypatch.setenv("DIARIZE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("encoder.hub.paths.__file__", str(tmp_path / "encoder/hub/paths.py"))
    cache = tmp_path / "cache/deepspeaker-diarize/weights"
    return tmp_path / "home/weights", cache, tmp_path / "encoder/weights"


def test_the_users_own_comes_before_the_packaged_one(fitted, places):
    assert find_plda("abcd1234") is None
    for place in reversed(places):
        one = replace(fitted, fitted_on={"at": place.parent.name})
        write_plda(one, place)
        assert same(find_plda("abcd1234"), one)
    assert find_plda("abcd1235") is None
    (places[0] / "plda-abcd1234.safetensors").rename(places[0] / "plda-abcd1235.safetensors")
    assert find_plda("abcd1235") is None  # a renamed file is not that embedder's


def test_a_packaged_model_is_that_of_its_name():
    for path in (Path(encoder.__file__).parent / "weights").glob("plda-*.safetensors"):
        assert read_plda(path).fingerprint == path.stem.removeprefix("plda-")


def test_a_damaged_file_is_refused_where_it_is_found(fitted, places):
    path = write_plda(fitted, places[0])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="abcd1234") as caught:
        find_plda("abcd1234")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"between": np.ones(15, np.float32)}, "do not fit together"),
        ({"centre": np.ones(D + 1, np.float32)}, "do not fit together"),
        ({"projection": np.ones(D, np.float32)}, "not enough values"),
        ({"between": np.full(16, -1, np.float32)}, "cannot be"),
        ({"rotation": np.full((16, 16), np.nan, np.float32)}, "cannot be"),
    ],
)
def test_arrays_that_make_no_model_are_refused(fitted, tmp_path, change, says):
    path = write_plda(replace(fitted, **change), tmp_path)
    with pytest.raises(CheckpointError, match=f"no model of vectors .*{says}.*fit it again"):
        read_plda(path)


def test_other_files_are_refused(fitted, tmp_path):
    arrays = {name: getattr(fitted, name) for name in ARRAYS}
    good = {"format": 1, "fingerprint": "f", "fitted_on": {}}
    for wrong in ({**good, "format": 2}, {"format": 1, "fingerprint": "f"}, {}):
        path = write_arrays(tmp_path / "other.safetensors", arrays, wrong, what="the file ")
        with pytest.raises(CheckpointError, match="no model of vectors"):
            read_plda(path)
    write_arrays(path, {"centre": fitted.centre}, good, what="the file ")
    with pytest.raises(CheckpointError, match=r"no model of vectors .*'projection'"):
        read_plda(path)


def test_what_cannot_be_written_is_said(fitted, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="the model of vectors"):
        write_plda(fitted, tmp_path / "file")
