"""CAM++ for inference is the same function as CAM++, for any number of frames and windows."""

from dataclasses import replace

import pytest
import torch

from encoder.models.campplus import SEGMENT, CAMPlusPlus, CAMPlusPlusConfig
from encoder.models.campplus_folded import FoldedCAMPlusPlus

TINY = CAMPlusPlusConfig(
    n_mels=8, front_channels=2, layers=(2, 1, 1), growth=4, bottleneck=6, embedding_size=5
)
CONFIGS = {
    "tiny": TINY,
    "three layers each": replace(TINY, n_mels=16, layers=(3, 3, 3)),
    "wide": replace(TINY, n_mels=40, front_channels=8, growth=16, bottleneck=32),
    "odd sizes": replace(TINY, growth=3, bottleneck=7, embedding_size=11),
    "as published, of few layers": CAMPlusPlusConfig(layers=(2, 3, 2)),
}


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request):
    """A network of random weights whose batch norms are not the identity, and it folded."""
    torch.manual_seed(0)
    model = CAMPlusPlus(CONFIGS[request.param])
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                part.running_mean.normal_(std=0.3)
                part.running_var.uniform_(0.3, 3)
                if part.affine:
                    part.weight.uniform_(-1, 2)
                    part.bias.normal_(std=0.3)
    model.eval()
    return model, FoldedCAMPlusPlus(model).eval()


def features(B, F, config, seed=0):
    return 2 * torch.randn(B, F, config.n_mels, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("F", [3, 4, 40, 158, 2 * SEGMENT, 201, 2 * SEGMENT + 2, 420])
def test_it_is_the_same_function(pair, B, F):
    model, folded = pair
    given = features(B, F, model.config)
    with torch.no_grad():
        expected = model(given)
    found = folded(given)
    assert expected.std(dim=1).min() > 0.01  # not the same number throughout
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
    assert (model.config, model.stride) == (folded.config, folded.stride)


@pytest.mark.parametrize("F", [5, 201])
def test_windows_of_a_batch_do_not_touch(pair, F):
    model, folded = pair
    given = features(4, F, model.config)
    given[1] *= 100  # a loud neighbour
    alone = torch.cat([folded(one[None]) for one in given])
    torch.testing.assert_close(folded(given), alone, atol=1e-5, rtol=0)


def test_the_network_it_is_of_stays_as_it_is_and_the_input_too(pair):
    model, _ = pair
    before = {key: value.clone() for key, value in model.state_dict().items()}
    given = features(2, 60, model.config)
    kept = given.clone()
    folded = FoldedCAMPlusPlus(model)
    first = folded(given)
    assert torch.equal(given, kept)
    assert torch.equal(folded(given), first)  # and nothing of it was written over
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
