"""Messages from workers to the process that launched them: lines to print, progress, and causes of failure.

torch.distributed.run puts `[default0]:` before each line of the machine's first worker. A line that starts with one of
our marks contains a JSON value.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError
from scaseg_cli.launch.nodes import this_node
from scaseg_cli.results.console import Meter, Progress, say_plainly

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_ERROR, _PROGRESS = "scaseg-error ", "scaseg-progress "
_LINE = re.compile(r"\[default(\d+)\]:(?:\[rank\d+\]: )?(.*)")
_FAILED = re.compile(r"rank +: (\d+) \(local_rank: (\d+)\).*?exitcode +: (-?\d+)", re.DOTALL)
_JOINED = re.compile(r"Timed out after .*?(\d+)/(\d+) clients joined")
_TRACEBACK = "Traceback (most recent call last):"


def tell_error(error: ScasegError) -> None:
    """In a worker: send a user's mistake to the launching process. The worker then ends with exit code 2."""
    _tell(_ERROR, {"message": error.message, "hint": error.hint})


def tell_progress(progress: Progress) -> None:
    """In a worker: send its progress to the launching process."""
    _tell(_PROGRESS, progress)


def _tell(mark: str, value: object) -> None:
    sys.stderr.write(f"\n{mark}{json.dumps(value)}\n")
    sys.stderr.flush()


class WorkersFailed(ScasegError):
    """The workers of this machine failed.

    Args:
        message: what is known of it.
        hint: where to read more.
        is_cause: whether it is sure to be no consequence of what happened on another node.
    """

    def __init__(self, message: str, hint: str, is_cause: bool) -> None:
        super().__init__(message, hint)
        self.is_cause = is_cause


class Listener:
    """Sorts the launcher's output by worker.

    Args:
        stage: the stage that the workers run.
        log_file: the file with the complete output, named in errors.
        address: HOST:PORT at which the processes of several nodes join; empty: they do not.
    """

    def __init__(self, stage: str, log_file: Path, address: str = "") -> None:
        self.stage, self.log_file, self.address = stage, log_file, address
        self.mistake: ScasegError | None = None
        self.tails: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=200))  # by rank, or "launcher"
        self._progress: dict[str, Progress] = {}  # by rank
        self._meter: Meter | None = None

    def hear(self, line: str) -> bool:
        """Process one line, printing it if it is from the first worker; return whether it belongs in the log."""
        found = _LINE.match(line)
        rank, text = found.groups() if found else ("launcher", line)
        if text.startswith(_PROGRESS):
            self._show(rank, json.loads(text.removeprefix(_PROGRESS)))
            return False
        if text.startswith(_ERROR):
            sent = json.loads(text.removeprefix(_ERROR))
            self.mistake = self.mistake or ScasegError(sent["message"], sent["hint"])
            return True
        self.tails[rank].append(text)
        if text and rank == "0" and self.mistake is None and _TRACEBACK not in self.tails[rank]:
            say_plainly(text)
        return bool(text)

    def _show(self, rank: str, progress: Progress) -> None:
        """Show one bar with the summed progress of all workers that report it."""
        if progress["description"] not in {other["description"] for other in self._progress.values()}:
            self.close()
        self._progress[rank] = progress
        known = self._progress.values()
        total, completed = sum(p["total"] for p in known), sum(p["completed"] for p in known)
        if self._meter is None:
            unit, units, seconds = progress["unit"], progress["units_per_step"], progress["seconds"]
            self._meter = Meter(progress["description"], total, progress["begun"], unit, units, seconds)
        self._meter.follow(total, completed, progress["note"] if rank == min(self._progress) else "")

    def close(self) -> None:
        """Remove the progress bar."""
        if self._meter is not None:
            self._meter.close()
        self._meter, self._progress = None, {}

    def error(self, code: int) -> ScasegError:
        """The error for a launcher that ended with ``code``: a worker's mistake, or the launcher's root cause."""
        if self.mistake is not None:
            return self.mistake
        launcher = "\n".join(self.tails["launcher"])
        if self.address and (_JOINED.search(launcher) or "client socket has timed out" in launcher):
            return _not_joined(self.address)
        whole = f"See {self.log_file} for the complete output. The same command resumes from the last checkpoint."
        if self.address:
            whole += " See the other nodes' output too."
        failed = [(rank, local, int(its)) for rank, local, its in _FAILED.findall(launcher)]
        if not failed:
            return WorkersFailed(f"{self.stage}: the processes ended with exit code {code}", whole, is_cause=False)
        rank, local, code = failed[-1]  # the root cause; local is the rank on this machine, which lines have
        if code == -signal.SIGKILL:
            killed = f"{self.stage}: process {rank} was killed; it may have run out of memory"
            return WorkersFailed(killed, whole, is_cause=True)
        if code < 0:
            ended = f"{self.stage}: process {rank} was ended by {signal.Signals(-code).name}"
            return WorkersFailed(ended, whole, is_cause=True)
        cause = next(_causes(self.tails[local]), f"exit code {code}")
        return WorkersFailed(f"{self.stage}: process {rank} failed: {cause}", whole, is_cause=False)


def _not_joined(address: str) -> ScasegError:
    """The error if the processes of the nodes, whose commands speak to each other, could not join."""
    node = this_node()
    return ScasegError(
        f"the processes of {node.count} nodes did not join at {address} within {node.timeout} s",
        f"Let every node reach all ports of {node.host}: scaseg, NCCL and gloo choose free ones.",
    )


def _causes(tail: Iterable[str]) -> Iterator[str]:
    """The last line of each traceback: its first line without indentation."""
    within = False
    for line in tail:
        if line == _TRACEBACK:
            within = True
        elif within and line and not line[0].isspace():
            within = False
            yield line
