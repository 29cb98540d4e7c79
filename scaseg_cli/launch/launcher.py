"""Starts the workers of one machine: imports once what they need, then forks them.

The agent of torch.distributed.run connects the machines, passes the workers' lines on, and ends all workers when one
fails. Started by it as programs, n workers would import PyTorch and MMDetection n times, which takes longer than some
stages, and reads thousands of files from what is often a shared file system.

Forked processes can use CUDA only if the launcher has not. It imports, and computes nothing; `processes` makes PyTorch
look for GPUs through NVML, which leaves CUDA alone.
"""

from __future__ import annotations

import importlib
import signal
import sys
import time
import traceback

import torch
from torch.distributed.launcher.api import elastic_launch
from torch.distributed.run import config_from_args, parse_args

from scaseg_cli.launch import worker

# Seconds before a failed process ends. When one is killed, the others fail at once, since it no longer answers. The
# agent names the process that it finds first as the cause, which is to be the killed one.
_BETWEEN = 1.0


def main(recipe_file: str, folder: str, target: str, modules: str, *options: str) -> None:
    """Fork the workers and wait for them.

    Args:
        recipe_file: the recipe of the workers.
        folder: the run folder.
        target: ``package.module:function``, which each worker calls.
        modules: names of modules to import first, separated by commas.
        options: options of torch.distributed.run.

    Raises:
        ChildFailedError: a worker failed; its text names the first one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a thread pool would not survive the fork
    for name in filter(None, (target.partition(":")[0], *modules.split(","))):
        importlib.import_module(name)
    config, _, _ = config_from_args(parse_args([*options, "--start-method=fork", worker.__name__]))
    elastic_launch(config, work)(threads, recipe_file, folder, target)


def work(threads: int, recipe_file: str, folder: str, target: str) -> None:
    """Be a worker; ends with the exit code of a command, and prints what a command would print."""
    for name in ("SIGTERM", "SIGHUP", "SIGQUIT"):  # the agent's handlers are not for its workers
        signal.signal(signal.Signals[name], signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(threads)
    try:
        code = worker.main(recipe_file, folder, target)
    except Exception:
        traceback.print_exc()
        code = 1
        time.sleep(_BETWEEN)
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
