"""Random streams that depend only on the seed and on their use, so that resuming a training run changes nothing."""

from __future__ import annotations

import hashlib

import torch


def drawn_seed(seed: int, word: str, *steps: int) -> int:
    """A seed derived from ``seed``, ``word`` and ``steps``; equal arguments give the same seed."""
    name = "/".join(str(part) for part in (seed, word, *steps))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def seeded(seed: int, word: str, *steps: int) -> torch.Generator:
    """A CPU generator with the seed that `drawn_seed` derives."""
    return torch.Generator().manual_seed(drawn_seed(seed, word, *steps))
