"""`scaseg convert`: labels of other formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaseg_cli.cli.options import Options, with_options

convert = typer.Typer(no_args_is_help=True, help="Convert labels of other formats to those that a recipe takes.")


@convert.command("instances")
def convert_instances(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", show_default=False, help="COCO's instance annotations, a JSON file.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default=False,
            help="The panoptic JSON to write. The PNGs go into the folder of its name without .json.",
        ),
    ],
    stuff: Annotated[
        str | None,
        typer.Option(
            "--stuff",
            metavar="NAMES",
            show_default=False,
            help="Classes that are stuff, with commas between them: their objects become one segment per image.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only one JSON document on stdout.")] = False,
) -> None:
    """Convert COCO's instance annotations to COCO's panoptic format, which recipes of task zps take.

    Polygons and run-length masks are painted into one PNG per image. Where objects overlap, the smaller one is on top;
    crowd regions are below all others. Pixels of no object are void. Images without an object are left out. An
    interrupted conversion continues when it is typed again.

    Reads FILE, not the images. Writes the panoptic JSON and its folder of PNGs.

    Example: `scaseg convert instances annotations/instances_train.json -o annotations/panoptic_train.json`
    """
    from scaseg_cli.cli.output import print_json, stdout_as_stderr
    from scaseg_cli.conversion.instances import convert_instances as run
    from scaseg_cli.prediction.names import parse_names
    from scaseg_cli.results.console import print_table

    names = parse_names(stuff)[0] if stuff is not None else []
    with stdout_as_stderr():
        done = run(source, output, names)
    if json:
        print_json(done.as_json_value())
    else:
        print_table(done.table())


@convert.command("regions")
@with_options
def convert_regions(
    options: Options,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            show_default=False,
            help="The folder to write panoptic_train.json and the others into, each with a folder of PNGs beside it.",
        ),
    ],
    things: Annotated[
        str | None,
        typer.Option(
            "--things",
            metavar="NAMES",
            show_default=False,
            help="Classes that are things, with commas between them. Default: as the list of classes says.",
        ),
    ] = None,
    least: Annotated[
        int, typer.Option("--least", metavar="PIXELS", min=1, help="The smallest region of a thing that is kept.")
    ] = 1,
) -> None:
    """Convert the label maps of a recipe to COCO's panoptic format, which recipes of task zps take.

    Each connected region of a thing becomes a segment; a stuff class becomes one segment per image. Objects of one
    class that touch become one segment, since a label map does not tell them apart. An interrupted conversion continues
    when it is typed again.

    Reads the label maps that the recipe names, as split-dataset does. Writes a panoptic JSON for each list, and its
    folder of PNGs.

    Example: `scaseg convert regions -r msrc-own.yaml -o MSRC_ObjCategImageDatabase_v2 --things cow,sheep,cat,dog`
    """
    from scaseg_cli.cli.output import print_json, stdout_as_stderr
    from scaseg_cli.cli.running import find
    from scaseg_cli.conversion.regions import convert_regions as run
    from scaseg_cli.prediction.names import parse_names
    from scaseg_cli.results.console import print_table

    recipe, folder = find(options)
    names = parse_names(things)[0] if things is not None else None
    with stdout_as_stderr():
        done = run(recipe, folder, output, names, least)
    if options.json:
        print_json([one.as_json_value() for one in done])
    else:
        for one in done:
            print_table(one.table())
