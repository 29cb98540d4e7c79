"""One of several processes: torch.distributed.run starts it with a recipe, a run folder and what to carry out."""

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
    """Carry out ``target`` here; the exit code is 2 for a user's mistake, as on the command line."""
    launch.end_with_parent()
    sys.stdout = sys.stderr  # stdout belongs to the command that launched this
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
    """Leave the process group in order, where this process joined one; NCCL complains otherwise."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_initialized():
        distributed.destroy_process_group()


def _function(target: str) -> Callable[[Recipe, RunDir], object]:
    module, _, name = target.partition(":")
    return cast("Callable[[Recipe, RunDir], object]", getattr(importlib.import_module(module), name))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
