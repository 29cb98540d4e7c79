"""All checks, one after another; none keeps the others from being told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scaseg_cli.doctor.data import data_rows, split_rows
from scaseg_cli.doctor.machine import (
    batch_rows,
    gpu_rows,
    library_rows,
    log_rows,
    operator_rows,
    precision_rows,
    python_rows,
    torch_rows,
)
from scaseg_cli.doctor.room import disk_rows, run_folder_rows, shared_memory_rows
from scaseg_cli.doctor.rows import Row, missing
from scaseg_cli.doctor.weights import backbone_rows, clip_rows, prompt_rows
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.run_dir import RunDir

Check = Callable[[Recipe, RunDir], Sequence[Row]]
CHECKS: dict[str, Check] = {
    "Python": python_rows,
    "PyTorch": torch_rows,
    "libraries": library_rows,
    "GPUs": gpu_rows,
    "batch": batch_rows,
    "precision": precision_rows,
    "mmcv operators": operator_rows,
    "CLIP weights": clip_rows,
    "prompts": prompt_rows,
    "backbone weights": backbone_rows,
    "data": data_rows,
    "unseen classes": split_rows,
    "run folder": run_folder_rows,
    "disk": disk_rows,
    "shared memory": shared_memory_rows,
    "wandb": log_rows,
}


def examine(recipe: Recipe, run: RunDir, debug: bool = False) -> list[Row]:
    """What a run of ``recipe`` in ``run`` needs, in the order of its need. Writes nothing, and asks no network.

    Args:
        recipe: the recipe.
        run: the run folder, which need not be there.
        debug: raise what a check did not expect, instead of telling it in the check's row.
    """
    return [row for name, check in CHECKS.items() for row in _guarded(name, check, recipe, run, debug)]


def _guarded(name: str, check: Check, recipe: Recipe, run: RunDir, debug: bool) -> Sequence[Row]:
    try:
        return check(recipe, run)
    except ScasegError as error:
        return [missing(name, error.message, error.hint or "Mend it.")]
    except (
        Exception
    ) as error:  # a broken machine breaks in ways that nobody foresees, and the rest is still worth telling
        if debug:
            raise
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        return [missing(name, f"this could not be looked at: {told}", "--debug shows the traceback")]
