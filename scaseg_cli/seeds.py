"""Randomness that depends on the recipe's seed and on where it is drawn alone, so that a resumed training equals one
that was never cut."""

from __future__ import annotations

import hashlib

import torch


def drawn_seed(seed: int, word: str, *steps: int) -> int:
    """A seed of its own for what ``word`` and ``steps`` name; the same ones give the same seed."""
    name = "/".join(str(part) for part in (seed, word, *steps))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def seeded(seed: int, word: str, *steps: int) -> torch.Generator:
    """A CPU generator of its own for step ``steps`` of what ``word`` names."""
    return torch.Generator().manual_seed(drawn_seed(seed, word, *steps))
