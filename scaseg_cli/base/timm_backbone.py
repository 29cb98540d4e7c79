"""A backbone from timm: any of its networks that gives feature maps at strides 4, 8, 16 and 32."""

from __future__ import annotations

import difflib
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator

STRIDES = (4, 8, 16, 32)
_REMEDY = "Choose another network: --set base.backbone.timm=NAME"
_EFFICIENTNET = "_conv_stem.weight"  # the first name in weights of the package efficientnet_pytorch


class TimmBackbone(nn.Module):
    """timm's network without its classifier, with random weights.

    Attributes:
        name: its name in timm.
        channels: channels of the four feature maps.
        indices: their places among those that timm numbers.
        plain_names: the names of all tensors of timm's whole network, in their order.
    """

    def __init__(self, name: str, frozen_stages: int = -1, frozen_norm: bool = True) -> None:
        """Build the network.

        Args:
            name: the network, such as ``convnext_tiny``; a tag of weights (``.in1k``) is ignored.
            frozen_stages: 0 freezes what comes before the first feature map's stage, k also the stages of the first k
                feature maps, 4 the whole network; -1 freezes nothing.
            frozen_norm: keeps BatchNorm as loaded, neither trained nor updated. Other norms have no statistics; they
                are trained.

        Raises:
            ScasegError: timm has no such network, or it lacks one of the feature maps, or takes one image size only.
        """
        super().__init__()
        self.name: str = name
        body: Any = _whole(name)
        self.body = body
        self.plain_names = tuple(self.body.state_dict())
        stages = _stages(self.body)
        missing = [stride for stride in STRIDES if stride not in stages]
        if missing or not hasattr(self.body, "forward_intermediates"):
            has = ", ".join(map(str, stages)) or "none"
            raise ScasegError(
                f"timm's {name} has no feature maps at the strides 4, 8, 16 and 32 (it has {has})", _REMEDY
            )
        self.indices = [stages[stride][0] for stride in STRIDES]
        frozen = list(_parameters_up_to(self.body, [stages[stride][1] for stride in STRIDES], frozen_stages))
        body.prune_intermediate_layers(self.indices, prune_norm=True, prune_head=True)
        for parameter in frozen:
            parameter.requires_grad_(False)
        self._still: list[nn.Module] = [module for module in self.body.modules() if _stays(module, frozen_norm)]
        for module in self._still:
            module.requires_grad_(False)
        self._depthwise = any(isinstance(m, nn.Conv2d) and 1 < m.groups == m.in_channels for m in body.modules())
        self.channels = self._measured()

    def init_weights(self) -> None:
        """Do nothing; timm has initialised the weights."""

    def forward(self, images_B3HW: Tensor) -> tuple[Tensor, ...]:
        """Compute the feature maps [B, C, H/s, W/s] at the strides 4, 8, 16 and 32, as timm gives them."""
        if self._depthwise and images_B3HW.device.type == "cpu":  # two thirds of the time there
            images_B3HW = images_B3HW.contiguous(memory_format=torch.channels_last)
        return tuple(
            self.body.forward_intermediates(
                images_B3HW, indices=self.indices, norm=False, output_fmt="NCHW", intermediates_only=True
            )
        )

    def train(self, mode: bool = True) -> TimmBackbone:
        """Set training mode, in which frozen BatchNorms stay as they are."""
        super().train(mode)
        for module in self._still:
            module.eval()
        return self

    def body_weights(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename the tensors of a weight file to those of ``body``, and leave out the classifier's.

        Args:
            tensors: with timm's names, with those of the package efficientnet_pytorch, or of a form that timm's own
                filter of the network knows.
        """
        left_out = set(self.plain_names) - set(self.body.state_dict())
        if _EFFICIENTNET in tensors:
            tensors = self._from_efficientnet(tensors)
        elif set(tensors) - left_out != set(self.body.state_dict()):
            known = getattr(sys.modules[type(self.body).__module__], "checkpoint_filter_fn", None)
            if known is not None:
                with suppress(Exception):  # of no form that timm knows: loading says which names are wrong
                    tensors = known(tensors, self.body)
        return {name: tensor for name, tensor in tensors.items() if name not in left_out}

    def _from_efficientnet(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename by position: both packages list the same layers in the same order.

        The last part of each name (weight, running_mean) must agree; shapes are checked in loading.
        """
        ends = [name.rpartition(".")[2] for name in self.plain_names]
        if ends != [name.rpartition(".")[2] for name in tensors]:
            return tensors  # another network: loading names what is missing
        return dict(zip(self.plain_names, tensors.values(), strict=True))

    @torch.no_grad()
    def _measured(self) -> list[int]:
        """The channels of the feature maps, of one small image that is not square."""
        self.eval()
        try:
            maps = self.forward(torch.zeros(1, 3, 64, 96))
        except (RuntimeError, AssertionError, ValueError, TypeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ScasegError(f"timm's {self.name} does not take images of any size: {reason}", _REMEDY) from error
        finally:
            self.train()
        sizes = [tuple(found.shape[2:]) for found in maps]
        if sizes != [(64 // stride, 96 // stride) for stride in STRIDES]:
            raise ScasegError(f"timm's {self.name} gives feature maps of {sizes} for an image of 64 x 96", _REMEDY)
        return [found.shape[1] for found in maps]


def check_name(name: str) -> None:
    """Check that timm has a network of this name, with weights of its tag.

    Raises:
        ScasegError: it has not; names similar ones, or the tags.
    """
    import timm

    if timm.is_model(name):
        network, _, tag = name.partition(".")
        tags = [listed.partition(".")[2] for listed in timm.list_pretrained(f"{network}.*")] if tag else [""]
        if tag not in tags:
            raise ScasegError(f"timm has no weights {name!r}", f"Use {network} without a tag, or {', '.join(tags)}.")
        return
    near = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.4)
    hint = f"Did you mean {' or '.join(near)}? --set base.backbone.timm=NAME" if near else _REMEDY
    raise ScasegError(f"timm has no network {name!r}", hint)


def _whole(name: str) -> nn.Module:
    """timm's whole network; windows and position tables for images of any size where it has such an option."""
    import timm

    check_name(name)
    try:
        network: nn.Module = timm.create_model(name, pretrained=False, strict_img_size=False)
    except TypeError:
        network = timm.create_model(name, pretrained=False)
    return network


def _stages(body: Any) -> dict[int, tuple[int, str]]:
    """The last stage of each stride: its index among timm's feature maps, and its module's name."""
    info = getattr(body.feature_info, "info", body.feature_info)
    return {stage["reduction"]: (index, stage["module"]) for index, stage in enumerate(info)}


def _parameters_up_to(body: nn.Module, stages: list[str], frozen_stages: int) -> Iterator[nn.Parameter]:
    """The parameters that ``frozen_stages`` freezes, in the order in which timm's networks list them."""
    if frozen_stages < 0:
        return
    names = [name for name, _ in body.named_parameters()]
    of_stage = [[i for i, name in enumerate(names) if name.startswith(f"{stage}.")] for stage in stages]
    if frozen_stages == len(stages):
        end = len(names)
    elif frozen_stages == 0:
        end = min(of_stage[0], default=0)
    else:
        end = max(of_stage[frozen_stages - 1], default=-1) + 1
    yield from list(body.parameters())[:end]


def _stays(module: nn.Module, frozen_norm: bool) -> bool:
    """Whether a module is a BatchNorm that is not trained."""
    if not isinstance(module, _BatchNorm):
        return False
    return frozen_norm or all(not parameter.requires_grad for parameter in module.parameters())
