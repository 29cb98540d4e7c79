"""Computes one unit vector per class from the prompts of all templates (method.md, Notation)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from scaseg_cli.embeddings.prompts import fill, spoken_names
from scaseg_cli.results.console import meter

if TYPE_CHECKING:
    from scaseg_cli.clip.model import ClipModel


def encode_classes(clip: ClipModel, names: list[str], templates: tuple[str, ...], batch_size: int) -> Tensor:
    """Encode the classes to semantic embeddings a_k, unit, float32 [N, C].

    Each prompt embedding is normalised; the mean over the templates is normalised again.

    Args:
        clip: the text encoder.
        names: the class names of the data; prompts use their `spoken_name`.
        templates: templates with one ``{}`` each.
        batch_size: prompts per forward pass of the text encoder.

    Raises:
        ScasegError: two names give the same prompts, or a prompt is too long for the text encoder.
    """
    prompts = [fill(template, name) for name in spoken_names(names) for template in templates]
    parts = []
    with meter("class embeddings, prompts", len(prompts)) as shown:
        for start in range(0, len(prompts), batch_size):
            batch = prompts[start : start + batch_size]
            parts.append(clip.encode_text(batch).cpu())
            shown.advance(len(batch))
    units_NTC = torch.cat(parts).view(len(names), len(templates), clip.dim)
    return F.normalize(units_NTC.mean(dim=1), dim=1)
