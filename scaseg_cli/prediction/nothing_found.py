"""What a user is told when a model finds nothing: what it knows, how near it was, and which option shows more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scaseg_cli.data.folders import data_root
from scaseg_cli.files import real_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.prediction.model import Nearest
    from scaseg_cli.prediction.sources import Source
    from scaseg_cli.prediction.vocabulary import Vocabulary
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_EXAMPLES = 4  # classes that are named


def what_it_knows(recipe: Recipe, run: RunDir, sources: Sequence[Source], vocabulary: Vocabulary) -> str | None:
    """Say what a model of the embedded world has seen, if an image is not of that world; None: there is no need."""
    if recipe.data.shapes is None:
        return None
    world = real_path(data_root(recipe, run)) + "/"
    if all(real_path(source.path).startswith(world) for source in sources):
        return None
    own = [item.name for item in vocabulary.classes if item.class_id is not None]
    named = f" Of its classes it looks for {_some(own)}." if own else " None of its classes is among those to look for."
    return (
        "this model has seen drawings of shapes alone, and knows no object of a photograph."
        f"{named} `scaseg recipe list` has recipes for photographs."
    )


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _EXAMPLES
    return ", ".join(names[:_EXAMPLES]) + (f" and {rest} more" if rest > 0 else "")


def how_near(nearest: Nearest, vocabulary: Vocabulary, object_threshold: float) -> str:
    """Say how near an image without a segment was to one, and which option shows more."""
    name = vocabulary.classes[nearest.class_index].name
    if nearest.num_kept:
        return (
            f"{nearest.num_kept} queries passed the object threshold {object_threshold:g}, the nearest as {name}, but "
            "no mask had enough pixels of its own; a lower evaluation.overlap_threshold shows more"
        )
    said = f"the largest class probability is {nearest.probability:.2g}, of {name}; the object threshold is "
    said += f"{object_threshold:g}"
    if nearest.best_object is None:
        return f"{said}. Every query is more likely no object: name other classes with --classes"
    return f"{said}, and --object-threshold {_below(nearest.best_object):g} shows more"


def _below(probability: float) -> float:
    """A threshold of at most two significant digits that ``probability`` is above."""
    step = 0.01 if probability >= 0.02 else 0.001
    rounded = math.floor(probability / step) * step
    return max(0.0, round(rounded if rounded < probability else rounded - step, 3))
