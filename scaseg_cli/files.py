"""Reading files with clear errors, writing them atomically, and hashing them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scaseg_cli.errors import DOCTOR, ScasegError, hint_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")
MAX_DEPTH = 100  # lists and mappings inside each other in JSON; annotations need five
LFS_POINTER = b"version https://git-lfs"  # how a file begins that a clone without Git LFS has in its place
LFS_HINT = "Run `git lfs pull` where it was cloned."
LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes of a file name and of a path on Linux

_TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp", re.DOTALL)


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
            hint_of(error) or "Free some space, or choose another folder with --work-dir.",
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # never created, or already moved to `path`
            temporary.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files of `replaced` in and below ``folder`` whose process was killed."""
    for place, _, names in os.walk(folder):
        for name in names:
            if is_unfinished(name):
                with contextlib.suppress(OSError):  # a folder that this user cannot write
                    Path(place, name).unlink()


def is_unfinished(name: str) -> bool:
    """Whether a file has the name of a temporary file of `replaced`, and the process that made it has ended."""
    found = _TEMPORARY.fullmatch(name)
    return found is not None and not _is_running(int(found[1]))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


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


def read_json(path: Path, what: str, hint: str | None = None) -> Any:
    """Read a JSON file whose values are nested at most `MAX_DEPTH` deep.

    Args:
        path: the file.
        what: the file's name in errors ("the annotation file").
        hint: hint of all errors; None: the path in the recipe, or the file is to be created again.

    Raises:
        ScasegError: the file is missing, cannot be read, is not valid JSON, or is nested too deep.
    """
    again = hint or "Fix the file, or create it again."
    try:
        text = path.read_bytes()
        if text.startswith(LFS_POINTER):
            raise ScasegError(f"{what} {path} is a pointer of Git LFS, not the file itself", LFS_HINT)
        content = _parsed(text, f"{what} {path}", hint)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        missing = "is a folder" if isinstance(error, IsADirectoryError) else "does not exist"
        raise ScasegError(f"{what} {path} {missing}", hint or f"Check the path in the recipe. {DOCTOR}") from error
    except OSError as error:
        raise ScasegError(f"{what} {path} cannot be read: {error.strerror}", hint) from error
    if _is_deeper(content, MAX_DEPTH):
        raise ScasegError(f"{what} {path} has values nested more than {MAX_DEPTH} deep", again)
    return content


def _parsed(text: bytes, where: str, hint: str | None) -> Any:
    """Parse JSON; a byte order mark, UTF-16 and NaN, which Windows and pandas write, are read too, NaN as null."""
    import orjson  # three times faster than json on COCO's annotation files

    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass  # as for numbers out of range and more than 1024 levels
    try:
        return json.loads(text, parse_int=_whole_number, parse_float=_finite, parse_constant=_constant)
    except json.JSONDecodeError as error:
        if not error.doc[error.pos :].strip() or error.msg.startswith("Unterminated string"):
            raise ScasegError(
                f"{where} is not valid JSON: it is cut short at line {error.lineno}, column {error.colno}",
                hint or "It may be truncated: download or create it again.",
            ) from error
        raise ScasegError(f"{where} is not valid JSON: {error}", hint or "Fix the file, or create it again.") from error
    except (ValueError, RecursionError) as error:
        raise ScasegError(f"{where} is not valid JSON: {error}", hint or "Fix the file, or create it again.") from error


def _whole_number(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= (number := int(digits)) < 2**63:
        raise ValueError(f"{digits:.30} is out of range, 64 bits")
    return number


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits:.30} is out of range")
    return number


def _constant(name: str) -> None:
    if name != "NaN":
        raise ValueError(f"{name} is not a number of JSON")


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether lists and mappings are nested more than ``depth`` deep; without recursion, level by level."""
    level: list[Any] = [[value]]
    for _ in range(depth + 1):
        items = (inner for outer in level for inner in (outer.values() if type(outer) is dict else outer))
        level = [item for item in items if type(item) is dict or type(item) is list]
    return bool(level)


def read_own_json(path: Path, what: str, kind: type[T], hint: str) -> T:
    """Read a JSON file that scaseg wrote, and check every value against ``kind``.

    Args:
        path: the file.
        what: the file's name in errors ("the stage's record").
        kind: a type that msgspec understands, such as a TypedDict; keys that it lacks are ignored.
        hint: hint of all errors: how to make the file again.

    Raises:
        ScasegError: the file cannot be read, or is not of this kind; names the place in it.
    """
    return of_kind(read_json(path, what, hint), kind, f"{what} {path}", hint)


def of_kind(value: Any, kind: type[T], where: str, hint: str) -> T:
    """Return ``value`` after checking it against ``kind``, a type that msgspec understands.

    Raises:
        ScasegError: it is of another kind; names the place in it.
    """
    import msgspec

    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError) as error:  # ValueError: a rule of a dataclass
        raise ScasegError(f"{where} is not what scaseg wrote: {error}", hint) from error


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_value(value: Any) -> str:
    """SHA-256 of a JSON-like value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def real_path(path: Path) -> str:
    """The path without links, or unchanged if no file can have it or links lead to each other."""
    try:
        return os.path.realpath(path)
    except ValueError:  # NUL
        return str(path)


def can_be_named(names: Sequence[str]) -> bool:
    """Whether the system could have files of these names or relative paths: no NUL, and none is too long."""
    text = "".join(names)
    if "\0" in text or not _is_unicode(text):
        return False
    longest = max(map(len, names), default=0)
    if longest * (1 if text.isascii() else 4) <= LONGEST_NAME:
        return True
    return all(
        len(name.encode()) <= LONGEST_PATH and max(len(part.encode()) for part in name.split("/")) <= LONGEST_NAME
        for name in names
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def inside(folder: Path, name: str, what: str) -> Path:
    """Return ``folder / name`` after checking that it is inside ``folder``.

    Raises:
        ScasegError: ``name`` is empty, absolute, contains "..", or cannot be a name in a file system.
    """
    if not can_be_named([name]):
        raise ScasegError(
            f"{what} has the file name {name!r:.80}, which no file can have: it is too long or contains NUL",
            "Correct the file name.",
        )
    parts = Path(name)
    if not name or parts.is_absolute() or ".." in parts.parts:
        raise ScasegError(
            f"{what} has the file name {name!r}, which leads out of {folder}",
            "Use file names that are relative and inside their folder.",
        )
    return folder / parts
