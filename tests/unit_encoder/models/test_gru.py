"""The recurrent network has the paper's size, and treats every item of a batch alone."""

import pytest
import torch

from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import load_weights, save_weights
from encoder.models import ARCHITECTURES
from encoder.models.gru import GRU, GRUConfig

TINY = GRUConfig(channels=3, hidden=6, layers=2, embedding_size=5, n_mels=9)


def tiny(seed=0):
    torch.manual_seed(seed)
    model = GRU(TINY)
    model.norm.running_mean.normal_()
    model.norm.running_var.uniform_(0.5, 2)
    return model.eval()


def test_the_papers_network_has_23_million_parameters():
    gru = sum(3 * 1024 * (inner + 1024 + 2) for inner in (64 * 32, 1024, 1024))
    by_hand = 25 * 64 + 2 * 64 + gru + 1024 * 512 + 512
    with torch.device("meta"):
        model = GRU()
    assert sum(p.numel() for p in model.parameters()) == by_hand == 22_565_056
    assert round(by_hand / 1e6) == 23


def by_hand(model, features):
    """The forward pass written out for one (F, M) item, from the state dict alone."""
    w = model.state_dict()
    shape = (-1, 1, 1)
    x = torch.nn.functional.conv2d(features[None, None], w["down.weight"], stride=2, padding=2)[0]
    x = (x - w["norm.running_mean"].reshape(shape)) / (
        w["norm.running_var"].reshape(shape) + 1e-5
    ).sqrt()
    x = x * w["norm.weight"].reshape(shape) + w["norm.bias"].reshape(shape)
    x = x.clamp(0, 20)
    frames = [x[:, t, :].reshape(-1) for t in range(x.shape[1])]  # channels outer, bands inner
    for layer in range(model.config.layers):
        pick = lambda kind, layer=layer: w[f"recurrent.{kind}_l{layer}"]  # noqa: E731
        h, states = torch.zeros(model.config.hidden), []
        for frame in frames:
            r, z, n = (pick("weight_ih") @ frame + pick("bias_ih")).chunk(3)
            hr, hz, hn = (pick("weight_hh") @ h + pick("bias_hh")).chunk(3)
            r, z = torch.sigmoid(r + hr), torch.sigmoid(z + hz)
            h = (1 - z) * torch.tanh(n + r * hn) + z * h
            states.append(h)
        frames = states
    y = w["affine.weight"] @ torch.stack(frames).mean(dim=0) + w["affine.bias"]
    return y / y.norm()


def test_forward_is_the_papers_formula():
    model, features = tiny(), 30 * torch.randn(13, 9)
    torch.testing.assert_close(model(features[None])[0], by_hand(model, features))


def test_an_item_does_not_depend_on_its_batch():
    model = tiny().to(memory_format=torch.channels_last)
    batch = torch.randn(7, 33, 9)
    together = model(batch)
    alone = torch.cat([model(item[None]) for item in batch])
    assert (together - alone).abs().max() <= 1e-5
    assert (together[0] - together[1]).abs().max() > 1e-3  # and does depend on the item


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 16, 17, 100])
def test_any_length_gives_unit_vectors(frames):
    embeddings = tiny()(torch.randn(3, frames, 9))
    assert embeddings.shape == (3, 5)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))


def test_every_parameter_gets_a_gradient():
    model = tiny().train()
    (model(torch.randn(4, 20, 9)) @ torch.randn(5)).sum().backward()
    flat = [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert flat == []


def test_stride_is_frames_in_per_frame_out():
    model = tiny()
    assert model.down(torch.randn(1, 1, 5 * model.stride, 9)).shape[2] == 5


def test_it_is_an_architecture_and_its_weights_come_back(tmp_path):
    assert ARCHITECTURES.load("gru") is GRU
    model = tiny()
    path = save_weights(model, FeatureConfig(n_mels=9), tmp_path, name="x")
    loaded = load_weights(path).model
    assert loaded.config == TINY
    features = torch.randn(2, 20, 9)
    torch.testing.assert_close(loaded(features), model(features), atol=2e-3, rtol=0)  # float16
