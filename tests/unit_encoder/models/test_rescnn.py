"""The network has the paper's size, and treats every item of a batch alone."""

import pytest
import torch

from encoder.errors import ConfigError
from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import load_weights, save_weights
from encoder.models import ARCHITECTURES
from encoder.models.rescnn import ResCNN, ResCNNConfig

TINY = ResCNNConfig(channels=(4, 6), blocks=1, embedding_size=5, n_mels=8)


def tiny(seed=0):
    torch.manual_seed(seed)
    model = ResCNN(TINY)
    for module in model.modules():  # statistics as after training, not 0 and 1
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model.eval()


def parameters(config):
    return sum(p.numel() for p in ResCNN(config).parameters())


def test_the_papers_network_has_24_million_parameters():
    assert parameters(ResCNNConfig()) == 24_165_568


def test_parameters_of_another_shape_by_hand():
    # 10 bands: 5 after the first stage, 3 after the second, 2 after the third.
    first = 25 * 1 * 3 + 2 * 3 + 2 * (2 * (9 * 3 * 3 + 2 * 3))
    second = 25 * 3 * 5 + 2 * 5 + 2 * (2 * (9 * 5 * 5 + 2 * 5))
    third = 25 * 5 * 2 + 2 * 2 + 2 * (2 * (9 * 2 * 2 + 2 * 2))
    affine = (2 * 2) * 7 + 7
    config = ResCNNConfig(channels=(3, 5, 2), blocks=2, embedding_size=7, n_mels=10)
    assert parameters(config) == first + second + third + affine


def by_hand(model, features):
    """The forward pass written out for one (F, M) item, from the state dict alone."""
    w = model.state_dict()

    def norm(x, name):
        shape = (1, -1, 1, 1)
        mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        scaled = (x - mean.reshape(shape)) / (var.reshape(shape) + 1e-5).sqrt()
        return scaled * w[f"{name}.weight"].reshape(shape) + w[f"{name}.bias"].reshape(shape)

    def clip(x):
        return x.clamp_min(0).clamp_max(20)

    conv = torch.nn.functional.conv2d
    x = features[None, None]
    for s in range(len(model.config.channels)):
        at = f"trunk.{s}"
        x = clip(norm(conv(x, w[f"{at}.down.weight"], stride=2, padding=2), f"{at}.norm"))
        for b in range(model.config.blocks):
            block = f"{at}.blocks.{b}"
            y = clip(norm(conv(x, w[f"{block}.conv1.weight"], padding=1), f"{block}.norm1"))
            x = clip(norm(conv(y, w[f"{block}.conv2.weight"], padding=1), f"{block}.norm2") + x)
    pooled = x.mean(dim=2).reshape(-1)  # channels outer, bands inner
    y = w["affine.weight"] @ pooled + w["affine.bias"]
    return y / y.norm()


def test_forward_is_the_papers_formula():
    model, features = tiny(), 30 * torch.randn(21, 8)
    torch.testing.assert_close(model(features[None])[0], by_hand(model, features))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_an_item_does_not_depend_on_its_batch(memory_format):
    model = tiny().to(memory_format=memory_format)
    batch = torch.randn(7, 33, 8)
    together = model(batch)
    alone = torch.cat([model(item[None]) for item in batch])
    assert (together - alone).abs().max() <= 1e-5
    assert (together[0] - together[1]).abs().max() > 1e-3  # and does depend on the item


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 16, 17, 100])
def test_any_length_gives_unit_vectors(frames):
    embeddings = tiny()(torch.randn(3, frames, 8))
    assert embeddings.shape == (3, 5)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))


def test_every_parameter_gets_a_gradient():
    model = tiny().train()
    (model(torch.randn(4, 20, 8)) @ torch.randn(5)).sum().backward()
    flat = [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert flat == []


@pytest.mark.parametrize("channels", [(4,), (4, 6), (4, 6, 2, 3)])
def test_stride_is_frames_in_per_frame_out(channels):
    model = ResCNN(ResCNNConfig(channels=channels, blocks=1, embedding_size=5, n_mels=16))
    assert model.trunk(torch.randn(1, 1, 5 * model.stride, 16)).shape[2] == 5


def test_it_is_an_architecture_and_its_weights_come_back(tmp_path):
    assert ARCHITECTURES.load("rescnn") is ResCNN
    model = tiny()
    loaded = load_weights(save_weights(model, FeatureConfig(n_mels=8), tmp_path, name="x")).model
    assert loaded.config == TINY
    features = torch.randn(2, 20, 8)
    torch.testing.assert_close(loaded(features), model(features), atol=2e-3, rtol=0)  # float16


def test_blocks_may_differ_from_stage_to_stage():
    same = [ResCNNConfig(channels=(3, 5), blocks=b, n_mels=8) for b in (2, (2, 2))]
    assert parameters(same[0]) == parameters(same[1])
    model = ResCNN(ResCNNConfig(channels=(3, 5), blocks=(0, 3), n_mels=8))
    assert [len(stage.blocks) for stage in model.trunk] == [0, 3]
    with pytest.raises(ConfigError, match=r"1 stages.* of 2"):
        ResCNN(ResCNNConfig(channels=(3, 5), blocks=(1,), n_mels=8))


def test_a_longer_first_step_in_time_makes_fewer_frames():
    config = ResCNNConfig(channels=(3, 5), blocks=1, first_time_stride=4, n_mels=8)
    model = ResCNN(config).eval()
    assert model.stride == 8 and ResCNN(TINY).stride == 4
    maps = model.trunk(torch.randn(1, 1, 64, 8))
    assert maps.shape == (1, 5, 64 // 8, 8 // 4)
    assert model(torch.randn(2, 1, 8)).shape == (2, config.embedding_size)  # any length
