"""Captions of the embedded world, and the words that its small CLIP knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaseg_cli.shapes.world import CLASSES, ShapeClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

# The bare name and the plainest template come first and are drawn more often than the others.
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
_OFTEN = 4  # times as likely the first two
_STRANGE = 0.1  # chance that a template's word gives way to one outside the vocabulary


def words_of(text: str) -> list[str]:
    """Lower-case words of ``text``, without punctuation."""
    return "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()


def vocabulary() -> tuple[str, ...]:
    """Every word that a caption may hold, sorted."""
    texts = [template.format("") for template in TEMPLATES] + [cls.name for cls in CLASSES] + ["and"]
    return tuple(sorted({word for text in texts for word in words_of(text)}))


def caption(rng: np.random.Generator, classes: Sequence[ShapeClass]) -> str:
    """Names all ``classes`` in random order, in a random template.

    Now and then a word of the template is an unknown one, so that other people's templates work too.
    """
    names = [classes[i].name for i in rng.permutation(len(classes))]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    place = int(rng.integers(len(TEMPLATES) + 2 * (_OFTEN - 1)))
    template = TEMPLATES[place if place < len(TEMPLATES) else place % 2].split()
    words = [word if "{}" in word or rng.random() >= _STRANGE else "unknown" for word in template]
    return " ".join(words).format(listed)
