"""The vocabulary of a prediction: class names that the user gives, or the classes of the run.

The vocabulary has a fixed order: first classes of the run in the run's order, then others by name. The order in which
the user names them therefore does not change a single bit of the result. Shapes: K classes, C embedding width.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scaseg_cli.data.class_names import key_of, names_in
from scaseg_cli.data.records import IGNORED
from scaseg_cli.embeddings.encode import Naming, encode_classes
from scaseg_cli.embeddings.encoders import load_encoder
from scaseg_cli.embeddings.store import check_encoder, load_embeddings
from scaseg_cli.embeddings.synonym_vectors import SynonymVectors
from scaseg_cli.errors import ScasegError
from scaseg_cli.prediction.names import EXAMPLE, Names
from scaseg_cli.results.console import say
from scaseg_cli.split.classes import ClassList, read_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from scaseg_cli.embeddings.encoders import TextEncoder
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_KEPT_NAMES = 4096  # embeddings of names kept in memory, a few KB each


@dataclass(frozen=True)
class VocabularyClass:
    """One class of a vocabulary.

    Attributes:
        name: the name as the user wrote it.
        isthing: whether its instances are separate segments.
        category_id: its id in the results: the data's id for a class of the run, else the next free one.
        class_id: its class id in the run; None for a class that the run lacks.
        seen: whether it is a seen class of the run.
    """

    name: str
    isthing: bool
    category_id: int
    class_id: int | None
    seen: bool


@dataclass(frozen=True)
class Vocabulary:
    """All classes of a prediction, seen ones first."""

    classes: tuple[VocabularyClass, ...]

    @cached_property
    def num_seen(self) -> int:
        """The number of seen classes, which come first."""
        return sum(item.seen for item in self.classes)

    @cached_property
    def isthing(self) -> NDArray[np.bool_]:
        """Whether each is a thing, bool [K]."""
        return np.array([item.isthing for item in self.classes], dtype=bool)


def vocabulary_of(run: RunDir, names: Names | None, together: bool = False) -> Vocabulary:
    """Create the vocabulary for a run folder with a finished split; see `vocabulary_among`."""
    return vocabulary_among(read_classes(run), names, together)


def vocabulary_among(known: ClassList, names: Names | None, together: bool = False) -> Vocabulary:
    """Create the vocabulary.

    Args:
        known: the run's classes.
        names: names of things and of stuff; None means the run's classes.
        together: treats things as stuff, so that no instances are separated.

    Raises:
        ScasegError: two names mean the same class, or a name is empty in prompts.
    """
    if names is None:
        own = {
            class_id: VocabularyClass(item.name, item.isthing and not together, item.category_id, class_id, item.seen)
            for class_id, item in enumerate(known.classes)
        }
        return Vocabulary(tuple(own.values()))
    own = {}
    others: dict[str, tuple[str, bool]] = {}
    given = [(name, not together) for name in names[0]] + [(name, False) for name in names[1]]
    for (name, isthing), class_id in zip(given, _class_ids(known, [name for name, _ in given]), strict=True):
        if class_id is None:
            others[_key(name)] = name, isthing
        else:
            found = known.classes[class_id]
            own[class_id] = VocabularyClass(name, isthing, found.category_id, class_id, found.seen)
    numbers = _free_numbers(known, len(others))
    new = [
        VocabularyClass(*others[key], number, None, seen=False)
        for key, number in zip(sorted(others), numbers, strict=True)
    ]
    return Vocabulary((*(own[class_id] for class_id in sorted(own)), *new))


def _class_ids(known: ClassList, names: Sequence[str]) -> list[int | None]:
    """The run's class id of each name; None if the run lacks the class.

    Raises:
        ScasegError: two names mean the same class, or a name is empty in prompts.
    """
    find = _finder(known)
    meant: dict[int | str, str] = {}
    found = []
    for name in names:
        key = _key(name)
        if not key:
            raise ScasegError(f"the list of classes has the name {name!r}, which is empty in prompts", EXAMPLE)
        class_id = find(name)
        meaning = key if class_id is None else class_id
        if meaning in meant:
            same = "twice" if meant[meaning] == name else f"and {meant[meaning]!r}, which mean the same class"
            raise ScasegError(f"the list of classes names {name!r} {same}", "Remove one of them.")
        meant[meaning] = name
        found.append(class_id)
    return found


def _finder(known: ClassList) -> Callable[[str], int | None]:
    """A function from a name to the run's class: the one that has all the names that it lists.

    The name as in the data comes first, then a class whose first name it is. Where several classes are left, the name
    is a class of its own.
    """
    exact = {name: class_id for class_id, name in enumerate(known.names)}
    keys = [_keys(name) for name in known.names]

    def find(name: str) -> int | None:
        if name in exact:
            return exact[name]
        wanted = _keys(name)
        having = [class_id for class_id, own in enumerate(keys) if set(wanted) <= set(own)]
        first = [class_id for class_id in having if keys[class_id][0] == wanted[0]]
        return next((ids[0] for ids in (first, having) if len(ids) == 1), None)

    return find


def _keys(name: str) -> tuple[str, ...]:
    return tuple(filter(None, map(key_of, names_in(name)))) or ("",)


def _key(name: str) -> str:
    """What identifies a class of one name or several; empty if it would be in prompts."""
    return ", ".join(sorted(_keys(name)))


def _free_numbers(known: ClassList, number: int) -> list[int]:
    """Category ids after the run's own, without the one that means no label in a label map."""
    first = max(item.category_id for item in known.classes) + 1
    return [value for value in range(first, first + number + 1) if value != IGNORED][:number]


