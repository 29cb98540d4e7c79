"""The same commands in one process, in two, and as two nodes on one machine: cost, and whether results are equal."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from scaling_world import World, changes_of, finish, write_world

from scaseg_cli.errors import ScasegError
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORLD = World(train=64, selection=64, validation=64)
WAYS = {"1 process": ["--processes", "1"], "2 processes": ["--processes", "2"], "2 nodes": ["--nodes", "2"]}
# Of each command: the stage before it, and the files that are compared.
COMMANDS = {
    "train-cat": ("base", ("queries/queries.safetensors", "cat/generator.safetensors")),
    "union-finetune": ("cat", ("union/choices.json", "union/best.safetensors")),
    "evaluate": ("union", ("evaluation/results.json", "evaluation/image-counts.npz")),
    "train-base": ("embeddings", ("base/base.safetensors",)),
}


def measure_ways(found: dict[str, Any], shared: Path, keep: Callable[[], None]) -> None:
    """Run what ``found`` lacks, by command and way; ``keep`` is called after each."""
    recipe = write_world(shared, WORLD)
    sets = [word for change in changes_of(shared, WORLD) for word in ("--set", change)]
    for command, (before, files) in COMMANDS.items():
        prepared = RunDir(shared / f"before-{command}")
        for way, options in WAYS.items():
            if way in found.setdefault(command, {}):
                continue
            if not prepared.path.exists():
                finish(recipe, prepared, WORLD, before)
            run = RunDir(shared / "run")
            shutil.rmtree(run.path, ignore_errors=True)
            shutil.copytree(prepared.path, run.path)
            words = [command, "--recipe", f"shapes-{WORLD.task}", *sets, "--work-dir", str(run.path), *options]
            found[command][way] = {**_ran(words, 2 if "--nodes" in options else 1), "result": _digest(run.path, files)}
            keep()
        shutil.rmtree(prepared.path, ignore_errors=True)


def _ran(words: list[str], nodes: int) -> dict[str, float]:
    """Run a command on all nodes; return the CPU seconds of all processes, and the seconds until the last has ended.

    Raises:
        ScasegError: one failed.
    """
    place = f"127.0.0.1:{_free_port()}"
    started, cpu = time.perf_counter(), sum(os.times()[2:4])
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "scaseg_cli", *words, *_as_node(rank, place, nodes)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for rank in range(nodes)
    ]
    said = [process.communicate()[1].decode(errors="replace") for process in processes]
    if any(process.returncode for process in processes):
        raise ScasegError(f"scaseg {words[0]} failed: {said}")
    return {"cpu_s": sum(os.times()[2:4]) - cpu, "seconds": time.perf_counter() - started}


def _as_node(rank: int, place: str, nodes: int) -> list[str]:
    return ["--node-rank", str(rank), "--rendezvous", place] if nodes > 1 else []


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _digest(run: Path, files: tuple[str, ...]) -> str:
    found = hashlib.sha256()
    for name in files:
        found.update((run / name).read_bytes())
    return found.hexdigest()[:16]
