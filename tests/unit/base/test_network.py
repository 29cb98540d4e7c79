"""The segmentor of either host at the embedded world's size: its losses, its gradients, its matching and its file."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from base_world import (
    NAMES,
    NUM_SEEN,
    SIDE,
    base,
    clip,
    fresh_network,
    largest_gradient,
    losses_of,
    recipe,
    stripes,
    vectors_NC,
)
from mmdet.models.dense_heads import Mask2FormerHead as MMDetectionHead
from mmdet.models.detectors import Mask2Former
from mmseg.models.decode_heads import Mask2FormerHead
from mmseg.models.segmentors import EncoderDecoder
from segmentor_outputs import segmented
from torch import Tensor, nn

from scaseg_cli.base.classifier import BASE_KIND, load_classifier
from scaseg_cli.base.dataset import collate
from scaseg_cli.base.network import synchronise_norms
from scaseg_cli.base.segmentor import Segmentor, load_segmentor, save_base
from scaseg_cli.checkpoints import load_tensors, save_tensors
from scaseg_cli.embeddings.encoders import vector_source
from scaseg_cli.embeddings.store import ClassEmbeddings, save_embeddings
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import ClassList, SplitClass, write_classes
from scaseg_cli.stages import recording
from scaseg_cli.tasks import ZPS, ZSS, Task

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe

both = pytest.mark.parametrize("task", [ZPS, ZSS], ids=lambda task: task.name)
CPU = torch.device("cpu")


def test_each_task_has_its_host() -> None:
    assert isinstance(fresh_network(ZPS), Mask2Former)
    semantic = fresh_network(ZSS)
    assert isinstance(semantic, EncoderDecoder)
    assert isinstance(semantic.head, Mask2FormerHead)


def test_the_hosts_compute_the_same() -> None:
    panoptic, semantic = fresh_network(ZPS).eval(), fresh_network(ZSS).eval()
    state = {name.replace("panoptic_head.", "decode_head."): t for name, t in panoptic.state_dict().items()}
    semantic.load_state_dict(state)
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    ((v, masks),) = segmented(Segmentor(panoptic, CPU, SIDE, SIDE), [image])
    ((other_v, other_masks),) = segmented(Segmentor(semantic, CPU, SIDE, SIDE), [image])
    assert torch.equal(v, other_v)
    assert torch.equal(masks, other_masks)


@both
def test_a_step_has_finite_losses_and_trains_all_but_clip(task: Task) -> None:
    network, frozen = fresh_network(task), clip()
    before = frozen.fingerprint
    losses = losses_of(network, stripes(task, 1, 0, 1, 2), stripes(task, 2, 3, 0, size=(48, 64)))
    layers = ["", "d0.", "d1.", "d2."]  # the last; then the queries themselves, and each other layer of the decoder
    names = {layer + name for layer in layers for name in ("loss_cls", "loss_mask", "loss_dice")}
    assert set(losses) == names | {"loss_v2c"}
    assert all(math.isfinite(float(value)) and float(value) > 0 for value in losses.values())
    network.parse_losses(losses)[0].backward()
    head = network.head
    for module in (head.cls_embed.projector, network.backbone.layer1, head.pixel_decoder, head.transformer_decoder):
        assert largest_gradient(module) > 0
    assert float(head.cls_embed.no_object.grad.abs().max()) > 0
    assert all(p.grad is None and not p.requires_grad for p in frozen._module.parameters())
    assert frozen.__dict__.pop("fingerprint") == before == frozen.fingerprint  # recomputed from the weights
    assert not any("clip" in name for name in network.state_dict())


@both
def test_v2c_reaches_the_projector_and_the_backbone(task: Task) -> None:
    network = fresh_network(task)
    losses_of(network, stripes(task, 1, 0, 1), stripes(task, 2, 2, 3))["loss_v2c"].backward()
    assert largest_gradient(network.head.cls_embed.projector) > 0
    assert float(network.backbone.layer1[0].conv1.weight.grad.abs().max()) > 0
    assert network.head.cls_embed.no_object.grad is None


@both
def test_v2c_off_leaves_its_loss_out(task: Task) -> None:
    section = base(v2c=base().v2c.model_copy(update={"enabled": False}))
    losses = losses_of(fresh_network(task, section), stripes(task, 1, 0))
    assert "loss_v2c" not in losses
    assert "loss_cls" in losses


@both
@pytest.mark.parametrize("enhancement", ["multiply", "plus", "minus"])
@pytest.mark.parametrize("others", [(), ((1, 0, 2),)], ids=["alone", "beside one with segments"])
def test_an_image_without_segments_trains(task: Task, enhancement: str, others: tuple[tuple[int, ...], ...]) -> None:
    network = fresh_network(task, base(v2c=base().v2c.model_copy(update={"enhancement": enhancement})))
    views = [stripes(task, 7), stripes(task, 8), *(stripes(task, *other) for other in others)]
    for _ in range(2):  # the second time with tokens in the bank
        losses = losses_of(network, *views)
        assert all(math.isfinite(float(value)) for value in losses.values())
        assert float(losses["loss_v2c"]) > 0
        network.zero_grad()
        network.parse_losses(losses)[0].backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)
        assert largest_gradient(network.head.cls_embed.projector) > 0
    matches = network.head.last_matches(len(views))
    assert [len(queries) for queries, _ in matches] == [0, 0, *(len(other) - 1 for other in others)]


@both
def test_every_segment_is_matched_by_one_query_with_its_class(task: Task) -> None:
    network = fresh_network(task).eval().requires_grad_(False)
    views = [stripes(task, 1, 3, 1, 2, 0), stripes(task, 2), stripes(task, 3, 2, 1)]
    visual, matches = Segmentor(network, CPU, SIDE, SIDE).match(collate(views))
    assert visual.shape == (3, 16, 64)
    assert [sorted(class_ids.tolist()) for _, class_ids, _ in matches] == [[0, 1, 2, 3], [], [1, 2]]
    for queries, class_ids, null in matches:
        assert len(set(queries.tolist())) == len(queries) == len(class_ids)
        unmatched = sorted(set(range(16)) - set(queries.tolist()))
        # the second image has no label at all: for semantic labels its queries are not known to hold nothing
        assert null.tolist() == ([] if task == ZSS and not len(queries) else unmatched)


@both
def test_more_segments_than_queries_leave_some_unmatched(task: Task) -> None:
    network = fresh_network(task, base(num_queries=2), aligned=False)
    losses = losses_of(network, stripes(task, 1, 0, 1, 2, 3))
    assert all(math.isfinite(float(value)) for value in losses.values())
    ((queries, segments),) = network.head.last_matches(1)
    assert sorted(queries.tolist()) == [0, 1]
    assert len(set(segments.tolist())) == 2


@both
def test_images_of_odd_sizes_get_masks_of_their_own_size(task: Task) -> None:
    segmentor = Segmentor(fresh_network(task).eval(), CPU, SIDE, 2 * SIDE)
    sizes = [(37, 53), (64, 64), (5, 91)]
    images = [np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8) for i, size in enumerate(sizes)]
    for (visual, masks), size in zip(segmented(segmentor, images), sizes, strict=True):
        assert visual.shape == (16, 64)
        assert masks.shape == (16, *size)
        assert 0 <= float(masks.min()) <= float(masks.max()) <= 1


@both
def test_no_tensor_of_the_network_has_an_unseen_embedding(task: Task) -> None:
    network = fresh_network(task)
    losses_of(network, stripes(task, 1, 0, 1))
    assert network.head.cls_embed.embeddings.shape[0] == NUM_SEEN
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.dim() == 2 and tensor.shape[1] == vectors_NC().shape[1]:
            assert float((tensor.detach().float() - vectors_NC()[NUM_SEEN:]).abs().amax(1).min()) > 1e-4


def _prepared_run(folder: Path, of: Recipe) -> RunDir:
    """A run folder that has come as far as the base."""
    run = RunDir(folder)
    classes = ClassList(tuple(SplitClass(name, i, True, i < NUM_SEEN) for i, name in enumerate(NAMES)))
    with recording(of, run, "split", run.classes_file):
        write_classes(run, of.task, classes)
    with recording(of, run, "embeddings", run.embeddings_file):
        embeddings = ClassEmbeddings(
            list(NAMES), vectors_NC(), clip().fingerprint, vector_source(of), ("a photo of a {}.",)
        )
        save_embeddings(run.embeddings_file, embeddings)
    return run


def _recipe_of(task: Task) -> Recipe:
    return recipe() if task is ZPS else load_recipe("shapes-zss", ("base.backbone.checkpoint=null", "threads=1"))


@both
def test_the_base_file_holds_all_that_inference_needs(task: Task, tmp_path: Path) -> None:
    of = _recipe_of(task)
    run, network = _prepared_run(tmp_path, of), fresh_network(task, of.base)
    losses_of(network, stripes(task, 1, 0, 1))  # fills the bank, which the file must leave out
    with recording(of, run, "base", run.base_file):
        save_base(run, network, of)
    tensors, meta = load_tensors(run.base_file, BASE_KIND, "")
    own = network.state_dict()
    assert set(tensors) == {name for name in own if not name.startswith("v2c.")} < set(own)
    assert meta["iterations"] == of.base.iterations
    loaded = load_segmentor(of, run)
    restored = loaded.network.state_dict()
    assert set(restored) == set(tensors)
    assert all(torch.equal(restored[name], own[name]) for name in restored)
    image = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    again = segmented(Segmentor(network.eval(), CPU, SIDE, SIDE), [image])
    for one, other in zip(segmented(loaded, [image])[0], again[0], strict=True):
        assert torch.equal(one, other)
    assert not any(p.requires_grad for p in loaded.network.parameters())
    classifier = load_classifier(of, run)
    assert torch.equal(classifier.no_object, network.head.cls_embed.no_object)
    visual = torch.randn(3, 64)
    of_network = network.head.cls_embed(visual)
    torch.testing.assert_close(classifier(visual)[:, [*range(NUM_SEEN), len(NAMES)]], of_network)


@both
@pytest.mark.parametrize("lost", ["backbone.conv1.weight", ".cls_embed.no_object"])
def test_a_base_file_that_lacks_a_weight_is_refused(task: Task, lost: str, tmp_path: Path) -> None:
    of = _recipe_of(task)
    run = _prepared_run(tmp_path, of)
    state: dict[str, Tensor] = fresh_network(task, of.base, aligned=False).state_dict()
    with recording(of, run, "base", run.base_file):
        save_tensors(run.base_file, BASE_KIND, {name: t for name, t in state.items() if not name.endswith(lost)})
    with pytest.raises(ScasegError, match=rf"lacks .*{lost.rpartition('.')[2]}"):
        load_segmentor(of, run)
    if "cls_embed" in lost:
        with pytest.raises(ScasegError, match="lacks no_object"):
            load_classifier(of, run)


def test_no_package_is_imported_that_is_not_needed() -> None:
    code = (
        "import sys; import scaseg_cli.base.classifier, scaseg_cli.base.dataset\n"
        "assert not {'mmdet', 'mmseg', 'mmengine'} & sys.modules.keys()\n"
        "import scaseg_cli.base.segmentor, scaseg_cli.base.hosts.panoptic\n"
        "assert 'mmdet' in sys.modules and 'mmseg' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_synchronised_norms_keep_their_weights_and_names() -> None:
    section = base(backbone=base().backbone.model_copy(update={"frozen_norm": False}))
    network = fresh_network(ZPS, section, aligned=False)
    network.backbone.norm1.running_mean += 1.0
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        expected = network.eval().extract_feat(images)
    synchronise_norms(network, torch.device("cuda", 0))
    with torch.no_grad():  # without training, they need no other process
        found = network.extract_feat(images)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert len(norms) == 20
    assert all(isinstance(module, nn.SyncBatchNorm) for module in norms)
    after = network.state_dict()
    assert set(after) == set(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not isinstance(network.backbone.norm1, nn.BatchNorm2d)  # what its forward pass takes


def test_synchronised_norms_need_cuda_and_trained_norms() -> None:
    with pytest.raises(ScasegError, match=r"sync_norm needs CUDA devices.* cpu"):
        synchronise_norms(fresh_network(ZPS, aligned=False), CPU)
    with pytest.raises(ScasegError, match="sync_norm has no effect while frozen_norm is true"):
        load_recipe("shapes-zps", ("base.backbone.sync_norm=true",))


def test_where_queries_look_is_what_mask2former_computes() -> None:
    head = fresh_network(ZPS, aligned=False).head
    random = torch.Generator().manual_seed(0)
    decoded, features = (torch.randn(*shape, generator=random) for shape in ((2, 16, 64), (2, 64, 16, 16)))
    class_logits, masks, hidden = head._forward_head(decoded, features, (4, 6))
    of_class, of_mask, expected = MMDetectionHead._forward_head(head, decoded, features, (4, 6))
    assert torch.equal(class_logits, of_class)
    torch.testing.assert_close(masks.logits(), of_mask)
    assert hidden.shape == (2 * head.num_heads, 16, 24)
    assert 0 < int(hidden.sum()) < hidden.numel()
    assert torch.equal(hidden, expected)
