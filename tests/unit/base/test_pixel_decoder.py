"""The pixel decoder computes what MMDetection's does; compiled parts compute what they do uncompiled."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from base_world import SIDE, base, fresh_network, losses_of, stripes
from mmdet.models.layers import MSDeformAttnPixelDecoder
from mmengine.config import ConfigDict

from scaseg_cli.base import deformable_attention
from scaseg_cli.base.backbones import resnet_maps
from scaseg_cli.base.mask2former import head_config
from scaseg_cli.tasks import ZPS

if TYPE_CHECKING:
    from torch import Tensor

NEEDS_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++ on a CPU")


def _same(found: list[Tensor], expected: list[Tensor], rtol: float = 1e-5) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=rtol * float(other.abs().max()))


@pytest.mark.parametrize("size", [(SIDE, SIDE), (96, 64)])
def test_results_and_gradients_are_those_of_mmdetection(size: tuple[int, int]) -> None:
    network = fresh_network(ZPS, base(pixel_decoder_layers=2), aligned=False)
    ours = network.head.pixel_decoder
    config = ConfigDict(head_config(base(pixel_decoder_layers=2), resnet_maps(base().backbone), 4))
    channels = {"in_channels": config.in_channels, "feat_channels": 64, "out_channels": 64, "strides": config.strides}
    config.pixel_decoder.pop("type")
    theirs = MSDeformAttnPixelDecoder(**{**config.pixel_decoder, **channels})
    theirs.load_state_dict(ours.state_dict())
    torch.manual_seed(0)
    with torch.no_grad():
        maps = [one * torch.rand_like(one) for one in network.extract_feat(torch.randn(2, 3, *size))]
    found = []
    for decoder in (ours, theirs):
        for parameter in decoder.parameters():
            parameter.grad = None
        mask_features, levels = decoder(maps)
        outputs = [mask_features, *levels]
        sum(one.square().mean() for one in outputs).backward()
        found.append((outputs, [p.grad for _, p in sorted(decoder.named_parameters()) if p.grad is not None]))
    _same(found[0][0], found[1][0])
    assert len(found[0][1]) > 20
    _same(found[0][1], found[1][1], rtol=1e-4)


def test_the_form_that_is_compiled_is_deformable_attention() -> None:
    sizes = [(3, 4), (6, 8)]
    random = torch.Generator().manual_seed(0)
    values, places, weights = (
        torch.rand(*shape, generator=random, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 60, 2, 5), (2, 7, 2, 2, 4, 2), (2, 7, 2, 2, 4))
    )
    ways = deformable_attention.plain_attention, deformable_attention.deformable_attention
    outputs = [way(values, sizes, places, weights) for way in ways]
    torch.testing.assert_close(*outputs)
    for one, other in zip(
        *(torch.autograd.grad(o.square().sum(), (values, places, weights)) for o in outputs), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.slow
@NEEDS_COMPILER
@pytest.mark.timeout(1200)
def test_a_compiled_step_has_the_same_losses_and_gradients() -> None:
    found = []
    for is_compiled in (False, True):
        network = fresh_network(ZPS, aligned=False)
        if is_compiled:
            network.head.compile_parts()
        torch.manual_seed(0)
        losses = losses_of(network, stripes(ZPS, 1, 0, 1, 2), stripes(ZPS, 2, 3, 0))
        network.parse_losses(losses)[0].backward()
        gradients = [p.grad for _, p in sorted(network.named_parameters()) if p.grad is not None]
        found.append(([losses[name].reshape(()) for name in sorted(losses)], gradients))
    _same(found[1][0], found[0][0], rtol=1e-4)
    _same(found[1][1], found[0][1], rtol=1e-3)
