"""`scaseg status`."""

from __future__ import annotations

from scaseg_cli.cli.options import Options, with_options


@with_options
def status(options: Options) -> None:
    """Show the progress of a run: which stages are done, stale, begun, missing or damaged.

    A stage is stale if the recipe or its files have changed since it ran; `scaseg run` runs it again. It is damaged if
    its record.json cannot be read; a note below the table names the file.

    Reads the recipe and the records in the run folder. Writes nothing.

    Example: `scaseg status -w runs/shapes-zps`
    """
    from scaseg_cli.cli.output import print_json
    from scaseg_cli.cli.running import load
    from scaseg_cli.pipeline import stage_states
    from scaseg_cli.results.console import print_table

    table = stage_states(*load(options))
    if options.json:
        print_json(table.as_json_value())
    else:
        print_table(table)
