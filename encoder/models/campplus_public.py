"""The public weights of CAM++ under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from encoder.errors import CheckpointError
from encoder.models.campplus import CAMPlusPlus

__all__ = ["network_of"]

_PARTS = {
    # of a residual block of the front end
    "conv1": "first.0",
    "bn1": "first.1",
    "conv2": "second.0",
    "bn2": "second.1",
    "shortcut.0": "beside.0",
    "shortcut.1": "beside.1",
    # of a dense layer
    "nonlinear1.batchnorm": "norm",
    "linear1": "narrow",
    "nonlinear2.batchnorm": "narrow_norm",
    "cam_layer.linear_local": "delay",
    "cam_layer.linear1": "squeeze",
    "cam_layer.linear2": "mask",
    # of a transit layer
    "nonlinear.batchnorm": "norm",
    "linear": "transit",
}
_SINGLE = {
    "head.conv1": "front.first.0",
    "head.bn1": "front.first.1",
    "head.conv2": "front.last.0",
    "head.bn2": "front.last.1",
    "xvector.tdnn.linear": "stem",
    "xvector.tdnn.nonlinear.batchnorm": "stem_norm",
    "xvector.out_nonlinear.batchnorm": "out_norm",
    "xvector.dense.linear": "affine",
    "xvector.dense.nonlinear.batchnorm": "affine_norm",
}


def network_of(state: Mapping[str, Tensor]) -> CAMPlusPlus:
    """CAM++ with the public weights, in evaluation mode.

    state: tensors by the names of 3D-Speaker's class. CheckpointError unless they are exactly those
    of the default `CAMPlusPlusConfig`.
    """
    with torch.device("meta"):
        model = CAMPlusPlus()
    try:
        ours = {_name(key): value for key, value in state.items()}
        # A convolution of size 1 there, a linear layer here.
        ours["affine.weight"] = ours["affine.weight"].flatten(1)
        model.load_state_dict(ours, assign=True)
    except (KeyError, AttributeError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"these are not the public weights of CAM++ ({reason}): fetch them again"
        ) from error
    return model.eval()


def _name(key: str) -> str:
    module, _, tensor = key.rpartition(".")
    if module in _SINGLE:
        return f"{_SINGLE[module]}.{tensor}"
    if found := re.fullmatch(r"head\.layer(\d)\.(\d)\.(.+)", module):
        stage = 2 * (int(found[1]) - 1) + int(found[2])
        return f"front.stages.{stage}.{_PARTS[found[3]]}.{tensor}"
    if found := re.fullmatch(r"xvector\.block(\d)\.tdnnd(\d+)\.(.+)", module):
        block, layer = int(found[1]) - 1, int(found[2]) - 1
        return f"blocks.{block}.layers.{layer}.{_PARTS[found[3]]}.{tensor}"
    if found := re.fullmatch(r"xvector\.transit(\d)\.(.+)", module):
        return f"blocks.{int(found[1]) - 1}.{_PARTS[found[2]]}.{tensor}"
    raise KeyError(key)
