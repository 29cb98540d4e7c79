"""The `scaseg` command line. Each command imports its work when it runs, so that `--help` is quick."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated

import typer
from typer.main import get_command

from scaseg_cli.cli import failures, options
from scaseg_cli.cli.ablate import ablate, ablate_job
from scaseg_cli.cli.convert import convert
from scaseg_cli.cli.doctor import doctor
from scaseg_cli.cli.embed_classes import embed_classes
from scaseg_cli.cli.evaluate import evaluate
from scaseg_cli.cli.predict import predict
from scaseg_cli.cli.quick_options import convert_quickly
from scaseg_cli.cli.recipe import recipe
from scaseg_cli.cli.report import report
from scaseg_cli.cli.run import run
from scaseg_cli.cli.shapes import shapes
from scaseg_cli.cli.signals import Terminated, raised_signals
from scaseg_cli.cli.split_dataset import split_dataset
from scaseg_cli.cli.status import status
from scaseg_cli.cli.train_base import train_base
from scaseg_cli.cli.train_cat import train_cat
from scaseg_cli.cli.union_finetune import union_finetune
from scaseg_cli.cli.visualize import visualize
from scaseg_cli.errors import ScasegError
from scaseg_cli.version import __version__

_HELP = ["-h", "--help"]
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": _HELP},
)
_RUNS, _STAGES, _MATTER = "Runs", "Stages, in order", "Recipes and data"
app.command(rich_help_panel=_RUNS)(run)
app.command(rich_help_panel=_RUNS)(status)
app.command(rich_help_panel=_RUNS)(predict)
app.command(rich_help_panel=_RUNS)(visualize)
app.command(rich_help_panel=_RUNS)(report)
app.command(rich_help_panel=_RUNS)(ablate)
app.command(hidden=True)(ablate_job)
app.command(rich_help_panel=_RUNS)(doctor)
for _command in (split_dataset, embed_classes, train_base, train_cat, union_finetune, evaluate):
    app.command(rich_help_panel=_STAGES)(_command)
app.add_typer(recipe, name="recipe", rich_help_panel=_MATTER)
app.add_typer(convert, name="convert", rich_help_panel=_MATTER)
app.add_typer(shapes, name="shapes", rich_help_panel=_MATTER)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"scaseg {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[  # handled by the callback
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Semantic-Centric Alignment (SCA) for zero-shot panoptic and semantic segmentation.

    `scaseg run` runs the whole method. It splits the classes of a dataset into seen and unseen, trains Mask2Former on
    the seen classes, aligned with CLIP, trains a generator of query embeddings for unseen classes, fine-tunes the class
    projector with them, and measures panoptic quality or IoU over seen and unseen classes, with their harmonic mean.

    Without options it runs panoptic segmentation on a small embedded world of drawn shapes, on the CPU and without a
    download. `--recipe shapes-zss` is semantic segmentation on the same world.

    Example: `scaseg run`
    """


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; None: those of this process.

    Returns:
        The exit code: 0 for success, 2 for an error that the user can fix, 1 for a bug, 130 for Ctrl-C, and 128 + the
        signal's number for another signal.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options.arguments.set(tuple(arguments))
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # None if the caller closed it
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    try:
        with raised_signals():
            code = _run(arguments)
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        _drop_stdout()
        return failures.BROKEN_PIPE
    except KeyboardInterrupt:
        failures.tell("interrupted", failures.RESUME)
        return failures.INTERRUPTED
    except Terminated as error:
        failures.tell(f"ended by {error}", failures.RESUME)
        return 128 + error.number
    except Exception as error:
        return failures.report_error(error, "--debug" in arguments)


def _run(arguments: list[str]) -> int:
    """Run typer, which raises SystemExit, even for Ctrl-C and a broken pipe."""
    for argument in arguments:
        if "\0" in argument:  # from a program; a shell passes none
            raise ScasegError(
                f"{argument!r:.80} has the character NUL, which no path can have", "Correct the argument."
            )
    try:
        command = get_command(app)
        convert_quickly(command, _HELP)
        command.main(arguments, prog_name="scaseg")
    except SystemExit as leaving:
        if leaving.code == failures.INTERRUPTED:
            raise KeyboardInterrupt from None
        if isinstance(leaving.__context__, BrokenPipeError):
            raise leaving.__context__ from None
        return leaving.code if isinstance(leaving.code, int) else 0
    return 0


def _drop_stdout() -> None:
    """Redirect stdout to nowhere after its reader has closed the pipe, so that the interpreter exits quietly."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
