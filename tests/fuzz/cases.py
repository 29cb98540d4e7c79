"""What a case of the fuzzing may do: succeed, or end as a user's mistake, within bounds."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import tempfile
from collections import Counter
from typing import TYPE_CHECKING, Any

import hypothesis
from hypothesis import HealthCheck, Phase, configuration

from scaseg_cli.errors import ScasegError, explained
from scaseg_cli.results.console import silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS = ("annotations", "predictions", "PNG", "recipes", "--set", "run folders", "weights")
COUNTS: Counter[str] = Counter()
_ALL = int(os.environ.get("SCASEG_FUZZ_CASES", "0"))
_FEW = 12  # cases of each kind in `make test`
_CPU = 5  # seconds of a case: a guard against cases without end, not a bound on speed
_MEMORY = 2 * 2**30  # bytes that a case may add
_LONGEST = 20_000  # characters of an error

configuration.set_hypothesis_home_dir(tempfile.gettempdir() + f"/scaseg-fuzz-{os.getuid()}")  # not in the checkout


def cases(share: int = 1) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """How often a test runs; ``share`` tests divide the cases of their kind."""
    number = -(-_ALL // len(KINDS) // share) if _ALL else -(-_FEW // share)
    return hypothesis.settings(
        max_examples=number,
        database=None,
        deadline=None,
        derandomize=not _ALL,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=bool(_ALL),
    )


class EndlessError(BaseException):
    """A case used up its CPU time. Not an `Exception`, so that no handler takes it for a damaged file."""


def assert_succeeds_or_explains(kind: str, work: Callable[[], Any]) -> None:
    """Run one case: ``work`` may succeed, or raise a `ScasegError` or a system error that the command line explains."""
    COUNTS[kind] += 1
    with _bounded(), silent():
        try:
            work()
        except MemoryError:
            raise
        except Exception as error:
            if (told := explained(error)) is None:
                raise
            if len(str(told)) > _LONGEST or not isinstance(error, ScasegError | OSError):
                raise


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_used() + _MEMORY, hard))
    before = signal.signal(signal.SIGPROF, _end)
    signal.setitimer(signal.ITIMER_PROF, _CPU if _ALL else 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _used() -> int:
    """Bytes of data of this process, as RLIMIT_DATA counts them."""
    with open("/proc/self/status", encoding="ascii") as file:
        (line,) = (line for line in file if line.startswith("VmData:"))
    return 1024 * int(line.split()[1])


def _end(*_: object) -> None:
    raise EndlessError(f"more than {_CPU} s of CPU")
