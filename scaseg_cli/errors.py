"""The one exception for everything that a user can cause and mend."""


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
