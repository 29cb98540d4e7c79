"""Computes unit vectors of class names from the prompts of all templates (method.md, Class embeddings)."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional as F

from scaseg_cli.embeddings.prompts import Wording, fill, prompt_names
from scaseg_cli.embeddings.synonym_vectors import SynonymVectors
from scaseg_cli.results.console import meter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.data.class_names import Choice
    from scaseg_cli.embeddings.encoders import TextEncoder


class Naming(NamedTuple):
    """How class names become names in prompts: the recipe's ``data.names`` and ``embeddings.names``."""

    choice: Choice = "all"
    wording: Wording = "spoken"


DEFAULT = Naming()


def encode_classes(
    encoder: TextEncoder,
    classes: Sequence[str],
    templates: tuple[str, ...],
    batch_size: int,
    naming: Naming = DEFAULT,
) -> SynonymVectors:
    """Encode all names of the classes.

    Each prompt embedding is normalised; the mean over the templates is normalised again.

    Args:
        encoder: the text encoder.
        classes: the class names of the data, each with one name or several.
        templates: templates with one ``{}`` each.
        batch_size: prompts per forward pass of the text encoder.
        naming: how they become names in prompts.

    Raises:
        ScasegError: two classes give the same prompts, or a prompt is too long for the text encoder.
    """
    names = prompt_names(classes, *naming)
    prompts = [fill(template, name) for name in chain.from_iterable(names) for template in templates]
    parts = []
    with meter("class embeddings, prompts", len(prompts)) as shown:
        for start in range(0, len(prompts), batch_size):
            batch = prompts[start : start + batch_size]
            parts.append(encoder.encode_text(batch).cpu())
            shown.advance(len(batch))
    units_MTC = torch.cat(parts).view(-1, len(templates), encoder.dim)
    return SynonymVectors(F.normalize(units_MTC.mean(dim=1), dim=1), tuple(map(len, names)))
