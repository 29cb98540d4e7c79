"""The segmentor as the embedded world's recipe builds it: its losses, its gradients, its matching and its file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scaseg_cli.base.classifier import BASE_KIND
from scaseg_cli.base.head import SemanticMask2Former
from scaseg_cli.base.network import build_network
from scaseg_cli.base.samples import collate, sample
from scaseg_cli.base.segmentor import Segmentor, load_segmentor, save_base
from scaseg_cli.checkpoints import load_tensors
from scaseg_cli.clip.load import load_clip
from scaseg_cli.clip.model import ClipModel
from scaseg_cli.data.records import ImageRecord, Segment
from scaseg_cli.embeddings.store import ClassEmbeddings, save_embeddings
from scaseg_cli.recipe import load_recipe
from scaseg_cli.recipe.schema import Base, Recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import ClassList, SplitClass, write_classes
from scaseg_cli.stages import recording

NAMES = ("red ring", "red square", "green ring", "blue dots", "green stripes")
NUM_SEEN = 4
SIDE = 64


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("shapes-zps", ("base.backbone.checkpoint=null", "threads=1"))


@pytest.fixture(scope="module")
def clip(recipe: Recipe) -> ClipModel:
    return load_clip(recipe.clip)


@pytest.fixture(scope="module")
def vectors_NC(clip: ClipModel) -> Tensor:
    return clip.encode_text([f"a photo of a {name}." for name in NAMES])


@pytest.fixture
def network(recipe: Recipe, clip: ClipModel, vectors_NC: Tensor) -> SemanticMask2Former:
    return _network(recipe.base, clip, vectors_NC)


def _network(base: Base, clip: ClipModel | None, vectors_NC: Tensor) -> SemanticMask2Former:
    torch.manual_seed(0)
    return build_network(base, vectors_NC[:NUM_SEEN], clip).train()


def _view(image_id: int, *class_ids: int, size: tuple[int, int] = (SIDE, SIDE)) -> dict[str, Any]:
    """A training view of vertical stripes, one segment of each class; without classes, an image of void alone."""
    height, width = size
    label = np.zeros(size, np.int32)
    edges = np.linspace(0, width, len(class_ids) + 1).astype(int)
    for place in range(len(class_ids)):
        label[:, edges[place] : edges[place + 1]] = place + 1
    segments = tuple(Segment(i + 1, class_id, 1, (0, 0, 1, 1), False) for i, class_id in enumerate(class_ids))
    image = np.random.default_rng(image_id).integers(0, 256, (height, width, 3), dtype=np.uint8)
    record = ImageRecord(image_id, f"{image_id}.png", f"{image_id}.png", width, height, segments)
    return sample(record, image, label, {class_id: class_id for class_id in range(NUM_SEEN)}, SIDE)


def _losses(network: SemanticMask2Former, *views: dict[str, Any]) -> dict[str, Tensor]:
    data = network.data_preprocessor(collate(list(views)), training=True)
    return network(**data, mode="loss")


def _gradient(module: nn.Module) -> float:
    """The largest entry of a module's gradients; not a number where a parameter that is trained has none."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    assert parameters
    return max(math.nan if p.grad is None else float(p.grad.abs().max()) for p in parameters)


def test_a_step_has_finite_losses_and_trains_all_but_clip(network: SemanticMask2Former, clip: ClipModel) -> None:
    before = clip.fingerprint
    losses = _losses(network, _view(1, 0, 1, 2), _view(2, 3, 0, size=(48, 64)))
    layers = 1 + 3  # the queries themselves, then each layer of the decoder
    assert sum(name.endswith(("loss_cls", "loss_mask", "loss_dice")) for name in losses) == 3 * layers
    assert all(math.isfinite(float(value)) and float(value) > 0 for value in losses.values())
    network.parse_losses(losses)[0].backward()
    head = network.panoptic_head
    for module in (head.cls_embed.projector, network.backbone.layer1, head.pixel_decoder, head.transformer_decoder):
        assert _gradient(module) > 0
    assert float(head.cls_embed.no_object.grad.abs().max()) > 0
    assert all(p.grad is None and not p.requires_grad for p in clip._module.parameters())
    assert clip.__dict__.pop("fingerprint") == before == clip.fingerprint  # read anew from the weights
    assert not any("clip" in name for name in network.state_dict())


def test_v2c_reaches_the_projector_and_the_backbone(network: SemanticMask2Former) -> None:
    losses = _losses(network, _view(1, 0, 1), _view(2, 2, 3))
    losses["loss_v2c"].backward()
    assert _gradient(network.panoptic_head.cls_embed.projector) > 0
    assert float(network.backbone.layer1[0].conv1.weight.grad.abs().max()) > 0
    assert network.panoptic_head.cls_embed.no_object.grad is None


