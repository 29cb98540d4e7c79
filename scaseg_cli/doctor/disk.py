"""Checks of the run folder, the disk space, and the shared memory for data loaders."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg_cli.choose.cost import cost_in_words
from scaseg_cli.doctor.data import num_training_images
from scaseg_cli.doctor.finding import Finding, missing, ready, warning
from scaseg_cli.stages.clean import in_units
from scaseg_cli.stages.kept import all_kept
from scaseg_cli.stages.outlook import outlooks

if TYPE_CHECKING:
    from scaseg_cli.recipe.base_section import Backbone, Base
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

SHARED_MEMORY = Path("/dev/shm")
_RESNET = {18: 11.2e6, 34: 21.3e6, 50: 23.5e6, 101: 42.5e6}  # parameters at width 64, without the classifier
_SEGMENTS_AN_IMAGE = 12  # COCO panoptic has 11
_REST = 50_000_000  # bytes of all small files: lists, tables, logs, generator, projectors
_ELSEWHERE = "Choose another folder with --work-dir."


def run_folder_findings(_recipe: Recipe, run: RunDir) -> list[Finding]:
    """Check that the run folder exists or can be created."""
    place = _existing(run.path)
    if not place.is_dir():
        return [missing("run folder", f"{place} is not a folder", _ELSEWHERE)]
    if not os.access(place, os.W_OK | os.X_OK):
        return [missing("run folder", f"{place} cannot be written", _ELSEWHERE)]
    return [ready("run folder", f"{run.path}{'' if run.path.exists() else ' can be created'}")]


def _existing(path: Path) -> Path:
    """``path``, or the nearest parent that exists."""
    whole = path.absolute()
    return next(place for place in (whole, *whole.parents) if place.exists())


def disk_findings(recipe: Recipe, run: RunDir) -> list[Finding]:
    """Check that the disk of the run folder has enough space for the run."""
    free = shutil.disk_usage(_existing(run.path)).free
    needed = disk_needed(recipe, num_training_images(recipe, run))
    kept = sum(result.num_bytes for result in all_kept(run))
    found = f"{_gigabytes(free)} free; the run needs up to {_gigabytes(needed)}"
    found += f"; results of other recipes take {in_units(kept)} of the run folder" if kept else ""
    if free >= needed:
        return [ready("disk", found)]
    clean = f"`scaseg clean {shlex.quote(str(run.path))}` removes results of other recipes. " if kept else ""
    return [warning("disk", found, f"Free some space. {clean}{_ELSEWHERE}")]


def disk_needed(recipe: Recipe, num_images: int) -> int:
    """Estimate the peak number of bytes that a run writes.

    They are the segmentor; the training's progress with the optimizer's two moments, twice while a new file replaces
    the old one; and the query embeddings, in shards and in one file. Each fold has a segmentor and embeddings, too.
    """
    weights = 4 * num_parameters(recipe.base)
    vectors = num_images * recipe.queries.views * (_SEGMENTS_AN_IMAGE + recipe.queries.unmatched_per_image)
    one = weights + 2 * vectors * recipe.base.channels * 4
    folds = recipe.folds.number if recipe.needs_folds else 0
    return (1 + folds) * one + 2 * 3 * weights + _REST


def num_parameters(base: Base) -> int:
    """Estimate the number of parameters of the segmentor, within a few per cent."""
    c = base.channels
    body, deepest = _backbone(base.backbone)
    pixel_layer = 2 * c * c + 3 * 12 * base.heads * c + 2 * c * base.pixel_feedforward
    decoder_layer = 8 * c * c + 2 * c * base.feedforward
    joints = 2 * deepest * c + 20 * c * c + 2 * base.num_queries * c
    return round(body + base.pixel_decoder_layers * pixel_layer + base.decoder_layers * decoder_layer + joints)


def _backbone(backbone: Backbone) -> tuple[float, int]:
    """The number of the backbone's parameters, and the channels of its last feature map."""
    if backbone.timm is not None:
        from scaseg_cli.base.timm_backbone import TimmBackbone

        built = TimmBackbone(backbone.timm)
        return sum(parameter.numel() for parameter in built.parameters()), built.channels[-1]
    deepest = backbone.width * 8 * (4 if backbone.depth >= 50 else 1)
    return _RESNET[backbone.depth] * (backbone.width / 64) ** 2, deepest


def fold_findings(recipe: Recipe, run: RunDir) -> list[Finding]:
    """Say what the folds cost, if the recipe chooses on them: each trains a base model."""
    if not recipe.needs_folds or recipe.evaluation.setting == "inductive":
        return []
    states = {one.stage: one for one in outlooks(recipe, run)}
    if not any(states[stage].runs for stage in ("folds", "choose")):
        return [ready("folds", "trained, and chosen on")]
    return [ready("folds", cost_in_words(recipe, run))]


def shared_memory_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Check the shared memory through which data loaders pass batches; containers often have only 64 MB."""
    if not recipe.base.workers or not SHARED_MEMORY.is_dir():
        return []
    free, needed = shutil.disk_usage(SHARED_MEMORY).free, shared_memory_needed(recipe)
    found = f"{_gigabytes(free)} free in {SHARED_MEMORY}; the data loaders need about {_gigabytes(needed)}"
    if free >= needed:
        return [ready("shared memory", found)]
    fix = "Give the container more (docker run --shm-size=8g), or use no loader processes: --set base.workers=0"
    return [warning("shared memory", found, fix)]


def shared_memory_needed(recipe: Recipe) -> int:
    """Estimate the bytes of prefetched batches: two for each loader, of images with three channels and masks."""
    sample = recipe.base.crop**2 * (3 + _SEGMENTS_AN_IMAGE)
    return recipe.base.workers * 2 * -(-recipe.base.batch_size // recipe.nodes) * sample


def _gigabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB"
