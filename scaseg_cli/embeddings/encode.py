"""One unit vector a class from the prompts of all templates (method.md, Notation)."""

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
    """Semantic embeddings a_k of the classes, unit, float32 [N, C].

    The embedding of each prompt is made unit, averaged over the templates, and the mean made unit again.

    Args:
        clip: the text encoder.
        names: the data's class names; prompts use them as `spoken_name` says them.
        templates: each with one ``{}``.
        batch_size: prompts that go through the text encoder at once.

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
