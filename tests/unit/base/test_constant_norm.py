"""A convolution that applies the constant norm after it computes what the two did, and keeps less."""

from __future__ import annotations

import copy

import pytest
import torch
from base_world import base
from mmdet.models.backbones import ResNet
from torch import Tensor, nn

from scaseg_cli.base.backbones import build_backbone
from scaseg_cli.base.mask2former import resnet_config

IMAGES = torch.randn(3, 3, 64, 48, generator=torch.Generator().manual_seed(0))


def pair(depth: int, frozen: bool = True) -> tuple[nn.Module, nn.Module]:
    """Our ResNet and MMDetection's, with the same weights and with norms of a trained network."""
    backbone = base().backbone.model_copy(update={"depth": depth, "max_pool": True, "frozen_norm": frozen})
    torch.manual_seed(1)
    ours, theirs = build_backbone(backbone), ResNet(**resnet_config(backbone))
    with torch.no_grad():
        for norm in ours.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_()
                norm.running_var.uniform_(0.5, 2)
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.normal_()
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    theirs.load_state_dict(ours.state_dict())
    for network in (ours, theirs):
        network.train()  # MMDetection's returns nothing
    return ours, theirs


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def trained(network: nn.Module) -> tuple[list[Tensor], dict[str, Tensor], int]:
    """Feature maps, gradients, and the bytes of maps that the backward pass keeps."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.dim() == 4 and len(tensor) == len(IMAGES):  # not a weight
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        maps = list(network(IMAGES))
    size = sum(kept.values())
    sum(one.square().mean() for one in maps).backward()
    return maps, {name: p.grad for name, p in network.named_parameters() if p.grad is not None}, size


@pytest.mark.parametrize("depth", [18, 50])
def test_maps_and_gradients_are_those_of_mmdetection(depth: int) -> None:
    (maps, gradients, kept), (expected, of_theirs, kept_by_theirs) = (trained(network) for network in pair(depth))
    for one, other in zip(maps, expected, strict=True):
        close(one, other)
    assert gradients.keys() == of_theirs.keys()
    assert any(name.endswith("downsample.0.weight") for name in gradients)
    for name, gradient in gradients.items():
        close(gradient, of_theirs[name])
    assert kept < 0.75 * kept_by_theirs


def test_norms_that_are_trained_measure_the_batch_and_get_gradients() -> None:
    ours, theirs = pair(18, frozen=False)
    (maps, gradients, _), (expected, of_theirs, _) = trained(ours), trained(theirs)
    assert all(torch.equal(one, other) for one, other in zip(maps, expected, strict=True))
    assert gradients.keys() == of_theirs.keys()
    assert {"bn1.weight", "layer1.0.bn2.bias"} < gradients.keys()
    states = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in states)


def test_a_pass_without_training_joins_norms_that_are_trained() -> None:
    ours, theirs = pair(18, frozen=False)
    ours.eval()
    theirs.eval()
    with torch.no_grad():
        found, expected = ours(IMAGES), theirs(IMAGES)
    for one, other in zip(found, expected, strict=True):
        close(one, other)
    assert not all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))  # joined


def test_a_copy_has_its_own_norms() -> None:
    ours, _ = pair(18)
    other = copy.deepcopy(ours)
    with torch.no_grad():
        before = ours(IMAGES)[0]
        other.bn1.bias += 1.0
        assert torch.equal(ours(IMAGES)[0], before)
        assert not torch.allclose(other(IMAGES)[0], before)
