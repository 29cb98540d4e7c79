"""Python, libraries and GPUs."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from scaseg_cli.doctor.finding import Finding, missing, ready, warning

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_LIBRARIES = ("mmdet", "mmsegmentation", "mmengine", "open_clip_torch", "torchvision", "numpy")
_INSTALL = "pip install -c constraints.txt -e .   (in the checkout of scaseg)"
# MMDetection publishes 13.9 GB for Mask2Former R-50 with two 1024 x 1024 images a GPU, MMSegmentation 3.4 GB with two
# of 512 x 512 (both in float32, with the compiled operator): 6.6 GB a megapixel.
GB_PER_MEGAPIXEL = 6.6


def python_findings(_recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Whether this Python is one that scaseg is made for."""
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return [ready("Python", platform.python_version())]
    return [warning("Python", platform.python_version(), "scaseg is made for Python 3.11 and 3.12.")]


def torch_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Whether PyTorch loads, and whether it was built for GPUs where the recipe asks for them."""
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library of the system or of CUDA is missing
        return [missing("PyTorch", f"it does not load: {error}", _INSTALL)]
    return [torch_finding(recipe, torch.__version__, torch.version.cuda or torch.version.hip)]


def torch_finding(recipe: Recipe, version: str, build: str | None) -> Finding:
    """The row of a PyTorch that loads; ``build`` is its CUDA's version, None for a CPU build."""
    if build is not None:
        return ready("PyTorch", f"{version}, built for CUDA {build}")
    if not recipe.gpus:
        return ready("PyTorch", f"{version}, a CPU build")
    return missing(
        "PyTorch",
        f"{version}, a CPU build; the recipe asks for {recipe.gpus} GPUs",
        "Install a build of the same version for this machine's CUDA (PyTorch's own site shows the command), "
        "or give --gpus 0.",
    )


def library_findings(_recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Whether what scaseg is built on is installed."""
    found = {name: version for name in _LIBRARIES if (version := _version(name)) is not None}
    mmcv = next((name for name in ("mmcv", "mmcv-lite") if _version(name) is not None), None)
    lacking = [name for name in _LIBRARIES if name not in found] + ([] if mmcv else ["mmcv-lite"])
    if lacking:
        return [missing("libraries", f"not installed: {', '.join(lacking)}", _INSTALL)]
    return [ready("libraries", ", ".join(f"{name} {version}" for name, version in found.items()))]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Gpu:
    """One CUDA device; memory in bytes."""

    name: str
    total: int
    free: int


def gpu_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Whether there are as many GPUs as the recipe asks for, and whether their memory may suffice."""
    if not recipe.gpus:
        return [ready("GPUs", "none asked for: the recipe runs on the CPU")]
    import torch

    gpus = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        gpus.append(Gpu(torch.cuda.get_device_name(index), total, free))
    return count_and_memory(recipe, gpus)


def count_and_memory(recipe: Recipe, gpus: list[Gpu]) -> list[Finding]:
    """The rows for the devices that were found."""
    names = sorted({gpu.name for gpu in gpus})
    found = f"{len(gpus)} x {' / '.join(names)}" if gpus else "none that PyTorch can use"
    if len(gpus) < recipe.gpus:
        mend = f"--gpus {len(gpus)} takes {'the one' if len(gpus) == 1 else 'those'} that are there" if gpus else ""
        mend = mend or "`nvidia-smi` shows whether the driver sees any; --gpus 0 runs on the CPU"
        return [missing("GPUs", f"{found}; the recipe asks for {recipe.gpus}", mend)]
    needed = gpu_memory(recipe)
    least = min(gpu.free for gpu in gpus[: recipe.gpus])
    told = f"{least / 1e9:.1f} GB free on the fullest; training takes about {needed / 1e9:.1f} GB"
    if least >= needed:
        return [ready("GPUs", found), ready("GPU memory", told)]
    mend = "--set base.accumulate=2 halves what is held at once; --set base.amp=bf16 and more GPUs save memory too."
    return [ready("GPUs", found), warning("GPU memory", told, mend)]


def gpu_memory(recipe: Recipe) -> int:
    """An estimate of the bytes that stage 1 takes on each GPU, from published figures for ResNet-50."""
    images = -(-recipe.base.batch_size // (max(1, recipe.gpus) * recipe.nodes * recipe.base.accumulate))
    return round(images * recipe.base.crop**2 * GB_PER_MEGAPIXEL * 1e3)


def batch_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Whether the batch divides among the processes of all nodes, and the parts that each takes it in."""
    from scaseg_cli.base.device import world_size

    size, images = world_size(recipe) * recipe.nodes, recipe.base.batch_size
    parts = size * recipe.base.accumulate
    divided = f"{size} process{'es' if size > 1 else ''}"
    if recipe.base.accumulate > 1:
        divided += f" x {recipe.base.accumulate} parts"
    if images % parts == 0:
        return [ready("batch", f"{images} images a step, {images // parts} at once: {divided}")]
    mend = f"--set base.batch_size={parts * -(-images // parts)}, or another number of GPUs"
    return [missing("batch", f"{images} images a step do not divide by {parts}: {divided}", mend)]


def precision_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Whether the device computes in the 16 bits that the recipe asks for, if it does."""
    if recipe.base.amp == "off":
        return []
    from scaseg_cli.base.precision import check_precision

    check_precision(recipe)
    return [ready("precision", recipe.base.amp)]


def log_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Whether Weights & Biases is installed where the recipe wants it."""
    if recipe.wandb is None:
        return []
    from scaseg_cli.base.events import check_wandb

    check_wandb(recipe)
    return [ready("wandb", f"the losses go to its project {recipe.wandb!r}")]


def operator_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Whether mmcv's compiled operators are there; without them PyTorch's own serve."""
    from scaseg_cli.base.mmcv_ops import compiled

    if compiled():
        return [ready("mmcv operators", "compiled")]
    found = "not compiled: the deformable attention runs in its PyTorch form"
    if not recipe.gpus:
        return [ready("mmcv operators", found)]
    return [
        warning(
            "mmcv operators",
            f"{found}, which is slower on a GPU",
            "Not needed. For speed: a full mmcv below 2.2, built for this PyTorch, in place of mmcv-lite.",
        )
    ]
