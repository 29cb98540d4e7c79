"""The two published recipes: their values against a separate table, and the origin of every value."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scaseg_cli.recipe import load_recipe, shipped_file
from scaseg_cli.recipe.schema import Slurm

NAMES = ("coco-zps", "coco-zss")
METHOD = Path(__file__).parents[3] / "docs" / "method.md"
ORIGINS = {"published", "Mask2Former", "reading", "ours"}

# The values of the supplement and the abstract, copied again: (ZPS, ZSS), or one value if both agree.
PUBLISHED: dict[str, Any] = {
    "split.unseen": ("coco-zps", "coco-zss"),
    "clip.model": "ViT-B-16",
    "clip.checkpoint": "openai",
    "base.backbone.depth": 50,
    "base.backbone.checkpoint": "torchvision://resnet50",
    "base.num_queries": 100,
    "base.tau": 0.07,
    "base.v2c.enhancement": "multiply",
    "base.v2c.gamma": 2,
    "base.v2c.bank_size": 32,
    "base.v2c.tau": 0.07,
    "base.crop": (1024, 512),
    "base.flip": 0.5,
    "base.iterations": (140_350, 80_000),
    "base.batch_size": 16,
    "base.learning_rate": 1e-4,
    "base.backbone_rate": 0.1,
    "base.weight_decay": 0.05,
    "base.clip_grad": 0.01,
    "base.steps": [0.9, 0.95],
    "cat.iterations": (36_875, 80_000),
    "cat.live_images": 16,
    "cat.learning_rate": 1e-4 * 10,
    "cat.contrast_weight": 0.1,
    "cat.semantic_weight": 0.01,
    "cat.tau_r": 0.07,
    "cat.null_negatives": True,
    "union.iterations": 80_000,
    "union.pseudo_unseen": 150,
    "union.pseudo_seen": 0,
    "union.learning_rate": 1e-4 / 10,
    "evaluation.setting": "both",
    "evaluation.inductive_increment": 1,
}
# Additions of this project, with the value that turns each off.
OFF: dict[str, Any] = {
    "cat.generator": "vae",
    "cat.reconstruction_weight": 0,
    "cat.semantic_unseen": True,
    "cat.mixup": 0,
    "union.unseen_pull.beta": 0,
    "union.unseen_margin": 0,
    "union.unseen_weight": None,
}
# Values of ZSS whose origin differs from that of the key in docs/method.md.
OTHER_ORIGIN = dict.fromkeys(("base.scale", "base.resize", "base.schedule", "base.steps"), "reading")
OTHER_ORIGIN |= dict.fromkeys(("data.categories", "union.iterations"), "published")
# Keys for logging and the cluster, which do not change the result.
MACHINE = {"tensorboard", "wandb"}
MACHINE |= {f"slurm.{key}" for key in Slurm.model_fields}


def _value(recipe: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        recipe = getattr(recipe, part)
    return recipe


def _lines(name: str) -> Iterator[tuple[str, str, str]]:
    """Dotted key, value and comment of each line of a recipe that sets a key."""
    path: list[str] = []
    for line in shipped_file(name).read_text(encoding="utf-8").splitlines():
        found = re.fullmatch(r"((?:  )*)(\w+):(?: +([^#]*?))?(?: +# (.*))?", line)
        if found is None:
            assert line.startswith("#"), line
            continue
        indent, key, value, comment = found.groups()
        path[len(indent) // 2 :] = [key]
        if value:
            yield ".".join(path), value, comment or ""


@pytest.mark.parametrize("key", PUBLISHED)
def test_published_values(key: str) -> None:
    expected = PUBLISHED[key] if isinstance(PUBLISHED[key], tuple) else (PUBLISHED[key],) * 2
    for name, value in zip(NAMES, expected, strict=True):
        assert _value(load_recipe(name), key) == (pytest.approx(value) if isinstance(value, float) else value)


@pytest.mark.parametrize("key", OFF)
def test_additions_are_off(key: str) -> None:
    assert [_value(load_recipe(name), key) for name in NAMES] == [OFF[key]] * 2


def test_scales_are_published_for_zps_alone() -> None:
    assert load_recipe("coco-zps").base.scale == (0.1, 2.0)
    assert load_recipe("coco-zps").base.resize == "longer"  # large-scale jitter: the image fits the crop first


@pytest.mark.parametrize("name", NAMES)
def test_each_value_has_an_origin(name: str) -> None:
    lines = list(_lines(name))
    assert len(lines) > 80
    assert [key for key, _, comment in lines if re.split(r"\W", comment)[0] not in ORIGINS] == []


@pytest.mark.parametrize("name", NAMES)
def test_origins_are_those_of_the_method_page(name: str) -> None:
    table = dict(re.findall(r"^\| `([\w.]+)` \|[^|]*\| (\w+) \|", METHOD.read_text(encoding="utf-8"), re.MULTILINE))
    table |= OTHER_ORIGIN if name == "coco-zss" else {}
    found = {key: re.split(r"\W", comment)[0] for key, _, comment in _lines(name)}
    assert {key: origin for key, origin in found.items() if table.get(key) != origin} == {}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_changes_results_is_left_to_a_default(name: str) -> None:
    """The recipes state every key, so that a later change of a default does not change them."""
    stated = {key for key, _, _ in _lines(name)}
    # Keys of panoptic inference, label maps and the embedded world have no effect on the other task.
    elsewhere = {"data.shapes"} | MACHINE
    elsewhere |= {"cat.primitives", "cat.alignment_weight"}  # of another generator
    elsewhere |= {f"evaluation.clip_{key}" for key in ("on_masks", "weights", "seen_weight", "unseen_weight")}
    elsewhere |= {"evaluation.clip_fill", "evaluation.clip_box"}  # none of them is published
    # COCO's files are named as the defaults say.
    elsewhere |= {"data.ignored", "data.colours", "data.things", "data.exif"}
    elsewhere |= {
        f"data.{part}.{key}" for part in ("train", "validation") for key in ("list", "image_suffix", "label_suffix")
    }
    elsewhere |= {"base.unseen_pixels", "data.categories"} if name == "coco-zps" else set()
    elsewhere |= {"evaluation.object_threshold", "evaluation.overlap_threshold"} if name == "coco-zss" else set()
    elsewhere |= {f"data.{part}.annotations" for part in ("train", "validation")} if name == "coco-zss" else set()
    assert set(_leaves(load_recipe(name).model_dump(mode="json"))) - stated == elsewhere


def _leaves(section: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key
