"""`scaseg doctor`."""

from __future__ import annotations

import typer

from scaseg_cli.cli.options import Options, with_options


@with_options
def doctor(options: Options) -> None:
    """Check what a run of a recipe needs: what is ready, what is missing, and the command that fixes it.

    Checks Python, PyTorch, GPUs and their memory, mmcv's operators, the weights of CLIP and of the backbone, the data's
    folders and annotation files, and the disk. Files are counted and scanned; split-dataset checks their pixels. The
    network is not used, so weights that a run would download count as missing.

    The exit code is 1 if anything is missing, since a run cannot start then, and 0 if there are only warnings.

    Reads the recipe, and the folders and files that it names. Writes nothing.

    Example: `scaseg doctor --recipe coco-zps`

    Example: `scaseg doctor -r coco-zps --gpus 4 --json | python -m json.tool`
    """
    from scaseg_cli.cli.output import print_json, stdout_as_stderr
    from scaseg_cli.cli.running import find, quiet
    from scaseg_cli.doctor import as_json_value, as_table, can_start, examine
    from scaseg_cli.results.console import print_table

    recipe, run = find(options)
    with stdout_as_stderr(), quiet(options.debug):
        rows = examine(recipe, run, options.debug)
    if options.json:
        print_json(as_json_value(recipe.name, rows))
    else:
        print_table(as_table(recipe.name, rows))
    if not can_start(rows):
        raise typer.Exit(1)
