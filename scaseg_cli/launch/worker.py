"""What a worker process does with a recipe, a run folder and a function."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from scaseg_cli import launch
from scaseg_cli.errors import explained
from scaseg_cli.recipe import load_recipe
from scaseg_cli.results.console import progress_to
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaseg_cli.recipe.schema import Recipe


def main(recipe_file: str, folder: str, target: str) -> int:
    """Run ``target`` in this process; the exit code is 2 for a user's mistake, as on the command line."""
    launch.end_with_parent()
    sys.stdout = sys.stderr  # stdout is reserved for the launching command
    progress_to(launch.tell_progress)
    try:
        _function(target)(load_recipe(recipe_file), RunDir(Path(folder)))
    except Exception as error:
        known = explained(error)
        if known is None:
            raise
        launch.tell_error(known)
        return 2
    _leave()
    return 0


def _leave() -> None:
    """Destroy the process group, if this process joined one; otherwise NCCL warns."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_initialized():
        distributed.destroy_process_group()


def _function(target: str) -> Callable[[Recipe, RunDir], object]:
    module, _, name = target.partition(":")
    return cast("Callable[[Recipe, RunDir], object]", getattr(importlib.import_module(module), name))
