"""Starts the processes of a distributed training with torch.distributed.run, speaks for them, and ends them all.

torch.distributed.run puts `[default0]:` before each line of worker 0. What the first worker says is passed on, a user's
mistake that any worker meets becomes this process's error, and all that the workers and the launcher said is kept in
a file, so that nobody has to read a launcher's traceback.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import save_recipe
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.results.console import say_plainly
from scaseg_cli.run_dir import RunDir

WORKER = "scaseg_cli.base.worker"
_MARK = "scaseg-error "
_LINE = re.compile(r"\[default(\d+)\]:(?:\[rank\d+\]: )?(.*)")
_ROOT_CAUSE = re.compile(r"Root Cause.*?rank +: (\d+).*?exitcode +: (-?\d+)", re.DOTALL)
_TRACEBACK = "Traceback (most recent call last):"
_GRACE = 15.0  # seconds that workers have to end by themselves
_PR_SET_PDEATHSIG = 1


def launch_workers(recipe: Recipe, run: RunDir, world_size: int, module: str = WORKER) -> None:
    """Run ``world_size`` workers with this recipe in this run folder, and wait until all have ended well.

    However this process leaves, by an error, Ctrl-C, SIGTERM or even SIGKILL, the workers end with it.

    Args:
        recipe: written to the run folder, from which the workers read it.
        run: the run folder.
        world_size: processes.
        module: what each runs; its one argument is the run folder.

    Raises:
        ScasegError: a worker's own mistake (`tell_error`), or that one failed otherwise.
    """
    save_recipe(recipe, run.recipe_file)
    folder = run.folder("base") / "workers"
    shutil.rmtree(folder, ignore_errors=True)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={world_size}",
        "--tee=3", f"--log-dir={folder}", "-m", module, str(run.path),
    ]  # fmt: skip
    listener = Listener(run.path / "base" / "workers.log")
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={"OMP_NUM_THREADS": str(recipe.threads or 1), "PYTHONUNBUFFERED": "1", **os.environ},
        start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the others in order
        preexec_fn=end_with_parent,
    )
    try:
        assert process.stdout is not None
        with open(listener.log_file, "w", encoding="utf-8") as log:
            for line in process.stdout:
                log.write(line)
                listener.hear(line.rstrip("\n"))
        code = process.wait()
    finally:
        _end(process)
        shutil.rmtree(folder, ignore_errors=True)
    if code != 0:
        raise listener.error(code)


class Listener:
    """Sorts the launcher's output by who said it."""

    def __init__(self, log_file: Path) -> None:
        self.log_file = log_file
        self.mistake: ScasegError | None = None
        self.tails: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=200))  # by rank, or "launcher"

    def hear(self, line: str) -> None:
        """Take in one line; pass it on if the first worker said it."""
        found = _LINE.match(line)
        rank, text = found.groups() if found else ("launcher", line)
        if text.startswith(_MARK):
            told = json.loads(text.removeprefix(_MARK))
            self.mistake = self.mistake or ScasegError(told["message"], told["hint"])
            return
        self.tails[rank].append(text)
        if text and rank == "0" and self.mistake is None and _TRACEBACK not in self.tails[rank]:
            say_plainly(text)

    def error(self, code: int) -> ScasegError:
        """Why the launcher ended with ``code``: a worker's mistake, or what the launcher holds for the root cause."""
        if self.mistake is not None:
            return self.mistake
        whole = f"All that the processes said is in {self.log_file}. The same command goes on from the last checkpoint."
        found = _ROOT_CAUSE.search("\n".join(self.tails["launcher"]))
        if found is None:
            return ScasegError(f"the training processes ended with exit code {code}", whole)
        rank, code = found[1], int(found[2])
        if code == -signal.SIGKILL:
            return ScasegError(f"training process {rank} was killed: the memory may be short", whole)
        if code < 0:
            return ScasegError(f"training process {rank} was ended by {signal.Signals(-code).name}", whole)
        cause = next(_causes(self.tails[rank]), f"exit code {code}")
        return ScasegError(f"training process {rank} failed: {cause}", whole)


def tell_error(error: ScasegError) -> None:
    """In a worker: hand a user's mistake to the process that launched it. The worker then ends with exit code 2."""
    value = {"message": error.message, "hint": error.hint}
    print(f"\n{_MARK}{json.dumps(value)}", file=sys.stderr, flush=True)


def end_with_parent() -> None:
    """Ask the system to send this process SIGTERM when its parent has ended, even by SIGKILL. Linux alone has this."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _causes(tail: Iterable[str]) -> Iterator[str]:
    """The last line of each traceback: the first after its head that is not indented."""
    within = False
    for line in tail:
        if line == _TRACEBACK:
            within = True
        elif within and line and not line[0].isspace():
            within = False
            yield line


def _end(process: subprocess.Popen[str]) -> None:
    """End the launcher and its workers: asked first, then forced."""
    if process.poll() is None:
        process.terminate()  # the launcher passes it on to the workers, and waits for them
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
