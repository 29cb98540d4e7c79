"""Captions of the embedded world, and the vocabulary of its small CLIP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaseg_cli.shapes.world import CLASSES, ShapeClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

# The first two, the bare name and the plainest template, are drawn more often than the others.
TEMPLATES = (
    "{}",
    "a photo of a {}.",
    "a {}",
    "a photo of {}.",
    "a picture of a {}.",
    "an image of the {}.",
    "this is a {}.",
    "there is a {} in the scene.",
    "there is the {} in the scene.",
    "a photo of a {} in the scene.",
    "a photo of a small {}.",
    "a photo of a large {} in the scene.",
    "a drawing of one {}.",
    "a bad photo of the {}.",
    "a good photo of many {}.",
)
_OFTEN = 4  # weight of the first two templates
_STRANGE = 0.1  # probability of replacing a template's word by one outside the vocabulary


def words_of(text: str) -> list[str]:
    """Split ``text`` into lower-case words without punctuation."""
    return "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()


def vocabulary() -> tuple[str, ...]:
    """Every word that may occur in a caption, sorted."""
    texts = [template.format("") for template in TEMPLATES] + [cls.name for cls in CLASSES] + ["and"]
    return tuple(sorted({word for text in texts for word in words_of(text)}))


def caption(rng: np.random.Generator, classes: Sequence[ShapeClass]) -> str:
    """Make a caption that names all ``classes`` in random order, in a random template.

    Some words of the template are replaced by an unknown word, so that the CLIP also works with other templates.
    """
    names = [classes[i].name for i in rng.permutation(len(classes))]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    place = int(rng.integers(len(TEMPLATES) + 2 * (_OFTEN - 1)))
    template = TEMPLATES[place if place < len(TEMPLATES) else place % 2].split()
    words = [word if "{}" in word or rng.random() >= _STRANGE else "unknown" for word in template]
    return " ".join(words).format(listed)