class NameVectors:
    """The semantic embeddings of any class names; safe to use from several threads.

    Classes of the run have the run's own embeddings, bit by bit. Any other name is encoded on its own with the run's
    encoder and templates, so its embedding does not depend on the other names. The encoder is loaded for the first such
    name and stays in memory, as do the embeddings of the last names.

    Args:
        recipe: the run's recipe.
        run: the run folder with its finished embeddings.

    Raises:
        ScasegError: the embeddings are missing, damaged, or of other classes or another encoder.
    """

    def __init__(self, recipe: Recipe, run: RunDir) -> None:
        self._recipe = recipe
        self._stored = load_embeddings(recipe, run)
        self._encoder: TextEncoder | None = None
        self._encoded = lru_cache(_KEPT_NAMES)(self._encode)
        self._lock = threading.Lock()

    def of(self, vocabulary: Vocabulary) -> tuple[Tensor, SynonymVectors | None]:
        """Return the embeddings of the classes, float32 [K, C], and of their names, as in `ClassEmbeddings`.

        Raises:
            ScasegError: the encoder cannot be read or has changed, or a name is too long for it.
        """
        with self._lock:
            others = [item.name for item in vocabulary.classes if item.class_id is None]
            if others and self._encoder is None:
                say(f"encoding class names that the run lacks: {len(others)}")
                encoder = load_encoder(self._recipe)
                check_encoder(self._stored, encoder)
                self._encoder = encoder
            found = [
                self._encoded(item.name) if item.class_id is None else self._own(item.class_id)
                for item in vocabulary.classes
            ]
        names = SynonymVectors.joined(vectors for _, vectors in found)
        kept = names if names.several and self._recipe.embeddings.synonyms == "max" else None
        return torch.cat([mean_1C for mean_1C, _ in found]), kept

    def _own(self, class_id: int) -> tuple[Tensor, SynonymVectors]:
        mean_1C, synonyms = self._stored.vectors_NC[class_id : class_id + 1], self._stored.synonyms
        return mean_1C, SynonymVectors(mean_1C, (1,)) if synonyms is None else synonyms.of([class_id])

    def _encode(self, name: str) -> tuple[Tensor, SynonymVectors]:
        assert self._encoder is not None, "the encoder is loaded first"
        naming = Naming(wording=self._recipe.embeddings.names)  # all names that the user lists
        batch_size = self._recipe.embeddings.batch_size
        found = encode_classes(self._encoder, [name], self._stored.templates, batch_size, naming)
        return found.means(), found
