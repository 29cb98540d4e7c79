"""`scaseg shapes`: the embedded world and its small checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

shapes = typer.Typer(
    no_args_is_help=True, help="Make the embedded world, and train the small checkpoints that it uses."
)
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="All that is drawn follows from it.")]


@shapes.command("make")
def make(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where the data set goes.")] = Path("shapes-data"),
    num_train: Annotated[int | None, typer.Option(metavar="N", help="Training images.")] = None,
    num_selection: Annotated[int | None, typer.Option(metavar="N", help="Images on which choices are made.")] = None,
    num_validation: Annotated[int | None, typer.Option(metavar="N", help="Images that are reported.")] = None,
    image_size: Annotated[int | None, typer.Option(metavar="PIXELS", help="Side of the images.")] = None,
    unseen_fraction: Annotated[
        float | None, typer.Option(metavar="FRACTION", help="Of the training images, how many may hold unseen classes.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="All that is drawn follows from it.")] = None,
) -> None:
    """Draw the embedded world as a data set in COCO's panoptic format, with label maps of one class id a pixel besides.

    It is there to look at, or to use as any other data.

    `scaseg split-dataset` does this by itself in the run folder. What is not given is as in the recipe shapes-zps.

    Reads nothing. Writes train/, selection/, validation/ and annotations/ below FOLDER.

    Example: `scaseg shapes make /tmp/shapes --num-train 100`
    """
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.recipe import load_recipe, shipped_file
    from scaseg_cli.results.console import say_plainly

    given = {
        "num_train": num_train, "num_selection": num_selection, "num_validation": num_validation,
        "image_size": image_size, "unseen_fraction": unseen_fraction, "seed": seed,
    }  # fmt: skip
    changes = tuple(f"data.shapes.{key}={value}" for key, value in given.items() if value is not None)
    config = load_recipe(str(shipped_file("shapes-zps")), changes).data.shapes
    assert config is not None
    with stdout_as_stderr():
        from scaseg_cli.shapes.make import make_shapes

        make_shapes(folder, config)
    say_plainly(f"wrote {folder}")


@shapes.command("train-clip")
def train_clip(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Where the checkpoint goes.")] = Path(
        "shapes-clip.safetensors"
    ),
    seed: Seed = 0,
    iterations: Annotated[int, typer.Option(metavar="N", min=1, help="Steps of 128 captioned pictures.")] = 900,
) -> None:
    """Train the small CLIP of the embedded world; about five minutes. One comes with scaseg already.

    A training that was cut short goes on where it stopped. Recipes take the file with clip.checkpoint.

    Reads nothing. Writes FILE.

    Example: `scaseg shapes train-clip mine.safetensors --seed 1`
    """
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.results.console import say_plainly

    with stdout_as_stderr():
        from scaseg_cli.shapes.train_clip import train_shapes_clip

        train_shapes_clip(file, seed, iterations)
    say_plainly(f"wrote {file}")


@shapes.command("train-backbone")
def train_backbone(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Where the checkpoint goes.")] = Path(
        "shapes-backbone.safetensors"
    ),
    seed: Seed = 0,
    iterations: Annotated[int, typer.Option(metavar="N", min=1, help="Steps of 128 pictures.")] = 800,
) -> None:
    """Train the small backbone of the embedded world on seen classes; about four minutes. One comes with scaseg.

    A training that was cut short goes on where it stopped. Recipes take the file with base.backbone.checkpoint.

    Reads nothing. Writes FILE.

    Example: `scaseg shapes train-backbone mine.safetensors --seed 1`
    """
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.results.console import say_plainly

    with stdout_as_stderr():
        from scaseg_cli.base.pretrain_backbone import train_shapes_backbone

        accuracy = train_shapes_backbone(file, seed, iterations)
    say_plainly(f"wrote {file}; it names {100 * accuracy:.1f} % of fresh pictures of seen classes")
