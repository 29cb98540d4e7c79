"""What a person reads when a command fails, and the exit code that a script sees."""

from __future__ import annotations

import errno
import sys
import traceback

from scaseg_cli.errors import ScasegError

BUG, USER, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141
GO_ON = "Run the same command to go on."
# What the system refuses is the user's to mend, wherever in the code it shows.
_REFUSALS = {
    errno.ENOSPC: "Free some space, or choose another folder with --work-dir.",
    errno.EDQUOT: "Free some space, or choose another folder with --work-dir.",
    errno.EROFS: "Choose another folder with --work-dir.",
    errno.EACCES: "Check who owns it and its permissions.",
    errno.EPERM: "Check who owns it and its permissions.",
    errno.EMFILE: "Raise the limit of open files: ulimit -n 4096",
}


def tell(text: str, hint: str | None = None) -> None:
    """An error and its remedy on stderr."""
    from rich.text import Text

    from scaseg_cli.results.console import console

    console.print(Text("error: ", style="bold red").append(text, style="not bold default"), soft_wrap=True)
    if hint:
        console.print(Text(hint), soft_wrap=True)


def explain(error: BaseException) -> ScasegError | None:
    """``error`` as a user's error where it is one: the system refused something, or memory ran out."""
    if isinstance(error, ScasegError):
        return error
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        where = f"{error.filename}: " if error.filename else ""
        return ScasegError(f"{where}{error.strerror}", _REFUSALS[error.errno])
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return ScasegError(
            f"the memory does not suffice: {str(error).splitlines()[0] if str(error) else 'none is left'}",
            "Take smaller batches, such as --set base.batch_size=8, or a smaller base.crop.",
        )
    if isinstance(error, ImportError) and ".so" in str(error):
        return ScasegError(
            f"a library of the system is missing: {error}",
            "For libGL.so.1 replace opencv-python by opencv-python-headless of the same version, or install libGL.",
        )
    return None


def report(error: Exception, debug: bool) -> int:
    """Tell the person what went wrong; returns the exit code."""
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    known = explain(error)
    if known is not None:
        tell(known.message, known.hint)
        return USER
    first = (str(error).splitlines() or [""])[0]
    advice = "" if debug else "; --debug shows the traceback"
    tell(f"this is a bug of scaseg: {type(error).__name__}: {first}{advice}")
    return BUG
