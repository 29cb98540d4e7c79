"""Reading files with clear errors, writing them atomically, and hashing them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import DOCTOR, ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; its file replaces ``path`` when the block succeeds.

    On any failure the temporary file is removed, and a file at ``path`` is kept as it was.

    Raises:
        ScasegError: the folder cannot be written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # what is there may be a link
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # some writers create files that only their owner can read
        os.replace(temporary, path)
    except OSError as error:
        raise ScasegError(
            f"cannot write {path}: {error.strerror or error}",
            "Free some space, or choose another folder with --work-dir.",
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # never created, or already moved to `path`
            temporary.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def own_file(name: str, flags: int) -> int:
    """Open a file that scaseg writes in place, as the ``opener`` of `open`; never through a link.

    Raises:
        ScasegError: at ``name`` is a link, or something else that is not a regular file.
        OSError: the file cannot be opened.
    """
    try:
        # O_NONBLOCK: a named pipe without a reader fails at once; it has no effect on regular files.
        number = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP and os.path.islink(name):
            raise ScasegError(f"{name} is a link, and scaseg writes only to files of its own", "Delete it.") from None
        if error.errno == errno.ENXIO:
            raise _not_regular(name) from None
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise _not_regular(name)
    return number


def _not_regular(name: str) -> ScasegError:
    return ScasegError(f"{name} is not a regular file", "Delete it.")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically."""
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically."""
    with replaced(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON to ``path`` atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        what: the file's name in errors ("the annotation file").

    Raises:
        ScasegError: the file is missing, cannot be read, or is not valid JSON.
    """
    import orjson  # three times faster than json on COCO's annotation files

    if not path.is_file():
        raise ScasegError(f"{what} {path} does not exist", f"Check the path in the recipe. {DOCTOR}")
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ScasegError(
            f"{what} {path} is not valid JSON: {error}",
            "It may be truncated: download or create it again.",
        ) from error
    except OSError as error:
        raise ScasegError(f"{what} {path} cannot be read: {error.strerror}") from error


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_value(value: Any) -> str:
    """SHA-256 of a JSON-like value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def inside(folder: Path, name: str, what: str) -> Path:
    """Return ``folder / name`` after checking that it is inside ``folder``.

    Raises:
        ScasegError: ``name`` is empty, absolute, or contains "..".
    """
    parts = Path(name)
    if not name or parts.is_absolute() or ".." in parts.parts:
        raise ScasegError(
            f"{what} has the file name {name!r}, which leads out of {folder}",
            "Use file names that are relative and inside their folder.",
        )
    return folder / parts
