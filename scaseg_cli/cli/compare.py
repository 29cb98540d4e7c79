"""`scaseg compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaseg_cli.errors import ScasegError


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", show_default=False,
            help="Two or more run folders, or folders of seeds as `scaseg run --seeds` makes them. The first is what "
            "the others are compared with.",
        ),
    ],
    by_class: Annotated[bool, typer.Option("--by-class", help="Also compare the main measure of each class.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", show_default=False,
            help="Also write the tables into this folder: .json, .csv, .md and .tex.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only one JSON document on stdout.")] = False,
) -> None:  # fmt: skip
    """Compare finished runs with the first one: the main rows, the differences, and their spread over seeds.

    A folder of seeds counts as one run: its figures are means, with the sample standard deviation. Seeds that both runs
    have are paired: the difference is the mean of the differences by seed, and its spread is theirs. Runs of the
    panoptic and of the semantic task are compared separately.

    Reads the results and recipes in the run folders. Writes nothing without `--output`.

    Example: `scaseg compare runs/shapes-zps runs/longer --by-class`

    Example: `scaseg compare runs/shapes-zps/seeds runs/longer/seeds -o tables`
    """
    from scaseg_cli.cli.output import print_json
    from scaseg_cli.cli.running import shortened
    from scaseg_cli.comparison.seed_runs import open_seed_runs
    from scaseg_cli.comparison.side_by_side import compare as compared
    from scaseg_cli.comparison.side_by_side import write_comparisons
    from scaseg_cli.results.console import print_table, say_plainly

    if len(runs) < 2:
        raise ScasegError(f"only one run is named: {runs[0]}", "Name the run to compare with first, then the others.")
    found = compared(open_seed_runs(runs))
    if not found:
        raise ScasegError(
            "no two of the runs have the same task",
            "Compare panoptic runs with each other, and semantic runs likewise.",
        )
    wrote = write_comparisons(found, output, by_class) if output is not None else []
    if json:
        print_json({"comparisons": [one.as_json_value(by_class) for one in found], "wrote": [str(p) for p in wrote]})
    for one in found:
        for table in [] if json else one.tables(by_class):
            print_table(table)
        if by_class and one.by_class is None:
            say_plainly(f"{one.task}: not compared by class, since the runs have different classes")
    for path in shortened(wrote):
        say_plainly(f"wrote {path}")
