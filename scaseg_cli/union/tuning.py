"""The fine-tuning loop of P and a_0. An interrupted fine-tuning resumes and ends with the same result.

Shapes: M real matched queries, U real ones without a segment, T embeddings of a step, D visual width.
"""

from __future__ import annotations

import contextlib
import copy
import math
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from scaseg_cli.base.projector import Snapshot
from scaseg_cli.base.scalar_log import ScalarLog
from scaseg_cli.checkpoints import NotFiniteError, load_state, resuming, save_state
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import meter, say
from scaseg_cli.seeds import seeded

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.queries.store import QueryStore
    from scaseg_cli.recipe.schema import Union
    from scaseg_cli.union.loss import FinetuneLoss

NOTE_EVERY = 50  # steps between two reads of the loss; each read waits for the device


def snapshot_steps(iterations: int, candidates: int) -> list[int]:
    """Return the steps after which a snapshot is kept: evenly spaced and ending at the last step."""
    return sorted({max(1, round(iterations * (i + 1) / candidates)) for i in range(candidates)})


class EmbeddingSource(Protocol):
    """The embeddings that a step adds to the real matched and unmatched ones, such as generated ones."""

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the embeddings [P, D] of ``step`` and their class ids [P]."""


class FineTuning:
    """The state of one fine-tuning: P and a_0, their optimizer, and the snapshots so far.

    Args:
        config: the recipe's ``union`` section.
        seed: the recipe's.
        classifier: the base's, over all N classes; it is copied.
        loss: of a step.
        store: V and V^0, on the classifier's device.
        generated: generated embeddings; None for the control, which differs in nothing else.
    """

    def __init__(
        self,
        config: Union,
        seed: int,
        classifier: CosineClassifier,
        loss: FinetuneLoss,
        store: QueryStore,
        generated: EmbeddingSource | None,
    ) -> None:
        self.config, self.seed, self.loss, self.store, self.generated = config, seed, loss, store, generated
        self.classifier = copy.deepcopy(classifier).requires_grad_(True).train()
        self.optimizer = torch.optim.AdamW(
            self.classifier.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.steps = snapshot_steps(config.iterations, config.candidates)
        self.snapshots: list[Snapshot] = []
        self.done = 0
        self.last: tuple[int, float] | None = None  # step and value of the last loss that was read

    def step(self) -> Tensor:
        """Train for one step and return its loss, detached."""
        v_TD, labels_T = self._batch(self.done)
        loss = self.loss(self.classifier(v_TD), labels_T)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.done += 1
        if self.done in self.steps:
            self.snapshots.append(Snapshot.of(self.classifier, self.done))
        return loss.detach()

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Real embeddings [T, D], then generated ones, and their labels; the control draws the same real ones."""
        random = seeded(self.seed, "union-batch", step)
        v_MD, null_UD = self.store.matched_MD, self.store.null_UD
        index = torch.randint(len(v_MD), (self.config.batch_size,), generator=random).to(v_MD.device)
        parts, labels = [v_MD[index]], [self.store.class_ids_M[index]]
        if len(null_UD) and self.config.num_null:
            null = torch.randint(len(null_UD), (self.config.num_null,), generator=random).to(v_MD.device)
            parts.append(null_UD[null])
            labels.append(torch.full_like(null, self.loss.num_classes))
        if self.generated is not None:
            generated, class_ids = self.generated.draw(step)
            if len(class_ids):
                parts.append(generated)
                labels.append(class_ids)
        return torch.cat(parts), torch.cat(labels)

    def save(self, path: Path, key: str) -> None:
        """Write everything that resuming needs, snapshots included."""
        snapshots = [{"step": snapshot.step, "tensors": snapshot.tensors} for snapshot in self.snapshots]
        state = {"classifier": self.classifier.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_state(path, {"key": key, "done": self.done, "snapshots": snapshots, **state})

    def resume(self, path: Path, key: str) -> None:
        """Resume from ``path`` if it holds this fine-tuning's progress."""
        state = load_state(path, key)
        if state is None:
            return
        with resuming(path):
            self.classifier.load_state_dict(state["classifier"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.snapshots = [Snapshot(item["step"], item["tensors"]) for item in state["snapshots"]]
            self.done = int(state["done"])
            found, wanted = [snapshot.step for snapshot in self.snapshots], [s for s in self.steps if s <= self.done]
            if not 0 < self.done <= self.config.iterations or found != wanted:
                raise ValueError(f"{self.done} of {self.config.iterations} steps, snapshots at {found}")
            for snapshot in self.snapshots:
                snapshot.classifier(self.classifier)

    def diverged(self, what: str) -> ScasegError:
        """The error for a fine-tuning in which ``what`` was found after the last step."""
        earlier = (
            f"the last finite loss is {self.last[1]:.5g} at step {self.last[0]}" if self.last else "no loss was read"
        )
        return ScasegError(
            f"the fine-tuning diverged: {what} at step {self.done}; {earlier}",
            f"Lower the learning rate, now {self.config.learning_rate:g}: --set union.learning_rate=... The last "
            "checkpoint is kept; with a changed recipe the stage starts from scratch.",
        )


def tune(tuning: FineTuning, label: str, state_file: Path, key: str, log: ScalarLog | None = None) -> list[Snapshot]:
    """Run a fine-tuning to its last step, resuming from the progress of an earlier attempt with the same ``key``.

    Args:
        tuning: a fine-tuning at step 0.
        label: its name in the progress bar and the log.
        state_file: progress file. It is kept after the last step, since the choice that follows may be interrupted.
        key: the stage's key.
        log: also gets the loss.

    Raises:
        ScasegError: the loss diverged, or the progress file is damaged.
    """
    log = log or ScalarLog(None)
    tuning.resume(state_file, key)
    if tuning.done:
        say(f"{label}: resuming from step {tuning.done}")
    total, every = tuning.config.iterations, tuning.config.checkpoint_every
    log.begin(tuning.done)
    with contextlib.closing(log), meter(label, total, tuning.done) as shown:
        while tuning.done < total:
            loss = tuning.step()
            saves = tuning.done % every == 0 or tuning.done == total
            is_read = saves or tuning.done % NOTE_EVERY == 0
            shown.advance(note=_note(tuning, loss) if is_read else "")
            if is_read:
                log.add({"loss": float(loss)}, tuning.done)
            if saves:
                try:
                    tuning.save(state_file, key)
                except NotFiniteError as error:
                    raise tuning.diverged(f"{error.tensor} has infinite or NaN values") from error
    return tuning.snapshots


def _note(tuning: FineTuning, loss: Tensor) -> str:
    value = float(loss)
    if not math.isfinite(value):
        raise tuning.diverged(f"its loss is {value}")
    tuning.last = tuning.done, value
    return f"loss {value:.3g}"
