"""`scaseg shapes`: the embedded world and its small checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaseg_cli.errors import ScasegError

shapes = typer.Typer(no_args_is_help=True, help="Draw the embedded world, and train its small checkpoints.")
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Random seed.")]


@shapes.command("make")
def make(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Folder for the dataset.")] = Path("shapes-data"),
    num_train: Annotated[int | None, typer.Option(metavar="N", help="Training images.")] = None,
    num_selection: Annotated[int | None, typer.Option(metavar="N", help="Images for selection.")] = None,
    num_validation: Annotated[int | None, typer.Option(metavar="N", help="Images for the reported figures.")] = None,
    image_size: Annotated[int | None, typer.Option(metavar="PIXELS", help="Side length of the images.")] = None,
    unseen_fraction: Annotated[
        float | None,
        typer.Option(metavar="FRACTION", help="Fraction of training images that may contain unseen classes."),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Random seed.")] = None,
) -> None:
    """Draw the embedded world as a dataset in COCO's panoptic format, and as label maps with one class id per pixel.

    Use it to view the images, or as any other dataset. A run does not need it, since `scaseg split-dataset` draws the
    world in the run folder. Defaults are those of the recipe shapes-zps.

    Reads nothing. Writes train/, selection/, validation/ and annotations/ below FOLDER.

    Example: `scaseg shapes make /tmp/shapes --num-train 100`
    """
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.recipe import load_recipe, shipped_file
    from scaseg_cli.results.console import say_plainly

    _check_no_run(folder)
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
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="File for the checkpoint.")] = Path(
        "shapes-clip.safetensors"
    ),
    seed: Seed = 0,
    iterations: Annotated[int, typer.Option(metavar="N", min=1, help="Steps of 128 captioned pictures.")] = 900,
) -> None:
    """Train the small CLIP of the embedded world, in about five minutes. A trained one comes with scaseg.

    An interrupted training run resumes. Recipes use the file with clip.checkpoint.

    Reads nothing. Writes FILE.

    Example: `scaseg shapes train-clip mine.safetensors --seed 1`
    """
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.results.console import say_plainly

    _check_file(file)
    with stdout_as_stderr():
        from scaseg_cli.shapes.train_clip import train_shapes_clip

        train_shapes_clip(file, seed, iterations)
    say_plainly(f"wrote {file}")


@shapes.command("train-backbone")
def train_backbone(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="File for the checkpoint.")] = Path(
        "shapes-backbone.safetensors"
    ),
    seed: Seed = 0,
    iterations: Annotated[int, typer.Option(metavar="N", min=1, help="Steps of 128 pictures.")] = 800,
) -> None:
    """Train the small backbone of the embedded world on seen classes, in about four minutes. One comes with scaseg.

    An interrupted training run resumes. Recipes use the file with base.backbone.checkpoint.

    Reads nothing. Writes FILE.

    Example: `scaseg shapes train-backbone mine.safetensors --seed 1`
    """
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.results.console import say_plainly

    _check_file(file)
    with stdout_as_stderr():
        from scaseg_cli.base.pretrain_backbone import train_shapes_backbone

        accuracy = train_shapes_backbone(file, seed, iterations)
    say_plainly(f"wrote {file}; accuracy on new pictures of seen classes: {100 * accuracy:.1f} %")


def _check_no_run(folder: Path) -> None:
    """Refuse the world that a run has drawn and counts on."""
    from scaseg_cli.run_dir import RunDir

    run = RunDir(folder.absolute().parent)
    if run.recipe_file.is_file() and folder.is_dir():
        raise ScasegError(
            f"{folder} belongs to the run in {run.path}; nothing was changed",
            "Choose another folder. `scaseg run --set data.shapes.KEY=VALUE` draws another world in the run.",
        )


def _check_file(file: Path) -> None:
    """Refuse a folder before the training, not after it."""
    if file.is_dir():
        raise ScasegError(f"{file} is a folder", f"Name a file, such as {file / 'mine.safetensors'}.")
