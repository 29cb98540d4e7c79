"""Under mixed precision the network computes in 16 bits; logits, matching costs and losses do not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from base_world import base, clip, fresh_network, losses_of, recipe, stripes, vectors_NC
from torch import Tensor

from scaseg_cli.base import head
from scaseg_cli.base.classifier import ClassProjector, CosineClassifier
from scaseg_cli.base.device import choose_device
from scaseg_cli.base.matching import costs
from scaseg_cli.base.precision import half_precision
from scaseg_cli.base.v2c import SegmentMap, V2CAlignment
from scaseg_cli.clip.load import load_clip
from scaseg_cli.recipe import load_recipe
from scaseg_cli.tasks import ZPS, ZSS, Task


@pytest.mark.parametrize("task", [ZPS, ZSS], ids=["panoptic", "semantic"])
def test_matching_and_losses_are_in_float32(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Tensor] = []

    def noting(*tensors: Any) -> Tensor:
        compared.extend(tensors[:2])
        return costs(*tensors)

    monkeypatch.setattr(head, "costs", noting)
    network = fresh_network(task)
    with torch.autocast("cpu", torch.bfloat16):
        losses = losses_of(network, stripes(task, 1, 0, 1, 2), stripes(task, 2, 1, 3))
    assert len(compared) == 2 * (base().decoder_layers + 1)
    assert {tensor.dtype for tensor in compared} == {torch.float32}
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    assert all(torch.isfinite(loss) for loss in losses.values())
    exact = losses_of(fresh_network(task), stripes(task, 1, 0, 1, 2), stripes(task, 2, 1, 3))
    assert float(losses["loss_cls"]) != float(exact["loss_cls"])  # so 16 bits it was


def test_logits_have_the_digits_of_float32() -> None:
    torch.manual_seed(0)
    classifier = CosineClassifier(ClassProjector(8, vectors_NC().shape[1]), vectors_NC(), 0.07)
    f = classifier.project(torch.randn(4, 8)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        logits = classifier.logits_of_projected(f)
    assert logits.dtype is torch.float32
    assert torch.equal(logits, classifier.logits_of_projected(f.float()))


def test_the_alignment_is_in_float32() -> None:
    f_BQC = torch.randn(1, 4, clip().dim, generator=torch.Generator().manual_seed(0))
    matches = [(torch.tensor([1]), torch.tensor([0]))]
    maps = [SegmentMap(torch.ones(64, 64, dtype=torch.uint8), 1)]
    images = [torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1))]

    def loss() -> Tensor:
        return V2CAlignment(base().v2c, clip())(f_BQC, matches, images, maps)

    with torch.autocast("cpu", torch.bfloat16):
        within = loss()
    assert torch.equal(within, loss())


def test_clip_computes_in_16_bits_where_it_is_told_to_and_gives_float32() -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    model = load_clip(recipe().clip)
    exact, fingerprint = model.encode_image(images), model.fingerprint
    model.compute_in(half_precision("bf16"))
    found = model.encode_image(images)
    assert found.dtype is torch.float32
    assert not torch.equal(found, exact)
    assert float((found * exact).sum(1).min()) > 0.99
    model.compute_in(half_precision("off"))
    assert torch.equal(model.encode_image(images), exact)
    assert model.__dict__.pop("fingerprint") == fingerprint == model.fingerprint  # of the weights, which stay


def test_tf32_is_off_unless_the_recipe_asks() -> None:
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    for changes, is_on in (((), False), (("base.tf32=true",), True), ((), False)):
        choose_device(load_recipe("shapes-zps", ("threads=null", *changes)))
        assert [flag.allow_tf32 for flag in flags] == [is_on] * 2
