"""Starts worker processes through `launcher`, prints for them, and ends them all.

The first worker's output is printed, a user's mistake in any worker becomes this process's error, and the complete
output of the workers and the launcher goes to a file, so that users need not read a launcher's traceback.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from scaseg_cli.files import own_file, write_text
from scaseg_cli.launch.listener import Listener, WorkersFailed
from scaseg_cli.launch.meeting import first_node
from scaseg_cli.launch.messages import Task
from scaseg_cli.launch.nodes import this_node
from scaseg_cli.recipe import load_recipe, recipe_text
from scaseg_cli.results.console import say
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from scaseg_cli.errors import ScasegError
    from scaseg_cli.launch.first_node import FirstNode
    from scaseg_cli.launch.other_node import OtherNode
    from scaseg_cli.recipe.schema import Recipe

_LAUNCHER = "scaseg_cli.launch.launcher"
_MARK = "SCASEG_WORKER"  # some clusters set RANK and similar variables for every process
# NVML tells how many GPUs there are without starting CUDA, which would be unusable in forked workers.
_ALWAYS = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
_GRACE = 15.0  # seconds in which workers can end by themselves
_LOOK_EVERY, _PATIENCE = 0.5, 4.0  # seconds between looks at the other nodes, and for what they may still say
_PR_SET_PDEATHSIG = 1


def in_worker() -> bool:
    """Whether `launch_workers` started this process."""
    return _MARK in os.environ


def own_part() -> tuple[int, int]:
    """The rank of this worker among those of all nodes, and their number, where each node launched as many."""
    node, nodes = map(int, os.environ[_MARK].split("/"))
    local, on_node = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    return node * on_node + local, nodes * on_node


def num_nodes() -> int:
    """The number of machines that share the work of this command, also in its workers."""
    return int(os.environ[_MARK].split("/")[1]) if in_worker() else this_node().count


def launch_workers(
    recipe: Recipe,
    run: RunDir,
    processes: int,
    target: str,
    stage: str,
    modules: Sequence[str] = (),
    joined: bool = False,
) -> None:
    """Run ``target`` in ``processes`` processes on every node, and wait until all have succeeded.

    Node 0 calls this function, and the other nodes do the same in `help_first_node`. When this process ends, by an
    error, Ctrl-C, SIGTERM or even SIGKILL, the workers end too.

    Args:
        recipe: the recipe of the workers.
        run: the run folder.
        processes: number of processes on each node.
        target: ``package.module:function``; each worker calls it with the recipe and the run folder.
        stage: the stage in whose folder workers.log is written. Other nodes than node 0 have theirs in the run folder.
        modules: names of modules that the workers need besides the target's; imported once for all of them.
        joined: whether the workers of all nodes speak to each other, in one world of torch.distributed
            (`base.device.join_world`). Otherwise each does the part that `own_part` names.

    Raises:
        ScasegError: a worker sent an error (`tell_error`) or failed, or another node did.
    """
    first = first_node()
    task = Task(
        recipe=recipe_text(recipe),
        folder=os.path.relpath(run.path, first.folder) if first is not None else "",
        processes=processes,
        target=target,
        stage=stage,
        modules=list(modules),
        address=first.free_address() if first is not None and joined else "",
    )
    if first is None:
        _work(task, run, None)
        return
    first.call(task)
    _work(task, run, first)
    first.wait_for_parts()


def help_first_node(other: OtherNode, folder: Path) -> list[dict[str, Any]]:
    """Take part in all tasks of node 0 until its command ends; returns their stages, run folders and seconds.

    Args:
        other: this node's side of the meeting.
        folder: the run folder of the command.

    Raises:
        ScasegError: a worker or node 0 failed.
    """
    helped = []
    while (task := other.next_task()) is not None:
        run, started = RunDir(folder / task["folder"]), time.monotonic()
        say(f"{task['stage']}: node {other.node.rank} takes part")
        _work(task, run, other)
        other.report_done()
        seconds = round(time.monotonic() - started, 2)
        helped.append({"stage": task["stage"], "folder": str(run.path), "ran": True, "seconds": seconds})
    return helped


def _work(task: Task, run: RunDir, others: FirstNode | OtherNode | None) -> None:
    """Do this node's part of ``task``: start its processes, and wait until they end, or until another node fails."""
    node, stage = this_node(), task["stage"]
    name = "workers" if node.rank == 0 else f"workers-node{node.rank}"
    place = run.folder(stage) if node.rank == 0 else run.path  # node 0 may yet move an older result of the stage aside
    folder = place / name
    shutil.rmtree(folder, ignore_errors=True)
    listener = Listener(stage, place / f"{name}.log", task["address"])
    process: subprocess.Popen[str] | None = None
    try:
        write_text(folder / "recipe.yaml", task["recipe"])
        work = [str(folder / "recipe.yaml"), str(run.path), task["target"], ",".join(task["modules"])]
        command = [sys.executable, "-m", _LAUNCHER, *work, *_options(folder, task)]
        process = _start(command, load_recipe(work[0]).threads or 1)
        with _watched(process, others) as trouble:
            _listen(process, listener)
            code = process.wait()
    finally:
        listener.close()
        if process is not None:
            _end(process)
        shutil.rmtree(folder, ignore_errors=True)
    if listener.mistake is None and trouble:
        raise trouble[0]
    if code != 0:
        error = listener.error(code)
        raise _cause_elsewhere(others) or error if isinstance(error, WorkersFailed) and not error.is_cause else error


