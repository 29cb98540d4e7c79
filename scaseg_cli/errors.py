"""The one exception for everything that a user can cause and mend, and what the system refuses in its words."""

from __future__ import annotations

import errno


class ScasegError(Exception):
    """A user's mistake, or a thing in their world that has to be mended first.

    The command line prints ``message`` and ``hint`` on stderr, one line each, and exits with code 2.

    Args:
        message: what is wrong, with the value and the file it stands in.
        hint: what to do next; a command where there is one.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


# For the hints of errors about what a machine lacks.
DOCTOR = "`scaseg doctor` with this recipe shows all that is missing."
# What the system refuses is the user's to mend, wherever in the code it shows.
_REFUSALS = {
    errno.ENOSPC: "Free some space, or choose another folder with --work-dir.",
    errno.EDQUOT: "Free some space, or choose another folder with --work-dir.",
    errno.EROFS: "Choose another folder with --work-dir.",
    errno.EACCES: "Check who owns it and its permissions.",
    errno.EPERM: "Check who owns it and its permissions.",
    errno.EMFILE: "Raise the limit of open files: ulimit -n 4096",
}


def explained(error: BaseException) -> ScasegError | None:
    """``error`` as a user's error where it is one: the system refused something, or memory ran out."""
    if isinstance(error, ScasegError):
        return error
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        where = f"{error.filename}: " if error.filename else ""
        return ScasegError(f"{where}{error.strerror}", _REFUSALS[error.errno])
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return ScasegError(
            f"the memory does not suffice: {str(error).splitlines()[0] if str(error) else 'none is left'}",
            "For train-base: --set base.accumulate=2 or more, or base.amp=bf16. Else take smaller batches.",
        )
    if isinstance(error, ImportError) and ".so" in str(error):
        return ScasegError(
            f"a library of the system is missing: {error}",
            "For libGL.so.1 replace opencv-python by opencv-python-headless of the same version, or install libGL.",
        )
    return None
