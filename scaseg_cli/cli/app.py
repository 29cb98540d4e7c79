"""The `scaseg` command line. A command is imported when it is used, and its work when it runs, for a quick start."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated

import typer
from typer.main import get_command

from scaseg_cli.cli import failures, options
from scaseg_cli.cli.lazy_commands import Entry, group_of
from scaseg_cli.cli.quick_options import HELP, convert_quickly
from scaseg_cli.cli.signals import Terminated, raised_signals
from scaseg_cli.errors import ScasegError
from scaseg_cli.version import __version__

_RUNS, _STAGES, _MATTER = "Runs", "Stages, in order", "Recipes and data"
_COMMANDS = {
    "run": Entry("run", _RUNS),
    "status": Entry("status", _RUNS),
    "predict": Entry("predict", _RUNS),
    "visualize": Entry("visualize", _RUNS),
    "report": Entry("report", _RUNS),
    "compare": Entry("compare", _RUNS),
    "choose": Entry("choose", _RUNS),
    "ablate": Entry("ablate", _RUNS),
    "peers": Entry("peers", _RUNS),
    "pack": Entry("pack", _RUNS),
    "export": Entry("export", _RUNS),
    "ablate-job": Entry("ablate", None),
    "clean": Entry("clean", _RUNS),
    "doctor": Entry("doctor", _RUNS),
    "split-dataset": Entry("split_dataset", _STAGES),
    "embed-classes": Entry("embed_classes", _STAGES),
    "train-base": Entry("train_base", _STAGES),
    "train-cat": Entry("train_cat", _STAGES),
    "union-finetune": Entry("union_finetune", _STAGES),
    "evaluate": Entry("evaluate", _STAGES),
    "recipe": Entry("recipe", _MATTER),
    "convert": Entry("convert", _MATTER),
    "shapes": Entry("shapes", _MATTER),
}
app = typer.Typer(
    cls=group_of(_COMMANDS),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": HELP},
)


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
        convert_quickly(command)
        command.main(arguments, prog_name="scaseg")
    except SystemExit as leaving:
        if leaving.code == failures.INTERRUPTED:
            raise KeyboardInterrupt from None
        if isinstance(leaving.__context__, BrokenPipeError):
            raise leaving.__context__ from None
        _say_of_folder(leaving.__context__, arguments)
        return leaving.code if isinstance(leaving.code, int) else 0
    return 0


def _say_of_folder(error: BaseException | None, arguments: list[str]) -> None:
    """Say how a command that takes no argument takes a run folder, if one was its argument."""
    extra = str(getattr(error, "message", "")).startswith("Got unexpected extra argument")
    folder = next((word for word in arguments if os.path.isfile(os.path.join(word, "recipe.yaml"))), None)
    if extra and folder is not None:
        from scaseg_cli.results.console import say_plainly

        say_plainly(f"Name the run folder with an option: --work-dir {folder}")


def _drop_stdout() -> None:
    """Redirect stdout to nowhere after its reader has closed the pipe, so that the interpreter exits quietly."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
