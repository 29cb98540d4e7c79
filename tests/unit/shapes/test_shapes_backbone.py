"""The pre-trained backbone: it has seen no unseen class, and its features separate new crops of seen ones."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scaseg_cli.base.backbones import IMAGENET_MEAN, IMAGENET_STD, build_backbone
from scaseg_cli.base.network import load_backbone
from scaseg_cli.base.pretrain_backbone import (
    DESTINATION,
    SEEN,
    scene_crop,
    shapes_backbone_config,
    single_crop,
    train_shapes_backbone,
    training_crops,
)
from scaseg_cli.checkpoints import load_tensors
from scaseg_cli.shapes import crops, scenes
from scaseg_cli.shapes.crops import stream


def _backbone(checkpoint: str | None) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = build_backbone(shapes_backbone_config(frozen=True))
    load_backbone(backbone, checkpoint)
    backbone.eval()
    return backbone


@torch.no_grad()
def _features(backbone: nn.Module, word: str, per_class: int) -> Tensor:
    """Mean last features of new single crops, [classes, per_class, D]."""
    images = [single_crop(stream(word, 9, k, i), cls).image for k, cls in enumerate(SEEN) for i in range(per_class)]
    pixels = (torch.from_numpy(np.stack(images)).float() - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    return backbone(pixels.permute(0, 3, 1, 2))[-1].mean((2, 3)).unflatten(0, (len(SEEN), per_class))


def _nearest_mean_accuracy(backbone: nn.Module) -> float:
    means = _features(backbone, "test-means", 4).mean(1)
    fresh = _features(backbone, "test-fresh", 4)
    named = torch.cdist(fresh.flatten(0, 1), means).argmin(1).unflatten(0, (len(SEEN), 4))
    return (named == torch.arange(len(SEEN))[:, None]).float().mean().item()


def test_shipped_features_tell_seen_classes_apart_and_random_ones_do_not() -> None:
    assert _nearest_mean_accuracy(_backbone("shapes-backbone")) >= 0.95
    assert _nearest_mean_accuracy(_backbone(None)) < 0.6


def test_shipped_weights_are_small_and_without_the_classifier() -> None:
    assert DESTINATION.stat().st_size < 4_000_000
    tensors, header = load_tensors(DESTINATION, "shapes-backbone", "")
    assert not [name for name in tensors if name.startswith(("fc.", "classifier."))]
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16, torch.int64}
    assert header["accuracy"] >= 0.97


def test_training_crops_hold_no_unseen_class_in_any_role(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for module, name in ((crops, "random_thing"), (crops, "random_stuff"), (scenes, "random_thing")):
        _record_classes(monkeypatch, module, name, drawn)
    _record_classes(monkeypatch, scenes, "random_stuff", drawn)
    pictures = training_crops(0, 0) + training_crops(0, 1)
    assert len(drawn) > len(pictures)
    assert {cls.name for cls in drawn} == {cls.name for cls in SEEN}
    assert {cls for picture in pictures for cls in picture.classes} <= set(SEEN)
    assert not any(cls.unseen for cls in SEEN)


def _record_classes(monkeypatch: pytest.MonkeyPatch, module: object, name: str, drawn: list) -> None:
    draw = getattr(module, name)

    def recording(rng, cls, *rest):
        drawn.append(cls)
        return draw(rng, cls, *rest)

    monkeypatch.setattr(module, name, recording)


def test_crops_depend_on_their_stream_alone_and_name_something() -> None:
    for number in range(30):
        first, again = (scene_crop(stream("test", 0, number)) for _ in range(2))
        assert first.image.shape == (32, 32, 3)
        assert first.classes
        np.testing.assert_array_equal(first.image, again.image)


def test_training_writes_weights_that_the_segmentor_takes(tmp_path: Path) -> None:
    path = tmp_path / "backbone.safetensors"
    accuracy = train_shapes_backbone(path, seed=1, iterations=1)
    assert 0.0 <= accuracy < 0.5
    assert [file.name for file in tmp_path.iterdir()] == ["backbone.safetensors"]
    backbone = build_backbone(shapes_backbone_config(frozen=True))
    load_backbone(backbone, str(path))
    tensors, _ = load_tensors(path, "shapes-backbone", "")
    assert torch.equal(backbone.conv1.weight, tensors["conv1.weight"].float())
