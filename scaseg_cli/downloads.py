"""Fetching published weights: never a long wait for a network that is not there, and how a person fetches by hand."""

from __future__ import annotations

import shlex
import socket
import ssl
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_WITHIN = 5.0  # seconds for anything at all to answer
_STALLED_AFTER = 60.0  # seconds without a byte


def unreachable(address: str) -> str | None:
    """Why ``address`` does not answer, or None where anything at all answers there. Takes `ANSWER_WITHIN` at most."""
    found: list[str | None] = [f"no answer within {ANSWER_WITHIN:.0f} s"]
    # A thread, since the look-up of a name has no time limit of its own.
    asking = threading.Thread(target=lambda: found.append(_refusal(address)), daemon=True)
    asking.start()
    asking.join(ANSWER_WITHIN)
    return found[-1]


def _refusal(address: str) -> str | None:
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=ANSWER_WITHIN).close()
    except urllib.error.HTTPError:
        return None
    except urllib.error.URLError as error:
        return None if isinstance(error.reason, ssl.SSLError) else str(error.reason)
    except (OSError, ValueError) as error:
        return str(error)
    return None


@contextmanager
def limited_waits() -> Iterator[None]:
    """While the block runs, a download that stalls fails after a minute, whatever library it is made with."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_STALLED_AFTER)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def by_hand(url: str, place: Path) -> str:
    """The shell command that puts what is at ``url`` at ``place``, named from the home folder where it lies there."""
    try:
        target = "~/" + shlex.quote(str(place.relative_to(Path.home())))
    except (ValueError, RuntimeError):  # elsewhere, or nobody's home
        target = shlex.quote(str(place))
    return f"curl -fL --create-dirs -o {target} {shlex.quote(url)}"
