"""Chooses where a run computes: device, CPU threads, and processes of a distributed run."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch

from scaseg_cli.errors import DOCTOR, ScasegError
from scaseg_cli.launch import in_worker, num_nodes, own_part

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe


@dataclass(frozen=True)
class World:
    """This process's device and rank among the processes of the run."""

    device: torch.device
    rank: int = 0
    size: int = 1


def world_size(recipe: Recipe) -> int:
    """Number of processes per node of a parallel stage: one per GPU, or ``processes`` on the CPU."""
    return max(1, recipe.gpus) if recipe.gpus else recipe.processes


def num_processes(recipe: Recipe) -> int:
    """Number of processes of a parallel stage on all nodes of this command."""
    return world_size(recipe) * num_nodes()


def check_devices(recipe: Recipe) -> None:
    """Check that the machine has the CUDA devices that ``recipe`` requests.

    Raises:
        ScasegError: it has fewer.
    """
    available = torch.cuda.device_count()
    if recipe.gpus > available:
        raise ScasegError(
            f"this machine has {available} CUDA device{'' if available == 1 else 's'}, {recipe.gpus} were requested",
            f"Use --gpus 0 to run on the CPU. {DOCTOR}",
        )


def choose_device(recipe: Recipe, named: str | torch.device | None = None) -> torch.device:
    """Choose the device of a single-process stage, and set CPU threads and determinism.

    Operations without a deterministic kernel use the other one: on CUDA the gradient of sampling masks at points.

    Args:
        recipe: the recipe, with the number of GPUs, the threads and the determinism.
        named: ``cpu``, ``cuda``, ``cuda:1`` or a torch device; None: the first of the recipe's GPUs, or the CPU.

    Raises:
        ScasegError: the recipe requests more GPUs than the machine has, or the named device does not exist.
    """
    device = _of_recipe(recipe) if named is None else _of_name(named)
    if recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when this process initialises CUDA
    if recipe.deterministic != torch.are_deterministic_algorithms_enabled():  # the call imports torch's compiler
        torch.use_deterministic_algorithms(recipe.deterministic, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = recipe.base.tf32
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    return device


def _of_recipe(recipe: Recipe) -> torch.device:
    check_devices(recipe)
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if recipe.gpus else torch.device("cpu")


def _of_name(named: str | torch.device) -> torch.device:
    hint = "Name cpu, cuda or cuda:N."
    try:
        device = torch.device(named)
    except (RuntimeError, TypeError) as error:
        raise ScasegError(f"{named!r} is not a device", hint) from error
    if device.type not in ("cpu", "cuda"):
        raise ScasegError(f"the device {device} is of a type that scaseg does not use", hint)
    available = torch.cuda.device_count()
    if device.type == "cpu":
        return torch.device("cpu")
    if (device.index or 0) >= available:
        raise ScasegError(
            f"there is no device {device}: this machine has {available} CUDA device{'' if available == 1 else 's'}",
            f"Name cpu, or one of the devices that it has. {DOCTOR}" if not available else hint,
        )
    return torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)


def join_world(recipe: Recipe) -> World:
    """Find this process's device and rank; a process of `launch_workers` joins the others."""
    device = choose_device(recipe)
    if not in_worker():
        return World(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if not torch.distributed.is_initialized():
        backend = "nccl" if device.type == "cuda" else "gloo"
        torch.distributed.init_process_group(backend, timeout=timedelta(minutes=30))
    return World(device, torch.distributed.get_rank(), torch.distributed.get_world_size())


def part_of_world(recipe: Recipe) -> World:
    """Find this process's device and rank in work whose processes do not speak to each other."""
    device = choose_device(recipe)
    if not in_worker():
        return World(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return World(device, *own_part())


def memory_gib(device: torch.device) -> float:
    """Peak memory of this process so far, in GiB, on the GPU or in main memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held / 2**30 if sys.platform == "darwin" else held / 2**20  # bytes on macOS, KiB on Linux
