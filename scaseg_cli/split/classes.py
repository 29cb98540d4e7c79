"""The list of seen and unseen classes, in the model's order."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scaseg_cli.data.records import Category, Segment
    from scaseg_cli.run_dir import RunDir

SPLIT_AGAIN = "Run `scaseg split-dataset` with this recipe (`scaseg run` does all in order)."


@dataclass(frozen=True, slots=True)
class SplitClass:
    """One class. Its class_id is its index in the `ClassList`; category_id is the dataset's own id."""

    name: str
    category_id: int
    isthing: bool
    seen: bool


class SegmentArrays(NamedTuple):
    """The annotated segments of one image as arrays [G]: ids in the label, class_ids, and crowd flags."""

    ids: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    iscrowd: NDArray[np.bool_]


@dataclass(frozen=True)
class ClassList:
    """All N classes: class_id 0..S-1 are the seen ones, S..N-1 the unseen ones, each in category order."""

    classes: tuple[SplitClass, ...]

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def names(self) -> list[str]:
        """Class names, indexed by class_id."""
        return [item.name for item in self.classes]

    @cached_property
    def num_seen(self) -> int:
        """Number of seen classes S, which is also the first unseen class_id."""
        return sum(item.seen for item in self.classes)

    @cached_property
    def isthing(self) -> NDArray[np.bool_]:
        """Whether each class is a thing, bool [N]."""
        return np.array([item.isthing for item in self.classes], dtype=bool)

    @cached_property
    def class_ids(self) -> dict[int, int]:
        """Mapping from category_id to class_id."""
        return {item.category_id: class_id for class_id, item in enumerate(self.classes)}

    def arrays_of(self, segments: Sequence[Segment]) -> SegmentArrays:
        """Convert the segments of one image to arrays, in the same order."""
        return SegmentArrays(
            np.array([segment.id for segment in segments], np.int64),
            np.array([self.class_ids[segment.category_id] for segment in segments], np.int64),
            np.array([segment.iscrowd for segment in segments], bool),
        )

    @cached_property
    def unseen_category_ids(self) -> frozenset[int]:
        """The category_ids of the unseen classes."""
        return frozenset(item.category_id for item in self.classes if not item.seen)


def class_list(categories: Iterable[Category], unseen: Iterable[str]) -> ClassList:
    """Put the categories into the model's order: those named in ``unseen`` come last."""
    hidden = set(unseen)
    ordered = sorted(categories, key=lambda category: (category.name in hidden, category.id))
    return ClassList(
        tuple(SplitClass(item.name, item.id, item.isthing, seen=item.name not in hidden) for item in ordered)
    )


def write_classes(run: RunDir, task: str, classes: ClassList) -> None:
    """Write the class list to the run folder."""
    write_json(run.classes_file, {"task": task, "classes": [asdict(item) for item in classes.classes]})


def read_classes(run: RunDir) -> ClassList:
    """Read the class list from the run folder.

    Raises:
        ScasegError: the split stage has not run, or its output was modified.
    """
    content = read_split_file(run.classes_file)
    fields = {"name": str, "category_id": int, "isthing": bool, "seen": bool}
    items = content.get("classes")
    if not isinstance(items, list) or not all(
        isinstance(item, dict) and {key: type(value) for key, value in item.items()} == fields for item in items
    ):
        raise ScasegError(f"{run.classes_file} is not a class list", SPLIT_AGAIN)
    classes = tuple(SplitClass(**item) for item in items)
    distinct = len({item.name for item in classes}) == len({item.category_id for item in classes}) == len(classes)
    if not distinct or list(classes) != sorted(classes, key=lambda item: not item.seen):
        raise ScasegError(f"{run.classes_file} has a class twice, or a seen class after an unseen one", SPLIT_AGAIN)
    return ClassList(classes)


def read_split_file(path: Path) -> dict[str, Any]:
    """Read a JSON mapping that the split stage wrote.

    Raises:
        ScasegError: the file is missing or not a mapping.
    """
    if not path.is_file():
        raise ScasegError(f"{path} does not exist: the data has not been split", SPLIT_AGAIN)
    content = read_json(path, "the split's file")
    if not isinstance(content, dict):
        raise ScasegError(f"{path} is not what the split stage wrote", SPLIT_AGAIN)
    return content
