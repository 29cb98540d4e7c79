"""Checkpoints of Mask2Former trained elsewhere: MMDetection's own model, and Detectron2's names."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import TYPE_CHECKING

import pytest
import torch
from base_world import base, fresh_network
from foreign_checkpoints import names_of_detectron, own_model_of_mmdetection
from torch import Tensor

from scaseg_cli.base.foreign_checkpoint import read_foreign
from scaseg_cli.base.initial_weights import load_initial, tell_initial
from scaseg_cli.errors import ScasegError
from scaseg_cli.tasks import ZPS, ZSS

if TYPE_CHECKING:
    from pathlib import Path

SMALL = base(decoder_layers=2, pixel_decoder_layers=1, num_queries=7)
CLASSES = ("cat", "dog", "sky-other-merged")


@pytest.fixture(scope="module")
def theirs() -> torch.nn.Module:
    return own_model_of_mmdetection(SMALL, len(CLASSES))


def masks_of(model: torch.nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        _, masks = model.panoptic_head(model.extract_feat(images), [])
    found: Tensor = masks[-1]
    return found


def write_mmdetection(model: torch.nn.Module, path: Path, classes: tuple[str, ...] | None = CLASSES) -> Path:
    meta = {"dataset_meta": {"classes": classes}} if classes is not None else {}
    torch.save({"meta": meta, "state_dict": model.state_dict()}, path)
    return path


def test_a_checkpoint_of_mmdetections_own_model_gives_its_masks(theirs: torch.nn.Module, tmp_path: Path) -> None:
    checkpoint = read_foreign(write_mmdetection(theirs, tmp_path / "mask2former.pth"))
    assert (checkpoint.library, checkpoint.num_classes, checkpoint.classes) == ("MMDetection", 3, CLASSES)
    network = fresh_network(ZPS, SMALL, aligned=False).eval()
    images = torch.randn(2, 3, 64, 64)
    table = load_initial(network, SMALL, checkpoint)
    torch.testing.assert_close(network.encode(images)[1], masks_of(theirs, images), rtol=1e-4, atol=1e-6)
    assert [(row["part"], row["taken"] == row["of"]) for row in table.rows] == [
        ("backbone", True), ("pixel decoder", True), ("decoder", True), ("queries", True), ("mask head", True),
        ("class head", False),
    ]  # fmt: skip
    assert "class projector" in table.rows[-1]["note"]


@pytest.mark.parametrize("form", ["pkl", "pth"])
def test_a_checkpoint_with_detectrons_names_gives_the_same_masks(
    theirs: torch.nn.Module, tmp_path: Path, form: str
) -> None:
    state = names_of_detectron(theirs.state_dict())
    path = tmp_path / f"model.{form}"
    if form == "pkl":  # as its model zoo publishes weights
        model = OrderedDict((name, tensor.numpy()) for name, tensor in state.items())
        path.write_bytes(pickle.dumps({"model": model, "__author__": "third_party", "matching_heuristics": True}))
    else:
        torch.save({"model": state, "iteration": 3}, path)
    checkpoint = read_foreign(path)
    assert (checkpoint.library, checkpoint.num_classes, checkpoint.unknown) == ("Detectron2", 3, [])
    network = fresh_network(ZPS, SMALL, aligned=False).eval()
    load_initial(network, SMALL, checkpoint)
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(network.encode(images)[1], masks_of(theirs, images), rtol=1e-4, atol=1e-6)


def test_the_semantic_host_takes_them_too(theirs: torch.nn.Module, tmp_path: Path) -> None:
    network = fresh_network(ZSS, SMALL, aligned=False).eval()
    load_initial(network, SMALL, read_foreign(write_mmdetection(theirs, tmp_path / "m.pth")))
    images = torch.randn(1, 3, 64, 64)
    assert torch.allclose(network.encode(images)[1], masks_of(theirs, images))


def test_other_sizes_are_named_with_the_keys_to_set(theirs: torch.nn.Module, tmp_path: Path) -> None:
    checkpoint = read_foreign(write_mmdetection(theirs, tmp_path / "m.pth"))
    other = base(decoder_layers=3, pixel_decoder_layers=1, num_queries=9)
    with pytest.raises(
        ScasegError, match=r"base\.num_queries 7 \(9 in the recipe\), base\.decoder_layers 2 \(3"
    ) as caught:
        load_initial(fresh_network(ZPS, other, aligned=False), other, checkpoint)
    assert "--set base.num_queries=7 --set base.decoder_layers=2" in caught.value.hint


def test_what_a_file_lacks_is_named(theirs: torch.nn.Module, tmp_path: Path) -> None:
    state = theirs.state_dict()
    without = {name: tensor for name, tensor in state.items() if not name.startswith("backbone.")}
    torch.save({"state_dict": {**without, "panoptic_head.more.weight": torch.zeros(2)}}, tmp_path / "head.pth")
    network = fresh_network(ZPS, SMALL, aligned=False)
    before = network.backbone.conv1.weight.clone()
    checkpoint = read_foreign(tmp_path / "head.pth")
    table = load_initial(network, SMALL, checkpoint)
    assert table.rows[0]["note"] == "not in the file; as without base.init"
    assert torch.equal(network.backbone.conv1.weight, before)
    torch.save({"state_dict": {n: t for n, t in state.items() if "level_encoding" not in n}}, tmp_path / "part.pth")
    with pytest.raises(ScasegError, match=r"lacks head\.pixel_decoder\.level_encoding\.weight, of the pixel decoder"):
        load_initial(network, SMALL, read_foreign(tmp_path / "part.pth"))


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        (("cat", "sky-other-merged"), "was trained on 1 unseen classes: sky"),
        (("cat", "dog"), None),
        (None, "does not name the 3 classes"),
    ],
)
def test_a_file_that_has_seen_unseen_classes_is_warned_about(
    theirs: torch.nn.Module,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    classes: tuple[str, ...] | None,
    says: str | None,
) -> None:
    checkpoint = read_foreign(write_mmdetection(theirs, tmp_path / "m.pth", classes))
    table = load_initial(fresh_network(ZPS, SMALL, aligned=False), SMALL, checkpoint)
    tell_initial(table, checkpoint, ["sky, heaven", "zebra"])
    said = " ".join(capfd.readouterr().err.split())
    assert ("warning" in said) == (says is not None)
    assert says is None or says in said
    assert (table.notes == []) == (says is None)


class Other:
    """An object that a pickle could hold besides arrays."""


@pytest.mark.parametrize(("name", "says"), [("other.pkl", "which is no array"), ("backbone.pth", "is no Mask2Former")])
def test_other_files_are_refused(tmp_path: Path, name: str, says: str) -> None:
    if name.endswith("pkl"):
        (tmp_path / name).write_bytes(pickle.dumps({"model": Other()}))
    else:
        torch.save({"backbone.conv1.weight": torch.zeros(2)}, tmp_path / name)
    with pytest.raises(ScasegError, match=says):
        read_foreign(tmp_path / name)
    with pytest.raises(ScasegError, match="does not exist"):
        read_foreign(tmp_path / "missing.pth")
