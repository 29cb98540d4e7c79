"""The classes that are looked for: a person's own names, or those of the run.

They are brought into one order whatever the order in which they were given: first the run's own, as the run has them,
then others by name. So the order in which a person names them changes nothing, to the last bit. Shapes: K classes, C
embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scaseg_cli.clip.load import load_clip
from scaseg_cli.data.records import IGNORED
from scaseg_cli.embeddings.encode import encode_classes
from scaseg_cli.embeddings.prompts import spoken_name
from scaseg_cli.embeddings.store import check_clip, load_embeddings
from scaseg_cli.errors import ScasegError
from scaseg_cli.prediction.names import EXAMPLE
from scaseg_cli.results.console import say
from scaseg_cli.split.classes import ClassList, read_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


@dataclass(frozen=True)
class Sought:
    """One class that is looked for.

    Attributes:
        name: as the person wrote it.
        isthing: whether its instances are told apart.
        category_id: its number in the results: the data's own where the run has the class, else one after those.
        class_id: of the run's class, or None where the run does not have it.
        seen: whether it is one of the run's seen classes.
    """

    name: str
    isthing: bool
    category_id: int
    class_id: int | None
    seen: bool


@dataclass(frozen=True)
class Vocabulary:
    """All classes that are looked for, seen ones first."""

    classes: tuple[Sought, ...]

    @cached_property
    def num_seen(self) -> int:
        """How many are seen classes of the run; they come first."""
        return sum(item.seen for item in self.classes)

    @cached_property
    def isthing(self) -> NDArray[np.bool_]:
        """Whether each is a thing, bool [K]."""
        return np.array([item.isthing for item in self.classes], dtype=bool)


def vocabulary_of(run: RunDir, names: tuple[Sequence[str], Sequence[str]] | None, together: bool = False) -> Vocabulary:
    """The classes that are looked for.

    Args:
        run: with its finished split.
        names: of things and of stuff; None: the run's classes.
        together: instances of nothing are told apart: names of things are taken for stuff.

    Raises:
        ScasegError: two names mean one class, or a name is empty in prompts.
    """
    known = read_classes(run)
    if names is None:
        own = {
            class_id: Sought(item.name, item.isthing and not together, item.category_id, class_id, item.seen)
            for class_id, item in enumerate(known.classes)
        }
        return Vocabulary(tuple(own.values()))
    own = {}
    others: dict[str, tuple[str, bool]] = {}
    given = [(name, not together) for name in names[0]] + [(name, False) for name in names[1]]
    for (name, isthing), class_id in zip(given, _class_ids(known, [name for name, _ in given]), strict=True):
        if class_id is None:
            others[key_of(name)] = name, isthing
        else:
            found = known.classes[class_id]
            own[class_id] = Sought(name, isthing, found.category_id, class_id, found.seen)
    numbers = _free_numbers(known, len(others))
    new = [Sought(*others[key], number, None, seen=False) for key, number in zip(sorted(others), numbers, strict=True)]
    return Vocabulary((*(own[class_id] for class_id in sorted(own)), *new))


def _class_ids(known: ClassList, names: Sequence[str]) -> list[int | None]:
    """The run's class that each name means; None: it has no such class.

    Raises:
        ScasegError: two names mean one class, or a name is empty in prompts.
    """
    exact = {name: class_id for class_id, name in enumerate(known.names)}
    by_key = {key_of(name): class_id for name, class_id in exact.items()}
    meant: dict[int | str, str] = {}
    found = []
    for name in names:
        key = key_of(name)
        if not key:
            raise ScasegError(f"--classes has the name {name!r}, of which nothing is left in prompts", EXAMPLE)
        class_id = exact.get(name, by_key.get(key))
        meaning = key if class_id is None else class_id
        if meaning in meant:
            same = "twice" if meant[meaning] == name else f"and {meant[meaning]!r}, which give the same prompts"
            raise ScasegError(f"--classes names {name!r} {same}", "Take one of them out.")
        meant[meaning] = name
        found.append(class_id)
    return found


def key_of(name: str) -> str:
    """What makes two names one class: the words that go into prompts."""
    return spoken_name(name).casefold()


def _free_numbers(known: ClassList, number: int) -> list[int]:
    """Category ids after the run's own, but for the one that means no label in a label map."""
    first = max(item.category_id for item in known.classes) + 1
    return [value for value in range(first, first + number + 1) if value != IGNORED][:number]


def vectors_of(recipe: Recipe, run: RunDir, vocabulary: Vocabulary) -> Tensor:
    """The semantic embeddings of the classes, float32 [K, C].

    Those of the run's classes are the run's own, bit by bit. Any other is encoded by itself, with the CLIP and the
    templates of the run, so that it does not depend on what else is looked for.

    Raises:
        ScasegError: the embeddings or the CLIP cannot be read, the CLIP is another one now, or a name is too long.
    """
    stored = load_embeddings(recipe, run)
    others = [item.name for item in vocabulary.classes if item.class_id is None]
    encoded: dict[str, Tensor] = {}
    if others:
        say(f"class names that the run does not have: {len(others)}, through CLIP's text encoder")
        clip = load_clip(recipe.clip)
        check_clip(stored, clip)
        for name in others:
            encoded[name] = encode_classes(clip, [name], stored.templates, recipe.embeddings.batch_size)[0]
    return torch.stack(
        [encoded[c.name] if c.class_id is None else stored.vectors_NC[c.class_id] for c in vocabulary.classes]
    )
