"""The two tasks and their differences as data, so that no package compares a task's name.

docs/method.md, Task. Code for one task only is in one file of its package: reading label maps in data/semantic.py, the
host network in base/, the measure in evaluation/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe

Setting = Literal["inductive", "transductive"]  # whether training knows the names of unseen classes
SETTINGS: tuple[Setting, ...] = ("inductive", "transductive")


@dataclass(frozen=True)
class Task:
    """A zero-shot segmentation task.

    Attributes:
        name: as in the recipe.
        title: in words.
        labels: ``panoptic``: COCO's JSON with PNGs of segment ids; ``semantic``: maps of one class id a pixel.
        keeps_unseen: whether training images with unseen classes are kept, their unseen pixels ignored, or dropped.
        measure: the main measure, ``pq`` or ``iou``; its seen, unseen and harmonic means decide.
    """

    name: Literal["zps", "zss"]
    title: str
    labels: Literal["panoptic", "semantic"]
    keeps_unseen: bool
    measure: Literal["pq", "iou"]


ZPS = Task("zps", "zero-shot panoptic segmentation", "panoptic", keeps_unseen=False, measure="pq")
ZSS = Task("zss", "zero-shot semantic segmentation", "semantic", keeps_unseen=True, measure="iou")
TASKS = {task.name: task for task in (ZPS, ZSS)}


def task_of(recipe: Recipe) -> Task:
    """The recipe's task."""
    return TASKS[recipe.task]
