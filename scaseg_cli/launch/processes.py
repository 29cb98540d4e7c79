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
import uuid
from typing import TYPE_CHECKING

from scaseg_cli.files import own_file
from scaseg_cli.launch.listener import Listener
from scaseg_cli.launch.nodes import this_node
from scaseg_cli.recipe import save_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_LAUNCHER = "scaseg_cli.launch.launcher"
_MARK = "SCASEG_WORKER"  # some clusters set RANK and similar variables for every process
# NVML tells how many GPUs there are without starting CUDA, which would be unusable in forked workers.
_ALWAYS = {_MARK: "1", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
_GRACE = 15.0  # seconds in which workers can end by themselves
_PR_SET_PDEATHSIG = 1


def in_worker() -> bool:
    """Whether `launch_workers` started this process."""
    return _MARK in os.environ


def launch_workers(
    recipe: Recipe, run: RunDir, world_size: int, target: str, stage: str, modules: Sequence[str] = (), nodes: int = 1
) -> None:
    """Run ``target`` in ``world_size`` processes, and wait until all have succeeded.

    Each process gets its rank from `base.device.join_world`, which joins the others. When this process ends, by an
    error, Ctrl-C, SIGTERM or even SIGKILL, the workers end too.

    Args:
        recipe: the recipe of the workers.
        run: the run folder.
        world_size: number of processes on all nodes.
        target: ``package.module:function``; each worker calls it with the recipe and the run folder.
        stage: the stage in whose folder workers.log is written. Other nodes than node 0 have theirs in the run folder.
        modules: names of modules that the workers need besides the target's; imported once for all of them.
        nodes: number of machines, each of which calls this function; `this_node` has its rank.

    Raises:
        ScasegError: a worker sent an error (`tell_error`) or failed, or a node did not connect.
    """
    node = this_node()
    name = "workers" if node.rank == 0 else f"workers-node{node.rank}"
    place = run.folder(stage) if node.rank == 0 else run.path  # node 0 may yet move an older result of the stage aside
    folder = place / name
    shutil.rmtree(folder, ignore_errors=True)
    listener = Listener(stage, place / f"{name}.log")
    process: subprocess.Popen[str] | None = None
    try:
        save_recipe(recipe, folder / "recipe.yaml")
        work = [str(folder / "recipe.yaml"), str(run.path), target, ",".join(modules)]
        command = [sys.executable, "-m", _LAUNCHER, *work, *_options(folder, world_size, nodes)]
        process = _start(command, recipe.threads or 1)
        _listen(process, listener)
        code = process.wait()
    finally:
        listener.close()
        if process is not None:
            _end(process)
        shutil.rmtree(folder, ignore_errors=True)
    if code != 0:
        raise listener.error(code)


def _options(folder: Path, world_size: int, nodes: int) -> list[str]:
    """The options of torch.distributed.run. Its static rendezvous keeps the given ranks of the nodes."""
    node = this_node()
    if nodes == 1:
        # what --standalone means to torch.distributed.run's command: any free port, and a name of its own
        where = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", f"--rdzv-id={uuid.uuid4()}"]
    else:
        where = [f"--nnodes={nodes}", f"--node-rank={node.rank}", "--rdzv-backend=static"]
        where += [f"--rdzv-endpoint={node.rendezvous}", f"--rdzv-conf=timeout={node.timeout}"]
    return [*where, f"--nproc-per-node={world_size // nodes}", "--tee=3", f"--log-dir={folder}"]


def _start(command: list[str], threads: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1", **os.environ, **_ALWAYS},
        start_new_session=True,  # Ctrl-C reaches only this process, which then ends the workers
        preexec_fn=end_with_parent,
    )


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
