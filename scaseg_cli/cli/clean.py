"""`scaseg clean`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from scaseg_cli.cli.options import Options, with_options
from scaseg_cli.errors import ScasegError


@with_options
def clean(
    options: Options,
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", show_default=False, help="The run folder. Default: the recipe's."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove them without a question.")] = False,
    older_than: Annotated[
        float,
        typer.Option("--older-than", metavar="DAYS", min=0.0, help="Only those last written more than DAYS days ago."),
    ] = 0.0,
) -> None:  # fmt: skip
    """List the kept results that no recipe points to, and remove them after a question.

    A run folder keeps each finished stage when a changed recipe makes another one in its place, and an interrupted one
    with its progress. The recipe that counts is the run folder's own, or --recipe; its results stay, and so do those of
    ablations. `scaseg status` lists all that is kept.

    Reads the records in the run folder. Removes what is listed, and nothing else. Without a terminal, or with --json,
    it removes only with --yes.

    Example: `scaseg clean runs/shapes-zps`

    Example: `scaseg clean runs/shapes-zps --older-than 30 --yes`
    """
    from scaseg_cli.cli.output import print_json, stdout_as_stderr
    from scaseg_cli.cli.running import load_own, occupied
    from scaseg_cli.results.console import print_table, say_plainly
    from scaseg_cli.stages.clean import in_units, kept_table, no_longer_used, remove

    if run is not None:
        options = options.of_run(run)
    with stdout_as_stderr():
        recipe, folder = load_own(options)
    if not folder.path.is_dir():
        raise ScasegError(f"there is no run folder {folder.path}", "Name a run folder, such as runs/shapes-zps.")
    with occupied(folder):
        found = no_longer_used(recipe, folder, older_than)
        table = kept_table(f"kept in {folder.path}, and no recipe points to it", recipe, folder, found)
        size = sum(row["bytes"] for row in table.rows)
        removed = bool(found) and yes
        if not options.json:
            if not found:
                say_plainly(f"{folder.path}: nothing to remove")
                return
            print_table(table)
            question = f"Remove {len(found)} result{'s' * (len(found) > 1)}, {in_units(size)}?"
            removed = removed or (sys.stdin is not None and sys.stdin.isatty() and typer.confirm(question, err=True))
        if removed:
            remove(found)
            say_plainly(f"removed {in_units(size)}")
        else:
            say_plainly("nothing was removed; --yes removes without a question")
    if options.json:
        print_json(table.as_json_value() | {"bytes": size, "removed": removed})
