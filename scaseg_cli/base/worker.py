"""One process of a distributed training of the base: torch.distributed.run starts it with the run folder."""

from __future__ import annotations

import sys
from pathlib import Path


def main(folder: str) -> int:
    """Train in this process; the exit code is 2 for a user's mistake, as on the command line."""
    from scaseg_cli import launch
    from scaseg_cli.errors import ScasegError
    from scaseg_cli.recipe import load_recipe
    from scaseg_cli.run_dir import RunDir

    launch.end_with_parent()
    sys.stdout = sys.stderr  # stdout belongs to the command that launched this
    run = RunDir(Path(folder))
    try:
        from scaseg_cli.base.train import train

        train(load_recipe(str(run.recipe_file)), run)
    except ScasegError as error:
        launch.tell_error(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
