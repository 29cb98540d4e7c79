"""What workers tell the process that launched them: lines to pass on, progress, and the reason why they failed.

torch.distributed.run puts `[default0]:` before each line of the machine's first worker. A line with a mark of ours
carries a value as JSON.
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
_ROOT_CAUSE = re.compile(r"Root Cause.*?rank +: (\d+) \(local_rank: (\d+)\).*?exitcode +: (-?\d+)", re.DOTALL)
_JOINED = re.compile(r"Timed out after .*?(\d+)/(\d+) clients joined")
_TRACEBACK = "Traceback (most recent call last):"


def tell_error(error: ScasegError) -> None:
    """In a worker: hand a user's mistake to the process that launched it. The worker then ends with exit code 2."""
    _tell(_ERROR, {"message": error.message, "hint": error.hint})


def tell_progress(progress: Progress) -> None:
    """In a worker: hand on how far it is."""
    _tell(_PROGRESS, progress)


def _tell(mark: str, value: object) -> None:
    sys.stderr.write(f"\n{mark}{json.dumps(value)}\n")
    sys.stderr.flush()


class Listener:
    """Sorts the launcher's output by who said it.

    Args:
        stage: what the workers work on.
        log_file: where all that they say is kept, for the errors to name.
    """

    def __init__(self, stage: str, log_file: Path) -> None:
        self.stage, self.log_file = stage, log_file
        self.mistake: ScasegError | None = None
        self.tails: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=200))  # by rank, or "launcher"
        self._progress: dict[str, Progress] = {}  # by rank
        self._meter: Meter | None = None

    def hear(self, line: str) -> bool:
        """Take in one line; pass it on if the first worker said it. Whether it belongs into the log."""
        found = _LINE.match(line)
        rank, text = found.groups() if found else ("launcher", line)
        if text.startswith(_PROGRESS):
            self._show(rank, json.loads(text.removeprefix(_PROGRESS)))
            return False
        if text.startswith(_ERROR):
            told = json.loads(text.removeprefix(_ERROR))
            self.mistake = self.mistake or ScasegError(told["message"], told["hint"])
            return True
        self.tails[rank].append(text)
        if text and rank == "0" and self.mistake is None and _TRACEBACK not in self.tails[rank]:
            say_plainly(text)
        return bool(text)

    def _show(self, rank: str, progress: Progress) -> None:
        """One bar for all workers that tell: what they have done and what there is to do, added up."""
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
        """The bar goes."""
        if self._meter is not None:
            self._meter.close()
        self._meter, self._progress = None, {}

    def error(self, code: int) -> ScasegError:
        """Why the launcher ended with ``code``: a worker's mistake, or what the launcher holds for the root cause."""
        if self.mistake is not None:
            return self.mistake
        launcher = "\n".join(self.tails["launcher"])
        missing = _missing_node(launcher)
        if missing is not None:
            return missing
        whole = f"All that the processes said is in {self.log_file}. The same command goes on from what is saved."
        if this_node().rendezvous:
            whole += " The other nodes may say more."
        found = _ROOT_CAUSE.search(launcher)
        if found is None:
            return ScasegError(f"{self.stage}: the processes ended with exit code {code}", whole)
        rank, local, code = found[1], found[2], int(found[3])  # lines bear the rank on this machine
        if code == -signal.SIGKILL:
            return ScasegError(f"{self.stage}: process {rank} was killed: the memory may be short", whole)
        if code < 0:
            return ScasegError(f"{self.stage}: process {rank} was ended by {signal.Signals(-code).name}", whole)
        cause = next(_causes(self.tails[local]), f"exit code {code}")
        return ScasegError(f"{self.stage}: process {rank} failed: {cause}", whole)


def _missing_node(launcher: str) -> ScasegError | None:
    """The error where nodes did not find each other, by what the launcher said."""
    node = this_node()
    if not node.rendezvous:
        return None
    host, _, port = node.rendezvous.rpartition(":")
    joined = _JOINED.search(launcher)
    if joined is not None:
        return ScasegError(
            f"{joined[1]} of {joined[2]} nodes came to {node.rendezvous} within {node.timeout} s",
            f"Start the same command on the others too, with --node-rank 1 and so on; they must reach port {port} of "
            "this machine. --timeout lets the nodes wait longer.",
        )
    if "client socket has timed out" in launcher:
        return ScasegError(
            f"nobody answered at {node.rendezvous} within {node.timeout} s",
            f"Start node 0 on {host} with the same --rendezvous, or mend the address: this machine must reach it. "
            "--timeout lets the nodes wait longer.",
        )
    if "EADDRINUSE" in launcher:
        return ScasegError(f"port {port} is in use on this machine", "Choose another in --rendezvous, on all nodes.")
    return None


def _causes(tail: Iterable[str]) -> Iterator[str]:
    """The last line of each traceback: the first after its head that is not indented."""
    within = False
    for line in tail:
        if line == _TRACEBACK:
            within = True
        elif within and line and not line[0].isspace():
            within = False
            yield line
