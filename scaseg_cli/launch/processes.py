"""Starts the processes of one piece of work with torch.distributed.run, speaks for them, and ends them all.

What the first worker says is passed on, a user's mistake that any worker meets becomes this process's error, and all
that the workers and the launcher said is kept in a file, so that nobody has to read a launcher's traceback.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from scaseg_cli.launch.listener import Listener
from scaseg_cli.launch.nodes import this_node
from scaseg_cli.recipe import save_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_WORKER = "scaseg_cli.launch.worker"
_MARK = "SCASEG_WORKER"  # RANK and its like are set by some clusters for every process
_GRACE = 15.0  # seconds that workers have to end by themselves
_PR_SET_PDEATHSIG = 1


def in_worker() -> bool:
    """Whether `launch_workers` started this process."""
    return _MARK in os.environ


def launch_workers(recipe: Recipe, run: RunDir, world_size: int, target: str, stage: str, nodes: int = 1) -> None:
    """Carry out ``target`` in ``world_size`` processes, and wait until all have ended well.

    In each, `base.device.join_world` gives its rank and joins the others. However this process leaves, by an error,
    Ctrl-C, SIGTERM or even SIGKILL, the workers end with it.

    Args:
        recipe: handed to the workers as it is.
        run: the run folder.
        world_size: processes, those of all nodes together.
        target: ``package.module:function``; each worker calls it with the recipe and the run folder.
        stage: in whose folder workers.log is kept.
        nodes: machines that each call this, `this_node` saying which one it is.

    Raises:
        ScasegError: a worker's own mistake (`tell_error`), that one failed otherwise, or that a node did not come.
    """
    node = this_node()
    name = "workers" if node.rank == 0 else f"workers-node{node.rank}"
    folder = run.folder(stage) / name
    shutil.rmtree(folder, ignore_errors=True)
    listener = Listener(stage, run.path / stage / f"{name}.log")
    process: subprocess.Popen[str] | None = None
    try:
        save_recipe(recipe, folder / "recipe.yaml")
        work = ["-m", _WORKER, str(folder / "recipe.yaml"), str(run.path), target]
        process = _start([*_launcher(folder, world_size, nodes), *work], recipe.threads or 1)
        _listen(process, listener)
        code = process.wait()
    finally:
        listener.close()
        if process is not None:
            _end(process)
        shutil.rmtree(folder, ignore_errors=True)
    if code != 0:
        raise listener.error(code)


def _launcher(folder: Path, world_size: int, nodes: int) -> list[str]:
    """torch.distributed.run's command. Its static rendezvous gives each node the rank that it was told."""
    node = this_node()
    if nodes == 1:
        where = ["--standalone"]
    else:
        where = [f"--nnodes={nodes}", f"--node-rank={node.rank}", "--rdzv-backend=static"]
        where += [f"--rdzv-endpoint={node.rendezvous}", f"--rdzv-conf=timeout={node.timeout}"]
    each = f"--nproc-per-node={world_size // nodes}"
    return [sys.executable, "-m", "torch.distributed.run", *where, each, "--tee=3", f"--log-dir={folder}"]


def _start(command: list[str], threads: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1", **os.environ, _MARK: "1"},
        start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the others in order
        preexec_fn=end_with_parent,
    )


def _listen(process: subprocess.Popen[str], listener: Listener) -> None:
    """Hear the launcher to its end."""
    assert process.stdout is not None
    with open(listener.log_file, "w", encoding="utf-8") as log:
        for line in process.stdout:
            if listener.hear(line.rstrip("\n")):
                log.write(line)


def end_with_parent() -> None:
    """Ask the system to send this process SIGTERM when its parent has ended, even by SIGKILL. Linux alone has this."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


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
