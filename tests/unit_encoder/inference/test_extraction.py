"""Utterances as crops, from sound files to cached vectors."""

import hashlib
import os
import stat

import numpy as np
import pytest
import soundfile
import torch

from encoder.data.manifest import Utterance
from encoder.errors import CheckpointError, CorpusError, StoreError
from encoder.features.log_mel import FeatureConfig
from encoder.inference.encoder import Encoder
from encoder.inference.extraction import centred, crop_vectors
from encoder.models.rescnn import ResCNN, ResCNNConfig


class Means:
    """A fake embedder that hears only a window's mean, length and first sample; counts calls."""

    minimum_samples = 3000

    def __init__(self, fingerprint="means"):
        self.fingerprint = fingerprint
        self.windows = 0

    def embed_windows(self, wave, bounds, *, on_done=None):
        self.windows += len(bounds)
        parts = [wave[start:end] for start, end in bounds]
        return np.array([[float(p.mean()), len(p), float(p[0])] for p in parts], np.float32)


def utterances(folder, lengths):
    rng = np.random.default_rng(0)
    rows = []
    for number, length in enumerate(lengths):
        path = folder / f"{number}.wav"
        wave = rng.uniform(-0.5, 0.5, size=length).astype(np.float32)
        soundfile.write(path, wave, 16_000, subtype="FLOAT")
        rows.append((wave, Utterance(path, f"s{number % 2}", "set", "eval", f"t{number}", 1.0)))
    return rows


@pytest.mark.parametrize(
    ("length", "samples", "expected"),
    [(5, 3, [1, 2, 3]), (6, 3, [1, 2, 3]), (3, 3, [0, 1, 2]), (2, 5, [0, 1, 0, 1, 0])],
)
def test_the_middle_or_repeated(length, samples, expected):
    assert centred(torch.arange(length), samples).tolist() == expected


def test_every_utterance_and_crop_by_hand(tmp_path):
    # Longer than both crops, between them, shorter than both, shorter than the embedder takes.
    rows = utterances(tmp_path, [20_000, 9000, 5000, 2000] * 5)  # more than one chunk
    found = crop_vectors(
        Means(), [u for _, u in rows], crops={"full": None, "long": 1.0, "short": 0.5}
    )
    assert found.kept.tolist() == list(range(20)) and found.left_out == []
    for name, size in (("full", None), ("long", 16_000), ("short", 8000)):
        for (wave, _), vector in zip(rows, found.by_crop[name], strict=True):
            samples = size or max(len(wave), 3000)
            start = max(0, (len(wave) - samples) // 2)
            cut = [wave[(start + i) % len(wave)] for i in range(samples)]
            np.testing.assert_allclose(vector, [np.mean(cut), samples, cut[0]], atol=1e-5)


def test_a_vector_does_not_depend_on_its_neighbours(tmp_path):
    torch.manual_seed(0)
    model = ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=4))
    encoder = Encoder(model, FeatureConfig(), "tiny")
    rows = [u for _, u in utterances(tmp_path, [20_000, 9000, 4100])]
    together = crop_vectors(encoder, rows)
    for row, utterance in enumerate(rows):
        alone = crop_vectors(encoder, [utterance])
        for name, vectors in alone.by_crop.items():
            np.testing.assert_allclose(vectors[0], together.by_crop[name][row], atol=1e-5)


def test_what_cannot_be_read_is_left_out_and_said(tmp_path):
    rows = [u for _, u in utterances(tmp_path, [5000] * 4)]
    rows[1].path.write_bytes(b"no sound")
    rows[2].path.unlink()
    soundfile.write(rows[3].path, np.zeros(0), 16_000)
    found = crop_vectors(Means(), rows, cache=tmp_path / "cache")
    assert found.kept.tolist() == [0] and found.by_crop["full"].shape == (1, 3)
    assert [
        name in said for name, said in zip(("1.wav", "2.wav", "3.wav"), found.left_out, strict=True)
    ]
    again = crop_vectors(Means(), rows, cache=tmp_path / "cache")
    assert again.left_out == found.left_out and again.kept.tolist() == [0]
    with pytest.raises(CorpusError, match="none of 1 utterances"):
        crop_vectors(Means(), rows[1:2])


