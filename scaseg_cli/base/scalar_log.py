"""Curves of a training as events for TensorBoard, without mmengine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class ScalarLog:
    """Writes figures by step; nothing is imported or written before the first one.

    Args:
        folder: the folder of the events; None: nothing is written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._purge: int | None = None  # the step from which TensorBoard drops what was logged before
        self._writer: Any = None

    def begin(self, start: int) -> None:
        """Begin after ``start`` steps. TensorBoard drops what an earlier training logged after them; its files stay."""
        self._purge = start + 1 if start else 0

    def add(self, figures: Mapping[str, float], step: int) -> None:
        """Log the figures of a step, by name."""
        if self._folder is None:
            return
        writer = self._opened(self._folder)
        for name, value in figures.items():
            writer.add_scalar(name, value, step)

    def _opened(self, folder: Path) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # takes half a second to import

            self._writer = SummaryWriter(str(folder), purge_step=self._purge)
        return self._writer

    def close(self) -> None:
        """Write the remaining events."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
