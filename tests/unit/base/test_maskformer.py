"""MaskFormer on either host: its losses against the host's own, ignored pixels, matching, and what a recipe may set."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from base_world import NUM_SEEN, SIDE, base, fresh_network, largest_gradient, losses_of, stripes
from mmdet.models.detectors import MaskFormer
from mmdet.models.layers.pixel_decoder import PixelDecoder, TransformerEncoderPixelDecoder
from mmdet.models.losses import FocalLoss
from mmengine.structures import InstanceData
from mmseg.models.decode_heads import MaskFormerHead
from segmentor_outputs import segmented

from scaseg_cli.base.dataset import collate
from scaseg_cli.base.segmentor import Segmentor
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.tasks import ZPS, ZSS, Task

if TYPE_CHECKING:
    from typing import Any

    from scaseg_cli.base.aligned_network import AlignedNetwork

both = pytest.mark.parametrize("task", [ZPS, ZSS], ids=lambda task: task.name)
CPU = torch.device("cpu")


def network_of(task: Task, **changes: Any) -> AlignedNetwork:
    return fresh_network(task, base(segmentor="maskformer", **changes))


def test_each_task_has_its_host_with_its_settings() -> None:
    panoptic, semantic = network_of(ZPS), network_of(ZSS)
    assert isinstance(panoptic, MaskFormer)
    assert isinstance(semantic.head, MaskFormerHead)
    assert type(panoptic.head.pixel_decoder) is TransformerEncoderPixelDecoder
    assert type(semantic.head.pixel_decoder) is PixelDecoder
    for head in (panoptic.head, semantic.head):
        assert isinstance(head.loss_mask, FocalLoss)
        assert [cost.weight for cost in head.assigner.match_costs] == [1.0, 20.0, 1.0]
        assert [head.loss_cls.loss_weight, head.loss_mask.loss_weight, head.loss_dice.loss_weight] == [1.0, 20.0, 1.0]
        assert head.transformer_decoder.layers[0].self_attn.attn.dropout == 0.1


@both
def test_a_step_has_finite_losses_and_trains_every_part(task: Task) -> None:
    network = network_of(task)
    losses = losses_of(network, stripes(task, 1, 0, 1, 2), stripes(task, 2, 3, 0, size=(48, 64)), stripes(task, 3))
    layers = ["", *(f"d{layer}." for layer in range(base().decoder_layers - 1))]
    names = {layer + name for layer in layers for name in ("loss_cls", "loss_mask", "loss_dice")}
    assert set(losses) == names | {"loss_v2c"}
    assert all(math.isfinite(float(value)) and float(value) > 0 for value in losses.values())
    network.parse_losses(losses)[0].backward()
    head = network.head
    for module in (head.cls_embed.projector, network.backbone.layer1, head.pixel_decoder, head.transformer_decoder):
        assert largest_gradient(module) > 0


def test_losses_are_the_hosts_own() -> None:
    network = network_of(ZPS).eval()
    head, samples = network.head, [stripes(ZPS, 1, 0, 1, 2)["data_samples"], stripes(ZPS, 2, 3, 0)["data_samples"]]
    random = torch.Generator().manual_seed(0)
    layers, queries = 2, head.num_queries
    classes = torch.randn(layers, 2, queries, NUM_SEEN + 1, generator=random)
    masks = torch.randn(layers, 2, queries, SIDE // 4, SIDE // 4, generator=random)
    ours = head.losses_of(classes, masks, samples)
    annotated = [InstanceData(labels=sample.labels, masks=sample.masks().long()) for sample in samples]
    theirs = head.loss_by_feat(classes, masks, annotated, [{}, {}])
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert float(ours[name]) == pytest.approx(float(value), rel=1e-5), name


def test_ignored_pixels_change_nothing_and_background_pixels_do() -> None:
    sample = stripes(ZSS, 1, 0, 1)["data_samples"]
    hidden = sample._replace(numbers=sample.numbers.clone())
    hidden.numbers[: SIDE // 2] = 0  # ignored
    is_hidden = hidden.numbers == 0
    random = torch.Generator().manual_seed(0)
    for way, differs in (("ignored", False), ("negative", True)):
        head = network_of(ZSS, unseen_pixels=way).eval().head
        classes = torch.randn(1, 1, head.num_queries, NUM_SEEN + 1, generator=random)
        masks = torch.randn(1, 1, head.num_queries, SIDE, SIDE, generator=random)
        one = head.losses_of(classes, masks, [hidden])
        masks[..., is_hidden] = masks[..., is_hidden].abs()
        other = head.losses_of(classes, masks, [hidden])
        same = [float(one[name]) == pytest.approx(float(other[name]), rel=1e-5) for name in ("loss_mask", "loss_dice")]
        assert same == [not differs] * 2


def test_the_mean_over_labelled_pixels_is_the_loss_of_a_labelled_part() -> None:
    head = network_of(ZSS).eval().head
    logits = torch.randn(1, 1, head.num_queries, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    sample = stripes(ZSS, 1, 0, 1)["data_samples"]
    part = sample._replace(numbers=sample.numbers[SIDE // 2 :], view_shape=(SIDE // 2, SIDE))
    whole = sample._replace(numbers=torch.cat([torch.zeros_like(part.numbers), part.numbers]))
    classes = torch.zeros(1, 1, head.num_queries, NUM_SEEN + 1)
    hidden, alone = (
        head.losses_of(classes, logits, [whole]),
        head.losses_of(classes, logits[..., SIDE // 2 :, :], [part]),
    )
    for name in ("loss_mask", "loss_dice"):
        assert float(hidden[name]) == pytest.approx(float(alone[name]), rel=1e-5)


@both
def test_queries_are_matched_one_to_one_and_padding_changes_nothing(task: Task) -> None:
    network = network_of(task).eval()
    segmentor = Segmentor(network, CPU, SIDE, SIDE)
    views = [stripes(task, 1, 0, 1, 2), stripes(task, 2)]
    visual, matches = segmentor.match(collate(views))
    assert visual.shape == (2, network.head.num_queries, base().channels)
    (query, class_ids, null), (no_query, _, all_null) = matches
    assert sorted(class_ids.tolist()) == [0, 1, 2]
    assert len(set(query.tolist())) == 3
    assert set(query.tolist()).isdisjoint(null.tolist())
    assert len(no_query) == 0
    assert len(all_null) <= network.head.num_queries
    image = np.random.default_rng(0).integers(0, 256, (SIDE // 2, SIDE, 3), dtype=np.uint8)
    large = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    ((v, masks), _) = segmented(segmentor, [image, large])
    assert masks.shape == (network.head.num_queries, SIDE // 2, SIDE)
    assert bool(v.isfinite().all())


REFUSED = [
    ("shapes-zps", "base.num_points=1024", "num_points does not apply to segmentor maskformer"),
    ("shapes-zps", "base.init=weights.pth", "init does not apply to segmentor maskformer"),
    ("shapes-zss", "base.pixel_decoder_layers=1", "pixel_decoder_layers does not apply to MMSegmentation's MaskFormer"),
    ("shapes-zss", "base.pixel_feedforward=128", "pixel_feedforward does not apply to MMSegmentation's MaskFormer"),
]


@pytest.mark.parametrize(("name", "change", "message"), REFUSED)
def test_keys_that_do_not_apply_are_refused(name: str, change: str, message: str) -> None:
    load_recipe(f"{name}-maskformer")
    with pytest.raises(ScasegError, match=message):
        load_recipe(f"{name}-maskformer", (change,))


PUBLISHED = (
    "base.segmentor=maskformer", "base.decoder_layers=6", "base.pixel_feedforward=2048", "base.weight_decay=0.0001",
    "base.v2c.enabled=false", "base.backbone.checkpoint=null",
)  # fmt: skip


@pytest.mark.slow
@both
def test_two_steps_at_the_published_size(task: Task) -> None:
    """MaskFormer R-50 of MMDetection and MMSegmentation, one image a step, at the crop of each COCO recipe."""
    zss = ("base.pixel_feedforward=1024",) if task is ZSS else ()
    section = load_recipe(f"coco-{task.name}", (*PUBLISHED, *zss)).base
    network, crop = fresh_network(task, section, aligned=False), section.crop
    assert sum(p.numel() for p in network.parameters()) > 40e6
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    found = []
    for _ in range(2):
        losses = losses_of(network, stripes(task, 1, 0, 1, 2, size=(crop, crop), side=crop))
        total = network.parse_losses(losses)[0]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        found.append(float(total))
    assert all(math.isfinite(value) for value in found)
    assert found[1] != found[0]  # random weights below frozen norms: a step may well raise the loss