@contextlib.contextmanager
def _watched(process: subprocess.Popen[str], others: FirstNode | OtherNode | None) -> Iterator[list[ScasegError]]:
    """Terminate ``process`` if another node ends while the block runs; the list then has the reason."""
    found: list[ScasegError] = []
    is_over = threading.Event()

    def watch() -> None:
        while others is not None and not found and not is_over.wait(_LOOK_EVERY):
            trouble = others.trouble()
            # Processes that joined those of the other node fail too, at once, and may have been the cause.
            if trouble is not None and not is_over.wait(_PATIENCE):
                found.append(trouble)
                process.terminate()

    thread = threading.Thread(target=watch, name="scaseg-other-nodes", daemon=True)
    if others is not None:
        thread.start()
    try:
        yield found
    finally:
        is_over.set()
        if others is not None:
            thread.join()


def _cause_elsewhere(others: FirstNode | OtherNode | None) -> ScasegError | None:
    """What happened on another node, of which a failure here may be the consequence."""
    latest = time.monotonic() + _PATIENCE
    while others is not None and time.monotonic() < latest:
        trouble = others.trouble(only_causes=True)
        if trouble is not None:
            return trouble
        time.sleep(_LOOK_EVERY)
    return None


def _options(folder: Path, task: Task) -> list[str]:
    """The options of torch.distributed.run. Its static rendezvous keeps the given ranks of the nodes."""
    node = this_node()
    if not task["address"]:
        # what --standalone means to torch.distributed.run's command: any free port, and a name of its own
        where = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", f"--rdzv-id={uuid.uuid4()}"]
    else:
        where = [f"--nnodes={node.count}", f"--node-rank={node.rank}", "--rdzv-backend=static"]
        where += [f"--rdzv-endpoint={task['address']}", f"--rdzv-conf=timeout={node.timeout}"]
    return [*where, f"--nproc-per-node={task['processes']}", "--tee=3", f"--log-dir={folder}"]


def _start(command: list[str], threads: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1", **os.environ, **_ALWAYS, _MARK: _mark()},
        start_new_session=True,  # Ctrl-C reaches only this process, which then ends the workers
        preexec_fn=end_with_parent,
    )


def _mark() -> str:
    return f"{this_node().rank}/{this_node().count}"


def _listen(process: subprocess.Popen[str], listener: Listener) -> None:
    """Process the launcher's output until it ends."""
    assert process.stdout is not None
    with open(listener.log_file, "w", encoding="utf-8", opener=own_file) as log:
        for line in process.stdout:
            if listener.hear(line.rstrip("\n")):
                log.write(line)


def end_with_parent() -> None:
    """Have Linux send this process SIGTERM when its parent ends, even by SIGKILL; no effect on other systems."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(process: subprocess.Popen[str]) -> None:
    """End the launcher and its workers with SIGTERM, then with SIGKILL."""
    if process.poll() is None:
        process.terminate()  # the launcher forwards it to the workers and waits for them
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
