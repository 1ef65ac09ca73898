"""What the bounds of a setting allow can be used: neither end hangs, breaks or takes all memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from diarize.clustering import CLUSTERERS
from diarize.clustering.api import cluster
from diarize.segmentation.hysteresis import HysteresisConfig, binarize
from diarize.segmentation.network.weights import NETWORKS
from encoder.errors import ConfigError
from encoder.models import ARCHITECTURES


def ends(schema):
    """(name, value) for the lowest and the highest value of every number."""
    for knob in dataclasses.fields(schema):
        if (bounds := knob.metadata.get("bounds")) is None:
            continue
        little = (bounds.high - bounds.low) * 1e-9
        low = bounds.low + (0 if bounds.low_included else little)
        high = bounds.high - (0 if bounds.high_included else little)
        for end in (low, high):
            value = end if "float" in str(knob.type) else int(end)
            several = isinstance(knob.default, tuple)
            yield knob.name, (value,) * len(knob.default) if several else value


def cases(*families):
    return [
        pytest.param(family.load(name), knob, value, id=f"{name}-{knob}-{value}")
        for family in families
        for name in family.names()
        for knob, value in ends(family.load(name).Config)
    ]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("clusterer", "knob", "value"), cases(CLUSTERERS))
def test_clusterers(clusterer, knob, value):
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(2, 32)), 20, axis=0) + rng.normal(size=(40, 32)) * 0.1
    config = clusterer.Config(**{knob: value})
    labels = cluster(rows.astype(np.float32), clusterer(config))
    assert labels.shape == (40,) and labels.min() == 0


@pytest.mark.parametrize(("network", "knob", "value"), cases(ARCHITECTURES, NETWORKS))
def test_networks(network, knob, value):
    try:
        config = network.Config(**{knob: value})
    except ConfigError:  # it does not fit the defaults of the others
        return
    with torch.device("meta"):
        assert next(network(config).parameters()).is_meta


@pytest.mark.parametrize(("knob", "value"), list(ends(HysteresisConfig)))
def test_hysteresis(knob, value):
    pair = {"onset": 1.0} if knob == "offset" else {"offset": 0.0}
    config = HysteresisConfig(**{**pair, knob: value})
    activity = np.array([0.0, 0.2, 0.9, 1.0, 0.4, 0.0, 0.7, 0.1], np.float32)
    regions = binarize(activity, hop=160, length=8 * 160, config=config)
    assert (regions >= 0).all() and (regions <= 8 * 160).all()
