"""`scaseg pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def pack(
    run: Annotated[Path, typer.Argument(metavar="RUN", show_default=False, help="The run folder of a finished run.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", show_default=False,
            help="The file. Default: the recipe's name with .safetensors, in this folder. An older file is replaced.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only one JSON document on stdout.")] = False,
) -> None:  # fmt: skip
    """Pack a finished run into one file, with which others predict without its data and its run folder.

    The file has the weights, the recipe, the class names with their vectors, and the model card. It is safetensors, so
    nothing in it runs. `scaseg predict -m FILE` and `scaseg_cli.load` take it. Class names that the run lacks need its
    text encoder, which is not in the file: the embedded world's comes with scaseg, others are found as for `run`.

    Reads the run folder. Writes the file.

    Example: `scaseg pack runs/shapes-zps -o shapes.safetensors`

    Example: `scaseg predict -m shapes.safetensors photo.jpg --classes "red ring; blue stripes"`
    """
    from scaseg_cli.cli.output import print_json, stdout_as_stderr
    from scaseg_cli.cli.running import shortened
    from scaseg_cli.packing.pack import pack as pack_run
    from scaseg_cli.recipe import recipe_of
    from scaseg_cli.results.console import say_plainly
    from scaseg_cli.run_dir import RunDir

    recipe = recipe_of(run)
    path = output if output is not None else Path(f"{recipe.name}.safetensors")
    with stdout_as_stderr():
        packed = pack_run(recipe, RunDir(run), path)
    if json:
        print_json(packed)
    settings = " and ".join(packed["settings"])
    say_plainly(f"wrote {shortened([path.absolute()])[0]} ({packed['bytes'] / 1e6:.1f} MB): {settings}")
    say_plainly(f"next: scaseg predict -m {path} IMAGE")
