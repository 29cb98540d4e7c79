"""The training loop and its hooks; they depend only on the iteration, so that resuming is exact."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any

import torch

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.device import memory_gib
from scaseg_cli.checkpoints import NotFiniteError, resuming, save_state
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import own_file, replaced
from scaseg_cli.results.console import Meter
from scaseg_cli.seeds import drawn_seed

mmcv_ops.prepare_mmengine()

from mmengine.hooks import Hook  # noqa: E402
from mmengine.model import is_model_wrapper  # noqa: E402
from mmengine.runner import IterBasedTrainLoop  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scaseg_cli.base.device import World
    from scaseg_cli.recipe.base_section import Base


class ResumableLoop(IterBasedTrainLoop):
    """mmengine's loop over a loader that starts at ``start``; mmengine's own would draw and drop the earlier batches.

    An iteration is one optimizer step in ``accumulate`` parts. Their gradients are summed, and the mean of their losses
    is reported.
    """

    def __init__(self, runner: Any, dataloader: Any, max_iters: int, start: int, accumulate: int) -> None:
        super().__init__(runner, dataloader, max_iters, val_begin=max_iters + 1)
        self._iter, self._accumulate = start, accumulate

    def run(self) -> torch.nn.Module:
        """Train from ``start`` to ``max_iters``."""
        parts = self._accumulate
        # the Runner counts iterations, the wrapper counts parts
        wrapper = self.runner.optim_wrapper
        wrapper.initialize_count_status(self.runner.model, self._iter * parts, self._max_iters * parts)
        self.runner.call_hook("before_train")
        self.runner.model.train()
        batches = iter(self.dataloader)
        while self._iter < self._max_iters:
            self.run_iter(next(batches))
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_iter(self, data_batch: dict[str, list[Any]]) -> None:
        """Run one optimizer step.

        Raises:
            ScasegError: the network's outputs are no longer finite.
        """
        self.runner.call_hook("before_train_iter", batch_idx=self._iter, data_batch=data_batch)
        train_step, wrapper = self.runner.model.train_step, self.runner.optim_wrapper
        try:
            losses = [train_step(part, optim_wrapper=wrapper) for part in in_parts(data_batch, self._accumulate)]
        except FloatingPointError as error:
            raise _diverged(self.runner, self._iter, str(error)) from error
        outputs = losses[0] if len(losses) == 1 else _means(losses)
        self.runner.call_hook("after_train_iter", batch_idx=self._iter, data_batch=data_batch, outputs=outputs)
        self._iter += 1


def in_parts(batch: dict[str, list[Any]], count: int) -> Iterator[dict[str, list[Any]]]:
    """Split a process's part of a batch into ``count`` parts of equal size, in order."""
    size = len(batch["inputs"]) // count
    for first in range(0, size * count, size):
        yield {key: items[first : first + size] for key, items in batch.items()}


def _means(losses: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.stack([part[name] for part in losses]).mean(0) for name in losses[0]}


class Seeding(Hook):
    """Reseeds every iteration, so that its points, subsets and dropout are the same after resuming."""

    def __init__(self, seed: int, world: World) -> None:
        self.seed, self.rank = seed, world.rank

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seed torch, the source of all draws in the network, for iteration ``batch_idx``."""
        del runner, data_batch
        torch.manual_seed(drawn_seed(self.seed, "base", batch_idx, self.rank))


_POWER = 0.9  # of `poly`, in MMSegmentation's and Detectron2's settings for semantic segmentation


def learning_rate_factor(base: Base, iteration: int) -> float:
    """Learning rate at ``iteration`` relative to the recipe's: warm-up, then steps, half a cosine or a power."""
    if iteration < base.warmup:
        return (iteration + 1) / base.warmup
    if base.schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * iteration / base.iterations))
    if base.schedule == "poly":
        return float((1.0 - iteration / base.iterations) ** _POWER)
    return 0.1 ** sum(iteration >= step * base.iterations for step in base.steps)


