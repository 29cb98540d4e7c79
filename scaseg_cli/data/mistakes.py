"""Reports several mistakes of one file in one error, so that the user can fix them in one go."""

from __future__ import annotations

from scaseg_cli.errors import ScasegError

_SHOWN = 5


class Mistakes:
    """Collects the mistakes of one file.

    Args:
        where: the file, in words.
        at_most: mistakes that are listed; further ones are counted.
    """

    def __init__(self, where: str, at_most: int = _SHOWN) -> None:
        self.where, self.at_most = where, at_most
        self.shown: list[str] = []
        self.count = 0

    def add(self, text: str) -> None:
        """Add a mistake; only the first few are kept, all are counted."""
        self.count += 1
        if self.count <= self.at_most:
            self.shown.append(text)

    def stop_if_any(self, hint: str) -> None:
        """Raise if any mistake was added.

        Raises:
            ScasegError: there are mistakes; lists the first few and counts the rest.
        """
        if self.count:
            raise ScasegError(str(self), hint)

    def __str__(self) -> str:
        if self.count == 1:
            return f"{self.where}: {self.shown[0]}"
        lines = [f"  {text}" for text in self.shown]
        if self.count > len(lines):
            lines.append(f"  and {self.count - len(lines)} more")
        return "\n".join([f"{self.where} has {self.count} mistakes:", *lines])
