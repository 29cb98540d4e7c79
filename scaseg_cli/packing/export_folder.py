"""The folder of an export, which is written beside its place and then renamed, so it is whole or missing."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError, hint_of
from scaseg_cli.files import is_unfinished, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FACTS = "export.json"  # in the folder: what it is
MADE_BY = "scaseg export"
_ANOTHER = "Choose another with --output."


@contextlib.contextmanager
def exported_folder(path: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a folder to write to, which is at ``path`` when the block succeeds. A failure leaves nothing.

    Args:
        path: the folder.
        overwrite: whether an older export is replaced.

    Raises:
        ScasegError: something is at ``path`` that may not be replaced, or the folder cannot be written.
    """
    check_place(path, overwrite)
    temporary, older = (path.with_name(f".{path.name}.{os.getpid()}{end}.tmp") for end in ("", ".0"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{path.name}.*.tmp"):  # by an export that was killed
            if is_unfinished(left.name) and left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
        temporary.mkdir()
        yield temporary
        if path.exists():
            path.rename(older)
        temporary.rename(path)
    except OSError as error:
        raise ScasegError(
            f"the folder {path} cannot be written: {error.strerror}", hint_of(error) or _ANOTHER
        ) from error
    finally:
        for left in (temporary, older):
            shutil.rmtree(left, ignore_errors=True)


def check_place(path: Path, overwrite: bool) -> None:
    """Check that an export may be written to ``path``.

    Raises:
        ScasegError: it exists, and is no export or is not to be replaced.
    """
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir() or not (_is_export(path) or not any(path.iterdir())):
        raise ScasegError(f"{path} exists, and `{MADE_BY}` did not make it", _ANOTHER)
    if any(path.iterdir()) and not overwrite:
        raise ScasegError(f"{path} exists", f"Use --overwrite to replace it. {_ANOTHER}")


def _is_export(path: Path) -> bool:
    if not (path / FACTS).is_file():
        return False
    content = read_json(path / FACTS, "the facts of an export", _ANOTHER)
    return isinstance(content, dict) and content.get("made_by") == MADE_BY
