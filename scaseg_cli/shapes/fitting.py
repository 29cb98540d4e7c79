"""The training loop of the two small checkpoints."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from scaseg_cli.checkpoints import load_state, save_state, save_tensors
from scaseg_cli.results.console import meter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_WARMUP = 30  # iterations
_SAVE_EVERY = 100


def seeded_module(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Call ``build()`` with weights drawn from ``seed``, independent of earlier draws."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def _rate(step: int, iterations: int, top: float) -> float:
    """Learning rate at ``step``: linear warm-up, then half a cosine down to 0."""
    return top * min(1.0, (step + 1) / _WARMUP) * 0.5 * (1.0 + math.cos(math.pi * step / iterations))


def fit(
    module: nn.Module,
    loss_at: Callable[[int], Tensor],
    *,
    iterations: int,
    learning_rate: float,
    progress: Path,
    key: str,
    description: str,
) -> None:
    """Train ``module`` in place with AdamW on the losses ``loss_at(0..iterations-1)``.

    Everything random in a loss must depend only on the step. An interrupted training run then resumes from
    ``progress`` (if its ``key`` matches) and ends with the same weights.

    Raises:
        ScasegError: ``progress`` is damaged or cannot be written.
    """
    optimizer = torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=0.05)

    def save(step: int) -> None:
        state = {"key": key, "step": step, "module": module.state_dict(), "optimizer": optimizer.state_dict()}
        save_state(progress, state)

    state, first = load_state(progress, key), 0
    if state is None:
        save(0)  # an unwritable path fails now, not minutes later
    else:
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    module.train()
    with meter(description, iterations, first) as shown:
        for step in range(first, iterations):
            for group in optimizer.param_groups:
                group["lr"] = _rate(step, iterations, learning_rate)
            loss = loss_at(step)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            shown.advance(note=f"loss {loss.item():.3f}")
            if (step + 1) % _SAVE_EVERY == 0 and step + 1 < iterations:
                save(step + 1)
    module.eval()


def save_half(path: Path, kind: str, module: nn.Module, meta: dict[str, object]) -> None:
    """Write the weights and statistics of ``module`` to ``path``, floating-point tensors as float16."""
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in module.state_dict().items()
    }
    save_tensors(path, kind, tensors, meta)