def test_vectors_are_kept_by_fingerprint_list_and_crops(tmp_path):
    rows = [u for _, u in utterances(tmp_path, [5000] * 4)]
    cache = tmp_path / "deep" / "cache"
    embedder = Means("onnx:a/b")
    first = crop_vectors(embedder, rows, cache=cache)
    assert embedder.windows == 12
    if os.name == "posix":  # who is who is nobody else's business
        (kept,) = cache.iterdir()
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (kept, cache, cache.parent)]
        assert modes == [0o600, 0o700, 0o700]
    again = crop_vectors(embedder, rows, cache=cache)
    assert embedder.windows == 12
    assert again.by_crop.keys() == first.by_crop.keys()
    assert all((again.by_crop[name] == first.by_crop[name]).all() for name in first.by_crop)
    for other, some, crops in (
        (Means("another"), rows, {"full": None}),
        (Means("onnx:a/b"), rows[:3], {"full": None}),
        (Means("onnx:a/b"), rows, {"full": 0.2}),
    ):
        crop_vectors(other, some, crops=crops, cache=cache)
        assert other.windows == len(some)
    soundfile.write(rows[0].path, np.zeros(6000), 16_000)  # another sound under the old name
    crop_vectors(embedder, rows, cache=cache)
    assert embedder.windows == 24


def test_an_embedder_that_gives_no_numbers_is_said_and_nothing_kept(tmp_path):
    class Broken(Means):
        def embed_windows(self, wave, bounds, *, on_done=None):
            return super().embed_windows(wave, bounds) * np.float32(np.nan)

    rows = [u for _, u in utterances(tmp_path, [20_000])]
    with pytest.raises(CheckpointError, match="the embedder means gives values"):
        crop_vectors(Broken(), rows, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_damaged_cache_is_made_again_and_a_failure_leaves_nothing(tmp_path):
    rows = [u for _, u in utterances(tmp_path, [5000] * 2)]
    cache = tmp_path / "cache"
    first = crop_vectors(Means(), rows, cache=cache)
    (path,) = cache.iterdir()
    for damage in (path.read_bytes()[:100], b"", b"PK"):
        path.write_bytes(damage)
        again = crop_vectors(Means(), rows, cache=cache)
        assert (again.by_crop["full"] == first.by_crop["full"]).all()
        assert list(cache.iterdir()) == [path]
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write vectors"):
        crop_vectors(Means(), rows, cache=tmp_path / "file")


def test_progress_reaches_the_end_also_from_the_cache(tmp_path):
    rows = [u for _, u in utterances(tmp_path, [5000] * 20)]
    for expected in ([(16, 20), (20, 20), (20, 20)], [(20, 20)]):
        seen = []
        crop_vectors(Means(), rows, cache=tmp_path, on_done=lambda *at, s=seen: s.append(at))
        assert seen == expected


class Sizes(Means):
    """Also knows the longest wave it was given."""

    most = 0

    def embed_windows(self, wave, bounds, *, on_done=None):
        self.most = max(self.most, len(wave))
        return super().embed_windows(wave, bounds)


def test_no_more_than_the_beginning_is_heard(tmp_path):
    rows = utterances(tmp_path, [20_000, 8000, 8001, 5000])
    crops = {"full": None, "short": 0.25}
    cache = tmp_path / "cache"
    for _ in range(2):  # made, and from the cache
        found = crop_vectors(Means(), [u for _, u in rows], crops=crops, longest_s=0.5, cache=cache)
        assert found.shortened == (0, 2) and found.left_out == []
        assert found.seconds.tolist() == [0.5, 0.5, 0.5, 5000 / 16_000]
        for (wave, _), full, short in zip(rows, *found.by_crop.values(), strict=True):
            heard = wave[:8000]
            np.testing.assert_allclose(full, [heard.mean(), len(heard), heard[0]], atol=1e-5)
            start = (len(heard) - 4000) // 2
            assert short[2] == heard[start]
    whole = crop_vectors(Means(), [u for _, u in rows], crops=crops, cache=cache)
    assert whole.shortened == () and len(list(cache.iterdir())) == 2


def test_long_files_are_not_all_held_at_once(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.ones(120 * 16_000) * 0.1, 16_000)
    rows = [Utterance(path, "s", "set", "eval", f"t{n}", 120.0) for n in range(8)]
    embedder = Sizes()
    found = crop_vectors(embedder, rows, crops={"full": None})
    assert len(found.kept) == 8 and embedder.most == 3 * 120 * 16_000


def test_vectors_of_before_are_still_found(tmp_path):
    # The key of a cache is part of what is on people's disks.
    rows = [u for _, u in utterances(tmp_path, [5000])]
    key = repr(([(str(rows[0].path), rows[0].path.stat().st_size)], [("full", None)]))
    name = f"means-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"
    cache = tmp_path / "cache"
    cache.mkdir()
    np.savez(
        cache / name,
        **{
            "crop full": np.ones((1, 3)),
            "kept": [0],
            "seconds": [1.0],
            "left_out": np.array([], "U"),
        },
    )
    found = crop_vectors(Means(), rows, crops={"full": None}, cache=cache)
    assert (found.by_crop["full"] == 1).all() and found.shortened == ()
