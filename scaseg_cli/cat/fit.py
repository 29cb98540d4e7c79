"""The training loop of a generator network. An interrupted run resumes to the same result.

Shapes: N classes, C embedding width, D visual width.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from scaseg_cli.base.scalar_log import ScalarLog
from scaseg_cli.cat.generators import build_network
from scaseg_cli.cat.objective import CatObjective
from scaseg_cli.checkpoints import NotFiniteError, load_state, not_finite, resuming, save_state
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import meter, say
from scaseg_cli.seeds import seeded

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.cat.batches import BatchSource
    from scaseg_cli.recipe.schema import Cat

CURVE_POINTS = 200
MIN_MATCHED = 2  # BatchNorm needs two samples


class Curve:
    """Mean of each loss term over every ``window`` iterations."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.rows: list[dict[str, float]] = []
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, iteration: int, terms: dict[str, Tensor]) -> bool:
        """Add the terms of ``iteration`` (from 0); returns True if that completes a window.

        Raises:
            FloatingPointError: a loss is no longer finite.
        """
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + term.detach()
        self.count += bool(terms)
        if (iteration + 1) % self.window or not self.count:
            return False
        means = {name: float(total) / self.count for name, total in self.sums.items()}
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if bad:
            raise FloatingPointError(f"its {bad[0]} loss is {means[bad[0]]}")
        self.rows.append({"iteration": iteration + 1, **means})
        self.sums, self.count = {}, 0
        return True

    def state(self) -> dict[str, Any]:
        return {"rows": self.rows, "sums": self.sums, "count": self.count}

    def load(self, state: dict[str, Any]) -> None:
        self.rows, self.sums, self.count = state["rows"], state["sums"], state["count"]


class GeneratorTraining:
    """A generator network with its optimizer and loss curve, trained one iteration at a time.

    Args:
        config: the recipe's ``cat`` section.
        seed: the recipe's seed.
        classifier: P, which is frozen here, and tau, over all N classes.
        num_seen: number of seen classes.
        device: the device to train on.
    """

    def __init__(
        self, config: Cat, seed: int, classifier: CosineClassifier, num_seen: int, device: torch.device
    ) -> None:
        self.config, self.seed, self.device = config, seed, device
        classifier = classifier.to(device).requires_grad_(False)
        self.objective = CatObjective(config, classifier, num_seen)
        sizes = classifier.projector.visual_dim, classifier.projector.embedding_dim
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeded(seed, "cat-weights").initial_seed())
            self.network = build_network(config, *sizes).to(device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.curve = Curve(max(1, config.iterations // CURVE_POINTS))

    def step(self, iteration: int, batch: tuple[Tensor, Tensor, Tensor]) -> bool:
        """Train one step; returns True if the curve has a new point.

        A live batch with fewer than two matched queries is skipped: BatchNorm cannot train on it.
        """
        v_MD, class_ids_M, null_UD = (part.to(self.device) for part in batch)
        if len(v_MD) < MIN_MATCHED:
            return self.curve.add(iteration, {})
        self.network.train()
        terms = self.objective.terms(
            self.network, v_MD, class_ids_M, null_UD, seeded(self.seed, "cat-noise", iteration)
        )
        total = self.objective.total(terms)
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        return self.curve.add(iteration, {**terms, "total": total})

    def save(self, path: Path, key: str, iteration: int) -> None:
        """Save everything needed to resume after ``iteration`` steps."""
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_state(path, {"key": key, "iteration": iteration, "curve": self.curve.state(), **state})

    def resume(self, path: Path, key: str) -> int:
        """Resume from ``path`` if it contains this training run's progress; returns the completed steps."""
        state = load_state(path, key)
        if state is None:
            return 0
        with resuming(path):
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.curve.load(state["curve"])
            done = int(state["iteration"])
            if not 0 < done <= self.config.iterations:
                raise ValueError(f"{done} of {self.config.iterations} iterations")
        say(f"generator: resuming from iteration {done}")
        return done

    def diverged(self, iteration: int, what: str) -> ScasegError:
        """The error for a training in which ``what`` was found by ``iteration``."""
        rows = self.curve.rows
        earlier = "no loss was read before"
        if rows:
            earlier = f"the last finite total loss is {rows[-1]['total']:.5g} at iteration {rows[-1]['iteration']}"
        return ScasegError(
            f"the generator's training diverged: {what} by iteration {iteration}; {earlier}",
            f"Lower the learning rate, now {self.config.learning_rate:g}: --set cat.learning_rate=... The last "
            "checkpoint is kept; with a changed recipe the stage starts from scratch.",
        )


def fit_network(
    training: GeneratorTraining, batches: BatchSource, state_file: Path, key: str, log: ScalarLog | None = None
) -> None:
    """Train to the recipe's last iteration, resuming from earlier progress with the same ``key``.

    Args:
        training: a new training; it also holds the result.
        batches: the source of each iteration's batch.
        state_file: the progress file.
        key: the stage's key.
        log: also gets each point of the curve.

    Raises:
        ScasegError: a loss diverged, or the progress file is damaged.
    """
    log = log or ScalarLog(None)
    total, every = training.config.iterations, training.config.checkpoint_every
    done = training.resume(state_file, key)
    log.begin(done)
    with contextlib.closing(log), meter("generator", total, done) as shown:
        for iteration in range(done, total):
            try:
                new_point = training.step(iteration, batches(iteration))
                if (iteration + 1) % every == 0 and iteration + 1 < total:
                    training.save(state_file, key, iteration + 1)
            except FloatingPointError as error:
                raise training.diverged(iteration + 1, str(error)) from error
            except NotFiniteError as error:
                raise training.diverged(iteration + 1, f"{error.tensor} has infinite or NaN values") from error
            shown.advance(note=_note(training.curve.rows[-1]) if new_point else "")
            if new_point:
                log.add({name: x for name, x in training.curve.rows[-1].items() if name != "iteration"}, iteration + 1)
    if (bad := not_finite(training.network.state_dict())) is not None:
        raise training.diverged(total, f"{bad} has infinite or NaN values")


def _note(row: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.3g}" for name, value in row.items() if name != "iteration")
