"""Public models as small as can be, in the catalogue while a test runs."""

from __future__ import annotations

import io

import torch

from diarize.models.catalog import PUBLIC_MODELS, Converted, PublicModel
from encoder.features.log_mel import FeatureConfig
from encoder.models import ARCHITECTURES
from encoder.models.rescnn import ResCNN, ResCNNConfig
from tests.support.wheels import NAME, pin, write_wheel


def network(seed=0, size=6):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=size))


def saved(stored):
    """What torch.save writes of it."""
    written = io.BytesIO()
    torch.save(stored, written)
    return written.getvalue()


def member(name):
    return f"{NAME}/{name}.pt"


def entry(name, package, **more):
    """`campplus` or `pyannote-segmentation` as a tiny embedder."""
    known = {
        "name": name,
        "purpose": "test",
        "licence": "MIT",
        "source": "made here",
        "megabytes": 0.1,
        "setting": PUBLIC_MODELS[name].setting,
        "package": package,
        "member": member(name),
        "converter": convert,
        "architectures": lambda: ARCHITECTURES,
    }
    return PublicModel(**{**known, **more})


def convert(state):
    model = network(seed=99)
    model.load_state_dict(state)
    return Converted(model, FeatureConfig())


def both_in(folder, monkeypatch, **more):
    """The wheel of both public models, which the catalogue is set to while the test runs."""
    names = list(PUBLIC_MODELS)
    wheel = write_wheel(
        folder,
        {member(name): saved(network(seed).state_dict()) for seed, name in enumerate(names)},
    )
    for name in names:
        monkeypatch.setitem(PUBLIC_MODELS, name, entry(name, pin(wheel), **more))
    return wheel