def test_v2c_off_leaves_its_loss_out(recipe: Recipe, vectors_NC: Tensor) -> None:
    base = recipe.base.model_copy(update={"v2c": recipe.base.v2c.model_copy(update={"enabled": False})})
    losses = _losses(_network(base, None, vectors_NC), _view(1, 0))
    assert "loss_v2c" not in losses
    assert "loss_cls" in losses


@pytest.mark.parametrize("enhancement", ["multiply", "plus", "minus"])
@pytest.mark.parametrize("others", [(), ((1, 0, 2),)], ids=["alone", "beside one with segments"])
def test_an_image_without_segments_trains(
    recipe: Recipe, clip: ClipModel, vectors_NC: Tensor, enhancement: str, others: tuple[tuple[int, ...], ...]
) -> None:
    v2c = recipe.base.v2c.model_copy(update={"enhancement": enhancement})
    network = _network(recipe.base.model_copy(update={"v2c": v2c}), clip, vectors_NC)
    views = [_view(7), _view(8), *(_view(*other) for other in others)]
    for _ in range(2):  # the second time with tokens in the bank
        losses = _losses(network, *views)
        assert all(math.isfinite(float(value)) for value in losses.values())
        assert float(losses["loss_v2c"]) > 0
        network.zero_grad()
        network.parse_losses(losses)[0].backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)
        assert _gradient(network.panoptic_head.cls_embed.projector) > 0
    matches = network.panoptic_head.last_matches(len(views))
    assert [len(queries) for queries, _ in matches] == [0, 0, *(len(other) - 1 for other in others)]


def test_every_segment_is_matched_by_one_query(network: SemanticMask2Former) -> None:
    network.eval().requires_grad_(False)
    views = [_view(1, 0, 1, 2, 3), _view(2), _view(3, 2, 2)]
    visual, matches = Segmentor(network, torch.device("cpu"), SIDE, SIDE).match(collate(views))
    assert visual.shape == (3, 16, 64)
    assert [sorted(segments.tolist()) for _, segments in matches] == [[0, 1, 2, 3], [], [0, 1]]
    for queries, segments in matches:
        assert len(set(queries.tolist())) == len(queries) == len(segments)


def test_more_segments_than_queries_leave_some_unmatched(recipe: Recipe, vectors_NC: Tensor) -> None:
    network = _network(recipe.base.model_copy(update={"num_queries": 2}), None, vectors_NC)
    losses = _losses(network, _view(1, 0, 1, 2, 3))
    assert all(math.isfinite(float(value)) for value in losses.values())
    ((queries, segments),) = network.panoptic_head.last_matches(1)
    assert sorted(queries.tolist()) == [0, 1]
    assert len(set(segments.tolist())) == 2


def test_the_base_file_holds_all_that_inference_needs(
    recipe: Recipe, network: SemanticMask2Former, vectors_NC: Tensor, clip: ClipModel, tmp_path: Any
) -> None:
    run = RunDir(tmp_path)
    classes = ClassList(tuple(SplitClass(name, i, True, i < NUM_SEEN) for i, name in enumerate(NAMES)))
    with recording(recipe, run, "split", run.classes_file):
        write_classes(run, recipe.task, classes)
    with recording(recipe, run, "embeddings", run.embeddings_file):
        embeddings = ClassEmbeddings(list(NAMES), vectors_NC, clip.fingerprint, recipe.clip, ("a photo of a {}.",))
        save_embeddings(run.embeddings_file, embeddings)
    _losses(network, _view(1, 0, 1))  # fills the bank, which the file must leave out
    with recording(recipe, run, "base", run.base_file):
        save_base(run, network, recipe)
    tensors, meta = load_tensors(run.base_file, BASE_KIND, "")
    own = network.state_dict()
    assert set(tensors) == {name for name in own if not name.startswith("v2c.")} < set(own)
    assert meta["iterations"] == recipe.base.iterations
    loaded = load_segmentor(recipe, run)
    restored = loaded.network.state_dict()
    assert set(restored) == set(tensors)
    assert all(torch.equal(restored[name], own[name]) for name in restored)
    image = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    again = Segmentor(network.eval(), torch.device("cpu"), SIDE, SIDE).segment([image])
    for one, other in zip(loaded.segment([image])[0], again[0], strict=True):
        assert torch.equal(one, other)
    assert not any(p.requires_grad for p in loaded.network.parameters())
