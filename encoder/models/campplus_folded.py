"""CAM++ for inference: the same function in about two thirds of the time.

Batch norms are folded into the convolutions before them. The dense layers work on one matrix of
channels by frames, in which the windows of a batch lie side by side with columns of zeros between
them: every layer writes its channels below those it reads, so that nothing is joined, and every
convolution is one or three products of matrices.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from encoder.models.campplus import DILATIONS, SEGMENT, CAMPlusPlus

__all__ = ["FoldedCAMPlusPlus"]

GAP = max(DILATIONS)  # columns of zeros after each window: what a convolution reaches beyond it


class FoldedCAMPlusPlus(nn.Module):
    """(B, F, M) features without their mean -> (B, D) of unit norm, as the network it is of."""

    stride, minimum_frames = CAMPlusPlus.stride, CAMPlusPlus.minimum_frames

    def __init__(self, model: CAMPlusPlus) -> None:
        super().__init__()
        self.config = model.config
        front = model.front
        self.front = nn.Sequential(_folded(front.first[0], front.first[1]), nn.ReLU(inplace=True))
        self.residuals = nn.ModuleList(_Residual(stage) for stage in front.stages)
        self.last = _folded(front.last[0], front.last[1])
        self.stem = _folded(model.stem, model.stem_norm)
        self.blocks = nn.ModuleList(
            _Block(block, dilation) for block, dilation in zip(model.blocks, DILATIONS, strict=True)
        )
        self.out_norm = _Affine(model.out_norm)
        self.affine = _folded(model.affine, model.affine_norm)

    @torch.inference_mode()
    def forward(self, features_BFM: Tensor) -> Tensor:
        """Embed whole inputs; mean and deviation are over all frames."""
        x = self.front(features_BFM.transpose(1, 2).unsqueeze(1))
        for residual in self.residuals:
            x = residual(x)
        x = self.stem(self.last(x).relu_().flatten(1, 2)).relu_()  # (B, C, F)
        B, C, F = x.shape
        wide = x.new_zeros(C, B, F + GAP)
        wide[..., :F] = x.transpose(0, 1)
        flat = wide.flatten(1)
        for block in self.blocks:
            flat = block(flat, B, F)
        out = self.out_norm(flat).unflatten(1, (B, F + GAP))[..., :F]
        pooled = torch.cat([out.mean(dim=-1), out.std(dim=-1)]).T  # (B, 2 C)
        return nn.functional.normalize(self.affine(pooled), dim=-1)


class _Residual(nn.Module):
    def __init__(self, stage: Any) -> None:
        super().__init__()
        self.first = _folded(stage.first[0], stage.first[1])
        self.second = _folded(stage.second[0], stage.second[1])
        self.beside = None if stage.beside is None else _folded(stage.beside[0], stage.beside[1])

    def forward(self, x: Tensor) -> Tensor:
        beside = x if self.beside is None else self.beside(x)
        return self.second(self.first(x).relu_()).add_(beside).relu_()


class _Block(nn.Module):
    """(C, B * (F + GAP)) -> (C', B * (F + GAP))."""

    def __init__(self, block: Any, dilation: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(layer, dilation) for layer in block.layers)
        self.norm = _Affine(block.norm)
        self.transit = nn.Parameter(block.transit.weight[..., 0], requires_grad=False)

    def forward(self, flat: Tensor, B: int, F: int) -> Tensor:
        C = len(flat)
        every = flat.new_empty(len(self.norm.scale), flat.shape[1])
        every[:C] = flat
        for layer in self.layers:
            added = layer(every[:C], B, F)
            every[C : C + len(added)] = added
            C += len(added)
        out: Tensor = self.transit @ self.norm(every)
        return out


class _Layer(nn.Module):
    """(C, N) -> (growth, N), N = B * (F + GAP)."""

    def __init__(self, layer: Any, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = _Affine(layer.norm)
        narrow = _folded(layer.narrow, layer.narrow_norm)
        self.narrow = nn.Parameter(narrow.weight[..., 0], requires_grad=False)
        self.narrow_bias = nn.Parameter(narrow.bias[:, None], requires_grad=False)
        self.delay = nn.Parameter(
            layer.delay.weight.permute(2, 0, 1).contiguous(), requires_grad=False
        )
        self.squeeze = nn.Linear(1, 1)
        self.mask = nn.Linear(1, 1)
        for linear, convolution in ((self.squeeze, layer.squeeze), (self.mask, layer.mask)):
            linear.weight = nn.Parameter(convolution.weight[..., 0], requires_grad=False)
            linear.bias = nn.Parameter(convolution.bias, requires_grad=False)

    def forward(self, flat: Tensor, B: int, F: int) -> Tensor:
        N, before = flat.shape[1], self.dilation
        seen = self.norm(flat)
        # Zeros before the first window, too; those behind a window are before the next one.
        padded = flat.new_zeros(len(self.narrow), N + before)
        inner = padded[:, before:]
        torch.addmm(self.narrow_bias, self.narrow, seen, out=inner)
        inner.relu_()
        windows = inner.unflatten(1, (B, F + GAP))
        windows[..., F:] = 0
        out = self.delay[0] @ padded[:, :N]
        out.addmm_(self.delay[1], inner)
        shifted = out[:, : N - before]  # the last columns are behind the last window
        shifted.addmm_(self.delay[2], inner[:, before:])
        return self._masked(out, windows, F)

    def _masked(self, out: Tensor, windows: Tensor, F: int) -> Tensor:
        """`out` times the mask of each segment, by the means of `windows` (inner, B, F + GAP)."""
        scaled = out.unflatten(1, windows.shape[1:])
        mean = windows.sum(dim=-1) / F  # behind F there are zeros
        for start in range(0, F, SEGMENT):
            segment = slice(start, min(start + SEGMENT, F))
            context = (mean + windows[..., segment].mean(dim=-1)).T  # (B, inner)
            mask = torch.sigmoid(self.mask(torch.relu(self.squeeze(context)))).T
            scaled[..., segment] *= mask[..., None]
        return out


class _Affine(nn.Module):
    """A batch norm and a ReLU of (C, N)."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: Any) -> None:
        super().__init__()
        scale, shift = _affine(norm)
        self.register_buffer("scale", scale[:, None])
        self.register_buffer("shift", shift[:, None])

    def forward(self, flat: Tensor) -> Tensor:
        return torch.addcmul(self.shift, flat, self.scale).relu_()


def _affine(norm: Any) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) that a batch norm is."""
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    return scale.float(), shift.float()


def _folded(layer: Any, norm: Any) -> Any:
    """The layer with the batch norm after it in its weights."""
    scale, shift = _affine(norm)
    out = nn.utils.skip_init(type(layer), **_shape_of(layer), bias=True)
    weight = layer.weight * scale.view(-1, *[1] * (layer.weight.dim() - 1))
    bias = shift if layer.bias is None else shift + layer.bias * scale
    out.weight = nn.Parameter(weight.detach(), requires_grad=False)
    out.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return out


def _shape_of(layer: Any) -> dict[str, Any]:
    if isinstance(layer, nn.Linear):
        return {"in_features": layer.in_features, "out_features": layer.out_features}
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")
    return {name: getattr(layer, name) for name in names}
