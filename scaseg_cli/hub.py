"""Published weights: files of the hub's cache, and downloads that fail fast without a network."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg_cli.downloads import by_hand, limited_waits, unreachable
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def cached(repository: str, names: Sequence[str]) -> Path | None:
    """The first of these files of a repository that is in the hub's cache, or None; does not use the network."""
    from huggingface_hub import try_to_load_from_cache

    for name in names if repository else ():
        found = try_to_load_from_cache(repository, name)
        if isinstance(found, str):
            return Path(found)
    return None


def hub_by_hand(repository: str, name: str, place: Path) -> str:
    """The shell command that downloads a file of a repository to ``place``."""
    from huggingface_hub import hf_hub_url

    return by_hand(hf_hub_url(repository, name), place)


def fetched(repository: str, names: Sequence[str], what: str, hint: str) -> Path:
    """Download the first of these files that a repository has.

    Args:
        repository: its name on the hub.
        names: of the files.
        what: what is downloaded, in messages ("the weights ...").
        hint: of errors.

    Raises:
        ScasegError: the hub cannot be reached, or the download fails.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    with downloading(constants.ENDPOINT, what, hint):
        for name in names[:-1]:
            try:
                return Path(hf_hub_download(repository, name))
            except EntryNotFoundError:
                continue
        return Path(hf_hub_download(repository, names[-1]))


@contextmanager
def downloading(address: str, what: str, hint: str, place: Path | None = None) -> Iterator[None]:
    """Around a download: says what it is, and turns every failure into an error with ``hint``.

    Clients of their own retry for most of a minute before they report a missing network; this asks first.

    Args:
        address: what is asked first.
        what: what is downloaded, in the plural.
        hint: of errors.
        place: where it was looked for, if that is one path.

    Raises:
        ScasegError: ``address`` cannot be reached, or the download fails.
    """
    looked = f" ({place})" if place is not None else ""
    problem = f"{what} are not on this machine{looked}, and"
    if (reason := unreachable(address)) is not None:
        raise ScasegError(f"{problem} {address} cannot be reached: {reason}", hint)
    say(f"downloading {what}")
    try:
        with limited_waits():
            yield
    except Exception as error:  # the hub client's exception types differ between versions
        raise ScasegError(f"{problem} downloading them failed: {error}", hint) from error
