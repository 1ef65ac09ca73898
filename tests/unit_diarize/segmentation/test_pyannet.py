"""pyannote's network: shapes, what numpy makes of the same published tensors, and its weights."""

import numpy as np
import pytest
import torch

from diarize.segmentation.network.network import SegmentationNetwork, SegmentationNetworkConfig
from diarize.segmentation.network.pyannet import PyanNet, PyanNetConfig
from diarize.segmentation.network.pyannet_public import network_of, sinc_filters
from diarize.segmentation.network.weights import (
    load_network,
    load_pyannote,
    save_network,
    save_pyannote,
)
from encoder.errors import CheckpointError, ConfigError
from tests.support.pyannet import BANK, TINY, bank_of, published_state, worked_out


def noise(*shape, seed=0):
    """It comes and goes."""
    wave = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return 0.1 * wave * torch.linspace(0.5, 20, shape[-1]).sin()


def test_the_default_is_the_published_network():
    network = PyanNet()
    assert sum(p.numel() for p in network.parameters()) == 1_473_265 - 2 * 40 + 80 * 251
    assert (network.hop, network.seen) == (270, 991)
    with torch.inference_mode():
        assert network(torch.zeros(1, 160_000)).shape == (1, 589, 7)


@pytest.mark.parametrize("settings", [{}, {"stride": 4, "taps": 31}, {"speakers": 2}])
@pytest.mark.parametrize("more", [0, 1, 269, 270, 5000])
def test_frames_are_what_hop_and_seen_say(settings, more):
    network = PyanNet(PyanNetConfig(filters=2, width=2, layers=1, hidden=2, linear=2, **settings))
    found = network(noise(2, network.seen + 3 * network.hop + more))
    classes = 4 if "speakers" in settings else 7
    assert found.shape == (2, 4 + more // network.hop, classes)
    assert torch.allclose(found.exp().sum(dim=2), torch.ones(()))


def test_a_chunk_does_not_depend_on_its_batch():
    network = network_of(published_state(), TINY)
    waves = noise(4, 20_000)
    alone = torch.cat([network(wave[None]) for wave in waves])
    assert torch.allclose(network(waves).exp(), alone.exp(), atol=1e-5)


def test_loudness_and_an_offset_hardly_matter():
    network = network_of(published_state(), TINY)
    wave = 10 * noise(1, 20_000)
    assert torch.allclose(network(wave).exp(), network(0.3 * wave + 0.2).exp(), atol=1e-2)
    assert not torch.allclose(network(wave).exp(), network(wave.flip(1)).exp(), atol=0.1)


@pytest.mark.parametrize(
    "wrong", [{"filters": 0}, {"taps": 0}, {"stride": -1}, {"layers": 0}, {"at_once": 4}]
)
def test_shapes_that_cannot_be(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PyanNetConfig(**wrong)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_published_tensors_mean_what_numpy_makes_of_them(seed):
    state = published_state(seed)
    network = network_of(state, TINY)
    assert not network.training
    for wave in (noise(16_000, seed=seed), 0.01 + 0.001 * noise(9000), torch.zeros(5000)):
        expected = worked_out(state, wave)
        found = network(wave[None])[0].exp().detach().numpy()
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert worked_out(state, noise(16_000, seed=seed)).std(axis=0).max() > 0.05


def test_filters_pass_their_bands():
    state = published_state()
    filters = sinc_filters(*(state[BANK + n] for n in ("low_hz_", "band_hz_", "n_", "window_")))
    assert filters.shape == (6, 1, 251)
    rows = filters[:, 0].numpy()
    np.testing.assert_allclose(rows, bank_of(state), atol=1e-5)
    assert np.array_equal(rows[:3], rows[:3, ::-1]) and np.array_equal(rows[3:], -rows[3:, ::-1])
    assert (rows[:3, 125] == 1).all() and (rows[3:, 125] == 0).all()
    heard = np.abs(np.fft.rfft(rows, 16_000))  # 1 Hz apart
    for low, high, even, odd in zip(
        (110, 350, 1550), (360, 800, 2500), heard[:3], heard[3:], strict=True
    ):
        for response in (even, odd):
            middle = response[(low + high) // 2]
            assert response[low] == pytest.approx(middle / 2, rel=0.15)  # an edge: half of it
            assert response[high] == pytest.approx(middle / 2, rel=0.15)
            assert response[high + 200 :].max() < 0.01 * middle


def test_the_network_keeps_its_own_tensors():
    state = published_state()
    network = network_of(state, TINY)
    before = network(noise(1, 5000))
    for value in state.values():
        value.zero_()
    assert torch.equal(network(noise(1, 5000)), before)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("linear.1.bias", None, r"lack 'linear\.1\.bias'"),
        (f"{BANK}window_", None, "lack 'sincnet.*window_'"),
        ("lstm.weight_ih_l2", torch.zeros(20, 10), r"'lstm\.weight_ih_l2', which has no use"),
        (f"{BANK}low_hz_", torch.zeros(4, 1), r"low_hz_' .*shape \(4, 1\) and not \(3, 1\)"),
        ("classifier.weight", torch.zeros(8, 4), r"\(8, 4\) and not \(7, 4\)"),
        ("classifier.bias", "seven", r"shape \(\) and not \(7,\)"),
        ("linear.0.bias", torch.tensor([0.0, float("nan"), 0, 0]), "'linear.0.bias' .* not number"),
    ],
)
def test_tensors_that_are_not_the_published_ones(name, value, says):
    state = published_state()
    state.pop(name, None)
    if value is not None:
        state[name] = value
    with pytest.raises(CheckpointError, match=says) as caught:
        network_of(state, TINY)
    assert "segmentation-3.0" in str(caught.value) and "\n" not in str(caught.value)


def test_tensors_of_another_size_are_refused():
    with pytest.raises(CheckpointError, match="lack 'lstm"):
        network_of(published_state())


def test_weights_come_back(tmp_path):
    network = network_of(published_state(), TINY)
    path = save_pyannote(network, tmp_path)
    loaded = load_pyannote(path)
    assert path.stem == f"pyannote-segmentation-{loaded.fingerprint}"
    assert loaded.network.config == TINY
    assert not loaded.network.training
    stored = loaded.network.state_dict()
    for name, value in network.state_dict().items():
        assert torch.allclose(stored[name], value, rtol=1e-3, atol=1e-6), name


def test_each_loader_refuses_the_others_weights(tmp_path):
    small = SegmentationNetworkConfig(width=4, layers=1, hidden=4, edges=4)
    ours = save_network(SegmentationNetwork(small), tmp_path)
    theirs = save_pyannote(network_of(published_state(), TINY), tmp_path)
    with pytest.raises(CheckpointError, match=r"'conv-lstm'.* give those of a 'pyannet'"):
        load_pyannote(ours)
    with pytest.raises(CheckpointError, match=r"'pyannet'.* give those of a 'conv-lstm'"):
        load_network(theirs)