class LearningRate(Hook):
    """Sets each group's learning rate from the iteration."""

    def __init__(self, factor: Callable[[int], float]) -> None:
        self.factor = factor

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Set the rate for iteration ``batch_idx``."""
        del data_batch
        for group in runner.optim_wrapper.optimizer.param_groups:
            initial = group.setdefault("initial_lr", group["lr"])
            group["lr"] = initial * self.factor(batch_idx)


class CurveFile:
    """A CSV with one line per measured iteration, which a resumed training continues.

    Args:
        path: the CSV.
        first: the first iteration that may be written; lines from it on are of iterations that run again.
    """

    def __init__(self, path: Path, first: int) -> None:
        self.path, self.first = path, first
        self.begun = False

    def earlier(self) -> list[dict[str, str]]:
        """Read the lines before the first iteration."""
        return [row for row in read_losses(self.path) if int(row["iteration"]) < self.first]

    def write(self, row: dict[str, Any]) -> None:
        """Add a line. The first call also removes lines of iterations that run again; doing it earlier would lose them
        if the first batch cannot be read."""
        if self.begun:
            with open(self.path, "a", newline="", opener=own_file) as file:
                csv.DictWriter(file, list(row)).writerow(row)
            return
        rows = self.earlier()
        with replaced(self.path) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows([*rows, row])
        self.begun = True


class Losses(Hook):
    """Shows progress with the losses, and writes them to a CSV every ``log_every`` iterations.

    Args:
        path: the CSV.
        base: the recipe's section.
        start: the first iteration.
        world: this process; only the first one shows and writes.
    """

    def __init__(self, path: Path, base: Base, start: int, world: World) -> None:
        self.path, self.base, self.start, self.world = path, base, start, world
        self.first = world.rank == 0
        self.curve = CurveFile(path, start)
        self.meter: Meter | None = None
        self.also = ""  # what is shown behind the losses, such as figures on selection images
        self._last: tuple[int, float] | None = None  # iteration and value of the last loss that was read

    def before_train(self, runner: Any) -> None:
        """Open the progress bar."""
        if self.first:
            self.meter = Meter("base", runner.max_iters, self.start, "images", self.base.batch_size)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, torch.Tensor] | None = None
    ) -> None:
        """Advance, and stop with a clear error if the loss is not finite."""
        del data_batch
        last = batch_idx + 1 == runner.max_iters
        if batch_idx % self.base.log_every and not last:
            self._advance("")
            return
        values = {name: float(value.detach()) for name, value in (outputs or {}).items()}
        if not math.isfinite(values["loss"]):
            raise self.diverged(batch_idx, f"the loss is {values['loss']}")
        self._last = batch_idx, values["loss"]
        if self.first:
            self.curve.write({"iteration": batch_idx, **{name: f"{value:.5g}" for name, value in values.items()}})
        v2c = f" v2c {values['loss_v2c']:.2f}" if "loss_v2c" in values else ""
        memory = f"{memory_gib(self.world.device):.1f} GiB"
        self._advance(f"loss {values['loss']:.2f} class {values['loss_cls']:.2f}{v2c}, {memory}{self.also}")

    def diverged(self, iteration: int, what: str) -> ScasegError:
        """The error for a training in which ``what`` was found at ``iteration``."""
        base, last = self.base, self._last or _last_before(self.path, self.start)
        earlier = f"the last finite loss is {last[1]:.5g} at iteration {last[0]}" if last else "no loss was read before"
        ways = [f"lower the learning rate, now {base.learning_rate:g} (--set base.learning_rate=...)"]
        if not base.clip_grad:
            ways.append("limit the gradients, now without a limit (--set base.clip_grad=0.01)")
        if base.amp != "off":
            ways.append(f"compute in 32 bits instead of {base.amp} (--set base.amp=off)")
        hint = (
            f"{', or '.join(ways)}. The last checkpoint is kept; with a changed recipe the stage starts from scratch."
        )
        return ScasegError(
            f"the training diverged: {what} at iteration {iteration}; {earlier}", hint[0].upper() + hint[1:]
        )

    def after_run(self, runner: Any) -> None:
        """Close the progress bar."""
        del runner
        if self.meter is not None:
            self.meter.close()

    def _advance(self, note: str) -> None:
        if self.meter is not None:
            self.meter.advance(1, note)


def read_losses(path: Path) -> list[dict[str, str]]:
    """Read the lines of losses.csv or validation.csv; none if it does not exist.

    Raises:
        ScasegError: the file was changed, so that the losses of a resumed training would not follow on it.
    """
    if not path.is_file():
        return []
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            int(row["iteration"])
            [float(value) for value in row.values()]
    except (csv.Error, ValueError, TypeError, KeyError) as error:
        raise ScasegError(
            f"{path} is not the table that train-base writes",
            "Delete it; the lines before the last checkpoint are then missing in the table.",
        ) from error
    return rows


def _last_before(path: Path, start: int) -> tuple[int, float] | None:
    """Iteration and value of the last loss in losses.csv before iteration ``start``."""
    rows = [(int(row["iteration"]), float(row["loss"])) for row in read_losses(path)]
    return max((row for row in rows if row[0] < start), default=None)


def last_losses(path: Path) -> dict[str, float]:
    """Read the losses in the last line of losses.csv."""
    rows = read_losses(path)
    return {name: float(value) for name, value in rows[-1].items() if "loss" in name} if rows else {}


class Progress(Hook):
    """Restores a training run's progress when it resumes, and saves it regularly.

    Args:
        state: the result of `load_state`, or None for a new training run.
        key: the stage's key, saved with it.
        path: the progress file.
        base: the recipe's section.
        world: this process; the first one writes, including the token banks of all.
    """

    def __init__(self, state: dict[str, Any] | None, key: str, path: Path, base: Base, world: World) -> None:
        self.state, self.key, self.path, self.base, self.world = state, key, path, base, world

    def before_train(self, runner: Any) -> None:
        """Load weights, optimizer and this process's token bank."""
        if self.state is None:
            return
        network = network_of(runner)
        with resuming(self.path):
            network.load_state_dict(self.state["network"])
            runner.optim_wrapper.load_state_dict(self.state.get("optimizer", self.state.get("optimiser")))
            if network.v2c is not None:
                banks = self.state["banks"]
                network.v2c.bank.load_state_dict(banks[self.world.rank % len(banks)])
        self.state = None

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Save every ``checkpoint_every`` iterations."""
        del data_batch, outputs
        done = batch_idx + 1
        if done % self.base.checkpoint_every and done != self.base.iterations:
            return
        network = network_of(runner)
        banks = self._banks(network)
        if self.world.rank == 0:
            state = {
                "key": self.key,
                "iteration": done,
                "network": network.state_dict(),
                "optimizer": runner.optim_wrapper.state_dict(),
                "banks": banks,
            }
            try:
                save_state(self.path, state)
            except NotFiniteError as error:
                raise _diverged(runner, batch_idx, f"{error.tensor} has infinite or NaN values") from error

    def _banks(self, network: Any) -> list[dict[str, torch.Tensor]]:
        if network.v2c is None:
            return []
        own = {name: tensor.cpu() for name, tensor in network.v2c.bank.state_dict().items()}
        if self.world.size == 1:
            return [own]
        gathered: list[Any] = [None] * self.world.size
        torch.distributed.all_gather_object(gathered, own)
        return gathered


def _diverged(runner: Any, iteration: int, what: str) -> ScasegError:
    return next(hook for hook in runner.hooks if isinstance(hook, Losses)).diverged(iteration, what)


def network_of(runner: Any) -> Any:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
