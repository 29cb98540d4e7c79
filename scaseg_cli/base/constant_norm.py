"""BatchNorm with constant statistics as part of the convolution before it.

A norm that is not trained multiplies and adds constants. The convolution does both with scaled weights and a bias: one
pass over the feature map fewer, and one feature map fewer that is kept for the backward pass. Modules, the names of
their tensors and the loaded values stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


def join_norms(network: nn.Module) -> None:
    """Let each convolution of MMDetection's ResNet apply the BatchNorm after it whenever that is constant."""
    for module in network.modules():
        parts = dict(module.named_children())
        for name, part in parts.items():
            norm = parts.get("1" if name == "0" else name.replace("conv", "bn"))
            if type(part) is nn.Conv2d and type(norm) is nn.BatchNorm2d:
                part.__class__, norm.__class__ = _NormalisedConv, _AppliedNorm
                cast("_NormalisedConv", part).norm = (norm,)  # a tuple: it is not the convolution's own module


def part_norms(network: nn.Module) -> None:
    """Undo `join_norms`, for norms that others are to replace."""
    for module in network.modules():
        kind = type(module)
        if kind is _NormalisedConv:
            module.__class__ = nn.Conv2d
            del module.__dict__["norm"]
        elif kind is _AppliedNorm:
            module.__class__ = nn.BatchNorm2d


def _is_constant(norm: nn.BatchNorm2d) -> bool:
    """Whether a norm neither measures the batch nor needs gradients here."""
    return not norm.training and not (torch.is_grad_enabled() and norm.weight.requires_grad)


class _NormalisedConv(nn.Conv2d):
    norm: tuple[nn.BatchNorm2d]

    def forward(self, input: Tensor) -> Tensor:
        (norm,) = self.norm
        if not _is_constant(norm):
            return super().forward(input)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        return self._conv_forward(input, self.weight * scale[:, None, None, None], shift)


class _AppliedNorm(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return input if _is_constant(self) else super().forward(input)
