"""The exception for everything that a user can cause and fix, and the system errors that become one."""

from __future__ import annotations

import errno


class ScasegError(Exception):
    """A user's mistake, or a problem of the machine or the data that the user has to fix.

    The command line prints ``message`` and ``hint`` on stderr, one line each, and exits with code 2.

    Args:
        message: what is wrong, with the value and the file that holds it.
        hint: what to do next; a command where there is one.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


# For the hints of errors about what the machine lacks.
DOCTOR = "Run `scaseg doctor` with this recipe to see what is missing."
# Hints for the system errors that the user can fix, wherever in the code they are raised.
_HINTS = {
    errno.ENOSPC: "Free some space, or choose another folder with --work-dir.",
    errno.EDQUOT: "Free some space, or choose another folder with --work-dir.",
    errno.EROFS: "Choose another folder with --work-dir.",
    errno.EACCES: "Check who owns it and its permissions.",
    errno.EPERM: "Check who owns it and its permissions.",
    errno.EMFILE: "Raise the limit of open files: ulimit -n 4096",
    errno.ENAMETOOLONG: "Use a shorter path: names have at most 255 bytes, and paths 4095.",
    errno.ELOOP: "Remove the links that lead to each other.",
    errno.ENOTDIR: "A part of the path is a file: correct the path.",
    errno.EEXIST: "A part of the path is a file: correct the path.",
    errno.EISDIR: "A folder has this name: name a file.",
    errno.EIO: "The disk or the network drive fails: check it, and run the command again.",
    errno.ESTALE: "The disk or the network drive fails: check it, and run the command again.",
}
_SHOWN = 200  # characters of a path


def hint_of(error: OSError) -> str | None:
    """What the user can do about a system error; None if nothing is known."""
    return _HINTS.get(error.errno) if error.errno is not None else None


def explained(error: BaseException) -> ScasegError | None:
    """``error`` as a `ScasegError` if the user can fix it: a system error, no memory, a missing library; else None."""
    if isinstance(error, ScasegError):
        return error
    if isinstance(error, OSError) and (hint := hint_of(error)) is not None:
        name = str(error.filename) if error.filename else ""
        where = f"{name if len(name) <= _SHOWN else f'{name[:_SHOWN]}...'}: " if name else ""
        return ScasegError(f"{where}{error.strerror}", hint)
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop from"):  # of Path.resolve
        return ScasegError(str(error), _HINTS[errno.ELOOP])
    if _is_memory(error):
        return ScasegError(
            f"out of memory: {str(error).splitlines()[0] if str(error) else 'none is left'}",
            "For train-base, use --set base.amp=bf16, base.accumulate=2, a smaller base.crop or base.batch_size. "
            "For other stages, use a smaller queries.batch_size, cat.batch_size or evaluation.batch_size.",
        )
    if isinstance(error, ImportError) and ".so" in str(error):
        return ScasegError(
            f"a system library is missing: {error}",
            "For libGL.so.1, replace opencv-python with opencv-python-headless; `scaseg doctor` shows the commands.",
        )
    return None


def _is_memory(error: BaseException) -> bool:
    """Whether an allocation failed; torch raises a RuntimeError on the CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
