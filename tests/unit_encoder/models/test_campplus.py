"""CAM++ has the size of the public weights, and its masks are the paper's formula."""

import math
from dataclasses import replace

import pytest
import torch

from encoder.errors import ConfigError
from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import load_weights, save_weights
from encoder.models import ARCHITECTURES
from encoder.models.campplus import SEGMENT, CAMPlusPlus, CAMPlusPlusConfig

TINY = CAMPlusPlusConfig(
    n_mels=8, front_channels=2, layers=(2, 1, 1), growth=4, bottleneck=6, embedding_size=5
)


def tiny(seed=0):
    """A network whose batch norms are not the identity."""
    torch.manual_seed(seed)
    model = CAMPlusPlus(TINY)
    for part in model.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_(std=0.1)
            part.running_var.uniform_(0.5, 2)
    return model.eval()


def test_the_public_weights_have_as_many_parameters():
    with torch.device("meta"):
        model = CAMPlusPlus()
    norms = 2 * 32
    front = 9 * 32 + norms + 8 * (9 * 32 * 32 + norms) + 2 * (32 * 32 + norms)
    front += 9 * 32 * 32 + norms
    dense = 0
    channels = 128
    for layers in (12, 24, 16):
        for _ in range(layers):
            dense += 2 * channels + 128 * channels + 2 * 128
            dense += 3 * 128 * 32 + (128 * 64 + 64) + (64 * 32 + 32)
            channels += 32
        dense += 2 * channels + channels * (channels // 2)
        channels //= 2
    by_hand = front + 320 * 128 * 5 + 2 * 128 + dense + 2 * channels + 2 * channels * 192
    assert sum(p.numel() for p in model.parameters()) == by_hand == 6_848_544


def normed(norm, x):
    """A batch norm of (C, F) written out."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (x - norm.running_mean[:, None]) * scale[:, None] + norm.bias[:, None]


@torch.no_grad()
def test_a_dense_layer_is_the_papers_formula():
    layer = tiny().blocks[1].layers[0]
    C, F = layer.norm.num_features, 2 * SEGMENT + 30
    x = torch.randn(C, F)
    narrow = layer.narrow.weight[:, :, 0] @ torch.relu(normed(layer.norm, x))
    h = torch.relu(normed(layer.narrow_norm, narrow))
    out = torch.zeros(TINY.growth, F)
    for t in range(F):
        first = t // SEGMENT * SEGMENT
        context = h.mean(dim=1) + h[:, first : first + SEGMENT].mean(dim=1)  # equations 4 and 5
        squeezed = torch.relu(layer.squeeze.weight[:, :, 0] @ context + layer.squeeze.bias)
        mask = torch.sigmoid(layer.mask.weight[:, :, 0] @ squeezed + layer.mask.bias)
        for k, at in enumerate((t - 2, t, t + 2)):  # dilation 2, zeros outside
            if 0 <= at < F:
                out[:, t] += layer.delay.weight[:, :, k] @ h[:, at]
        out[:, t] *= mask
    torch.testing.assert_close(layer(x[None])[0], out, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_end_is_mean_and_deviation_and_a_norm():
    model, features = tiny(), torch.randn(3, 41, 8)
    kept = []
    model.out_norm.register_forward_hook(lambda _, inputs, out: kept.append(out))
    found = model(features)
    frames = torch.relu(kept[0])  # (B, C, F / 2)
    assert frames.shape[-1] == 21 == math.ceil(41 / model.stride)
    mean = frames.mean(dim=-1)
    deviation = ((frames - mean[..., None]).square().sum(dim=-1) / (21 - 1)).sqrt()
    values = torch.cat([mean, deviation], dim=1) @ model.affine.weight.T
    norm = model.affine_norm
    values = (values - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    torch.testing.assert_close(found, values / values.norm(dim=1, keepdim=True))
    assert (found < 0).any()  # no ReLU at the end


@torch.no_grad()
def test_every_item_of_a_batch_is_alone_and_the_shortest_input_is_enough():
    model, features = tiny(), torch.randn(4, 3, 8)
    together = model(features)
    assert together.shape == (4, 5) and together.isfinite().all()
    alone = torch.cat([model(one[None]) for one in features])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    model = CAMPlusPlus(replace(TINY, front_channels=4, bottleneck=16)).train()
    (model(torch.randn(4, 250, 8)) * torch.randn(4, 5)).sum().backward()
    still = [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert still == []


def test_it_is_an_architecture_and_its_weights_come_back(tmp_path):
    assert ARCHITECTURES.load("campplus") is CAMPlusPlus
    path = save_weights(tiny(), FeatureConfig(n_mels=8), tmp_path, name="tiny")
    loaded = load_weights(path)
    assert loaded.model.config == TINY
    features = torch.randn(2, 30, 8)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(features), tiny()(features), atol=5e-3, rtol=0)


@pytest.mark.parametrize(
    ("wrong", "word"), [({"n_mels": 12}, "n_mels is 12"), ({"growth": 0}, "1")]
)
def test_shapes_that_cannot_be(wrong, word):
    with pytest.raises(ConfigError, match=word):
        CAMPlusPlusConfig(**wrong)
