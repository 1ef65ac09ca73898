"""The public weights of CAM++ find their places, all of them, or are refused."""

import pytest
import torch

from encoder.errors import CheckpointError
from encoder.models.campplus import CAMPlusPlus
from encoder.models.campplus_public import network_of

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def public_names():
    """What the public file holds: (public name, our name), written out from its structure."""

    def norm(theirs, ours, tensors=NORM):
        yield from ((f"{theirs}.{t}", f"{ours}.{t}") for t in tensors)

    for n, ours in ((1, "first"), (2, "last")):
        yield f"head.conv{n}.weight", f"front.{ours}.0.weight"
        yield from norm(f"head.bn{n}", f"front.{ours}.1")
    for layer, block, stage in ((1, 0, 0), (1, 1, 1), (2, 0, 2), (2, 1, 3)):
        theirs, ours = f"head.layer{layer}.{block}", f"front.stages.{stage}"
        for n, name in ((1, "first"), (2, "second")):
            yield f"{theirs}.conv{n}.weight", f"{ours}.{name}.0.weight"
            yield from norm(f"{theirs}.bn{n}", f"{ours}.{name}.1")
        if block == 0:
            yield f"{theirs}.shortcut.0.weight", f"{ours}.beside.0.weight"
            yield from norm(f"{theirs}.shortcut.1", f"{ours}.beside.1")
    yield "xvector.tdnn.linear.weight", "stem.weight"
    yield from norm("xvector.tdnn.nonlinear.batchnorm", "stem_norm")
    for block, layers in enumerate((12, 24, 16)):
        for layer in range(layers):
            theirs = f"xvector.block{block + 1}.tdnnd{layer + 1}"
            ours = f"blocks.{block}.layers.{layer}"
            yield from norm(f"{theirs}.nonlinear1.batchnorm", f"{ours}.norm")
            yield f"{theirs}.linear1.weight", f"{ours}.narrow.weight"
            yield from norm(f"{theirs}.nonlinear2.batchnorm", f"{ours}.narrow_norm")
            yield f"{theirs}.cam_layer.linear_local.weight", f"{ours}.delay.weight"
            for n, name in ((1, "squeeze"), (2, "mask")):
                for tensor in ("weight", "bias"):
                    yield f"{theirs}.cam_layer.linear{n}.{tensor}", f"{ours}.{name}.{tensor}"
        yield from norm(f"xvector.transit{block + 1}.nonlinear.batchnorm", f"blocks.{block}.norm")
        yield f"xvector.transit{block + 1}.linear.weight", f"blocks.{block}.transit.weight"
    yield from norm("xvector.out_nonlinear.batchnorm", "out_norm")
    yield "xvector.dense.linear.weight", "affine.weight"
    yield from norm("xvector.dense.nonlinear.batchnorm", "affine_norm", NORM[2:])


@pytest.fixture(scope="module")
def public():
    torch.manual_seed(0)
    ours = CAMPlusPlus().state_dict()
    state = {theirs: ours[name] for theirs, name in public_names()}
    state["xvector.dense.linear.weight"] = state["xvector.dense.linear.weight"][..., None]
    return state


def test_every_tensor_has_its_place(public):
    torch.manual_seed(0)
    model = network_of(public)
    assert not model.training
    expected = CAMPlusPlus().state_dict()
    got = model.state_dict()
    assert got.keys() == expected.keys() and len(public) == len(expected)
    assert all(torch.equal(got[key], expected[key]) for key in expected)
    x = torch.randn(2, 50, 80)
    assert torch.equal(model(x), network_of(dict(reversed(public.items())))(x))


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("xvector.block2.tdnnd24.linear1.weight"),
        lambda s: s.pop("xvector.dense.linear.weight"),
        lambda s: s.update({"xvector.block1.tdnnd13.linear1.weight": torch.zeros(1)}),
        lambda s: s.update({"head.bn3.weight": torch.zeros(1)}),
        lambda s: s.update({"head.conv1.weight": torch.zeros(32, 1, 3, 4)}),
        lambda s: s.update({"head.layer1.0.conv9.weight": torch.zeros(1)}),
    ],
)
def test_other_tensors_are_refused(public, change):
    state = dict(public)
    change(state)
    with pytest.raises(CheckpointError, match=r"not the public weights of CAM\+\+ .*fetch them"):
        network_of(state)


def test_no_tensors_are_refused():
    with pytest.raises(CheckpointError, match="not the public weights"):
        network_of({})
