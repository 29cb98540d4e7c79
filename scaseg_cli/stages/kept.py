"""Results of other recipes, which a run folder keeps: a result is moved aside before another one is made in its place.

    RUN/base/                 the current result of stage 1
    RUN/kept/base/KEY/        what was RUN/base/ under another recipe; KEY is how its key begins

Each move is one renaming. A command that is killed between two of them leaves a result at one of its two places.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_own_json
from scaseg_cli.run_dir import BEGUN, Begun
from scaseg_cli.stages.graph import STAGES
from scaseg_cli.stages.keys import is_as_written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaseg_cli.run_dir import RunDir

FOLDER = "kept"
_DIGITS = 16  # of a key, in a folder's name
# What an interrupted stage resumes from; folds have run folders in the stage's own.
_PROGRESS = ("progress*.pt", "shard-*.pt", "fold-*/**/progress*.pt", "fold-*/**/shard-*.pt", "fold-*/**/record.json")
_TRIFLES = {BEGUN, "workers.log"}  # files that hold no work


@dataclass(frozen=True)
class Kept:
    """A result that is kept.

    Attributes:
        stage: the stage.
        folder: where it is.
        key: the stage's key; of a damaged one, how it begins.
        record: the record of a finished one; None: the stage was interrupted, or the record is damaged.
        recipe: the recipe's values that the key has, by section; None: not known.
        damage: what is wrong with its record; None: nothing.
    """

    stage: str
    folder: Path
    key: str
    record: dict[str, Any] | None
    recipe: dict[str, Any] | None
    damage: str | None = None

    @property
    def state(self) -> str:
        """``finished``, ``unfinished`` or ``damaged``."""
        if self.damage is not None:
            return "damaged"
        return "finished" if self.record is not None else "unfinished"

    @property
    def is_whole(self) -> bool:
        """Whether it is finished and its files are unchanged."""
        if self.record is None:
            return False
        outputs = {Path(name): output for name, output in self.record["outputs"].items()}
        return all(
            path.is_relative_to(self.stage) and is_as_written(self.folder / path.relative_to(self.stage), output)
            for path, output in outputs.items()
        )

    @property
    def num_bytes(self) -> int:
        """The size of its files."""
        return sum(path.lstat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def modified(self) -> float:
        """When it was finished or, unfinished, last saved; seconds since the epoch."""
        files = [self.folder / name for name in ("record.json", BEGUN)]
        times = [path.stat().st_mtime for path in (files[:1] if files[0].is_file() else self.folder.iterdir())]
        return max(times, default=self.folder.stat().st_mtime)


def place_of(run: RunDir, stage: str, key: str) -> Path:
    """The folder in which a result with ``key`` is kept."""
    return run.path / FOLDER / stage / key[:_DIGITS]


def find_kept(run: RunDir, stage: str, key: str) -> Kept | None:
    """The kept result with ``key``, finished or not, or None."""
    folder = place_of(run, stage, key)
    found = _read(run, stage, folder) if folder.is_dir() else None
    return found if found is not None and found.key == key else None


def all_kept(run: RunDir) -> list[Kept]:
    """All results that a run folder keeps, in the order of the stages, the oldest first."""
    found = []
    for stage in STAGES:
        folders = _folders(run.path / FOLDER / stage)
        found += sorted((_read(run, stage, folder) for folder in folders), key=lambda kept: (kept.modified, kept.key))
    return found


def _folders(place: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        yield from (path for path in place.iterdir() if path.is_dir() and not path.is_symlink())


def _read(run: RunDir, stage: str, folder: Path) -> Kept:
    try:
        record = run.record_in(folder, stage)
        if record is not None:
            return Kept(stage, folder, record["key"], record, record.get("recipe"))
        begun = _begun(folder)
    except ScasegError as error:
        return Kept(stage, folder, folder.name, None, None, error.message)
    if begun is None:
        return Kept(stage, folder, folder.name, None, None, f"{folder} does not say what it is")
    return Kept(stage, folder, begun["key"], None, begun["recipe"])


def _begun(folder: Path) -> Begun | None:
    path = folder / BEGUN
    if not path.is_file():
        return None
    return read_own_json(path, "the note of a stage's begin", Begun, "Delete it.")


def key_in_place(run: RunDir, stage: str) -> str | None:
    """The key of what is in the folder of ``stage``, finished or not; None: nothing, or nobody knows.

    Raises:
        ScasegError: its record is damaged.
    """
    record = run.record(stage)
    if record is not None:
        return str(record["key"])
    begun = _begun(run.path / stage)
    return begun["key"] if begun is not None else None


def make_place(run: RunDir, stage: str, key: str) -> Path | None:
    """Make the folder of ``stage`` the place of ``key``: move another result aside, and put back what is kept of this.

    What has no known key stays, since it may be progress that an older version left.

    Returns:
        Where the other result is now; None: there was none.

    Raises:
        ScasegError: a folder cannot be moved or is a link, or a record is damaged.
    """
    run.check_links(stage)
    current = key_in_place(run, stage)
    if current == key:
        return None
    kept = find_kept(run, stage, key)
    with _moving(run):
        aside = _set_aside(run, stage, current) if current is not None else None
        if kept is not None and not _holds_work(run.path / stage):
            shutil.rmtree(run.path / stage, ignore_errors=True)
            os.rename(kept.folder, run.path / stage)
            _remove_if_empty(kept.folder.parent)
    return aside


def undo(run: RunDir, stage: str, aside: Path) -> None:
    """Put back what `make_place` moved aside, and keep the progress that the failed stage has saved since."""
    folder = run.path / stage
    with _moving(run):
        key = key_in_place(run, stage)
        if key is not None and any(any(folder.glob(pattern)) for pattern in _PROGRESS):
            _set_aside(run, stage, key)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        os.rename(aside, folder)
        _remove_if_empty(aside.parent)


def _set_aside(run: RunDir, stage: str, key: str) -> Path | None:
    """Move the folder of ``stage``; one that holds no work is removed."""
    folder, place = run.path / stage, place_of(run, stage, key)
    if not _holds_work(folder):
        shutil.rmtree(folder)
        return None
    for part in (FOLDER, f"{FOLDER}/{stage}"):
        run.check_links(part)
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():  # the same result twice: the finished one is kept
        worse = folder if run.record(stage) is None and run.record_in(place, stage) is not None else place
        shutil.rmtree(worse)
        if worse == folder:
            return None
    os.rename(folder, place)
    return place


def _holds_work(folder: Path) -> bool:
    return folder.is_dir() and any(path.name not in _TRIFLES for path in folder.iterdir())


def _remove_if_empty(folder: Path) -> None:
    for place in (folder, folder.parent):
        with contextlib.suppress(OSError):  # others are kept there
            place.rmdir()


@contextlib.contextmanager
def _moving(run: RunDir) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ScasegError(
            f"a result in {run.path} cannot be moved: {error.strerror}: {error.filename}",
            "Check the permissions of the run folder, or choose another with --work-dir.",
        ) from error
