"""`scaseg status`."""

from __future__ import annotations

from scaseg_cli.cli.options import Options, with_options


@with_options
def status(options: Options) -> None:
    """Show the progress of a run: which stages are done, kept, stale, begun, missing or damaged, and why.

    A stage is stale if the recipe or its files have changed since it ran; `scaseg run` runs it again. It is kept if the
    run folder still has the finished result of this recipe; `scaseg run` puts it back. It is damaged if its record.json
    cannot be read; a note below the table names the file. A second table lists the results that are kept.

    Without --recipe, the run folder's own recipe counts, with the changes of --set. `scaseg run --dry-run` shows what
    the next run would do.

    Reads the recipe and the records in the run folder. Writes nothing.

    Example: `scaseg status -w runs/shapes-zps`

    Example: `scaseg status --set base.v2c.gamma=3`
    """
    from scaseg_cli.cli.output import print_json
    from scaseg_cli.cli.running import load_own
    from scaseg_cli.pipeline import stage_states
    from scaseg_cli.results.console import print_table, say
    from scaseg_cli.stages.clean import kept_table
    from scaseg_cli.stages.kept import all_kept

    recipe, run = load_own(options)
    if not run.path.is_dir():
        say(f"{run.path} does not exist: nothing has run there")
    table = stage_states(recipe, run)
    kept = kept_table(f"kept in {run.path}", recipe, run, all_kept(run))
    if options.json:
        print_json(table.as_json_value() | {"kept": kept.as_json_value()["rows"]})
        return
    print_table(table)
    if kept.rows:
        print_table(kept)
