"""Logs losses, learning rate, speed and memory to TensorBoard and Weights & Biases through mmengine's backends."""

from __future__ import annotations

import importlib.util
import shutil
import time
from typing import TYPE_CHECKING, Any

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.device import memory_gib
from scaseg_cli.errors import ScasegError

mmcv_ops.prepare_mmengine()

from mmengine.hooks import Hook  # noqa: E402
from mmengine.visualization import TensorboardVisBackend, WandbVisBackend  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def check_wandb(recipe: Recipe) -> None:
    """Check that Weights & Biases is installed if the recipe uses it.

    Raises:
        ScasegError: it is not installed.
    """
    if recipe.wandb is not None and importlib.util.find_spec("wandb") is None:
        raise ScasegError(f"wandb is {recipe.wandb!r}, but wandb is not installed", "Run `pip install wandb`.")


class _Tensorboard(TensorboardVisBackend):
    """Resumes at iteration ``start``: TensorBoard drops what an interrupted run logged after it."""

    def __init__(self, folder: Path, start: int) -> None:
        super().__init__(str(folder))
        self._start = start

    def _init_env(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if self._start == 0:
            shutil.rmtree(self._save_dir, ignore_errors=True)  # from another training run
        self._tensorboard = SummaryWriter(self._save_dir, purge_step=self._start or None)


class _Wandb(WandbVisBackend):
    """Logs one training run to one run of the project, even if it was interrupted."""

    def __init__(self, recipe: Recipe, run: RunDir, key: str) -> None:
        name = f"{recipe.name} {run.path.name} {recipe.seed}"
        known = {"project": recipe.wandb, "name": name, "id": key[:16], "resume": "allow"}
        steps = [{"name": "*", "step_metric": "iteration"}]
        super().__init__(str(run.path / "base" / "wandb"), known, steps)

    def close(self) -> None:
        """Send the remaining data."""
        if hasattr(self, "_wandb"):
            self._wandb.finish()


class Events(Hook):
    """Logs to TensorBoard and, if the recipe uses it, to Weights & Biases.

    Args:
        recipe: the recipe.
        run: the run folder; TensorBoard's files go to its base/tensorboard.
        key: the stage's key.
        start: the first iteration.
        device: the device whose memory is logged.
    """

    def __init__(self, recipe: Recipe, run: RunDir, key: str, start: int, device: torch.device) -> None:
        self.base, self.device = recipe.base, device
        self.backends: list[TensorboardVisBackend | WandbVisBackend] = []
        if recipe.tensorboard:
            self.backends.append(_Tensorboard(run.path / "base" / "tensorboard", start))
        if recipe.wandb is not None:
            self.backends.append(_Wandb(recipe, run, key))
        self._since, self._begun = time.monotonic(), start

    def before_train(self, runner: Any) -> None:
        """Start the clock."""
        del runner
        self._since = time.monotonic()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, torch.Tensor] | None = None
    ) -> None:
        """Log every ``log_every`` iterations, as in losses.csv."""
        del data_batch
        if not self.backends or (batch_idx % self.base.log_every and batch_idx + 1 != runner.max_iters):
            return
        figures = {name: float(value.detach()) for name, value in (outputs or {}).items()}
        figures["learning_rate"] = max(group["lr"] for group in runner.optim_wrapper.optimizer.param_groups)
        now = time.monotonic()
        figures["images_per_second"] = (batch_idx + 1 - self._begun) * self.base.batch_size / (now - self._since)
        figures["memory_gib"] = memory_gib(self.device)
        self._since, self._begun = now, batch_idx + 1
        self.add(figures, batch_idx)

    def add(self, figures: dict[str, float], iteration: int) -> None:
        """Log other figures of an iteration."""
        for backend in self.backends:
            backend.add_scalars({"iteration": iteration, **figures}, step=iteration)

    def after_run(self, runner: Any) -> None:
        """Write the remaining data."""
        del runner
        for backend in self.backends:
            backend.close()
