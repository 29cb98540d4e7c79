"""Downloading published weights: short waits where there is no network, and the command for a manual download."""

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

ANSWER_WITHIN = 5.0  # seconds within which a server must answer
_STALLED_AFTER = 60.0  # seconds without a byte


def unreachable(address: str) -> str | None:
    """Return why ``address`` is unreachable, or None if a server answers. Takes at most `ANSWER_WITHIN` seconds."""
    found: list[str | None] = [f"no answer within {ANSWER_WITHIN:.0f} s"]
    # In a thread, since DNS lookups have no timeout of their own.
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
    """Make a stalled download fail after a minute while the block runs, whichever library downloads."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_STALLED_AFTER)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def by_hand(url: str, place: Path) -> str:
    """The shell command that downloads ``url`` to ``place``, with ~ for the home folder."""
    try:
        target = "~/" + shlex.quote(str(place.relative_to(Path.home())))
    except (ValueError, RuntimeError):  # outside the home folder, or there is none
        target = shlex.quote(str(place))
    return f"curl -fL --create-dirs -o {target} {shlex.quote(url)}"
