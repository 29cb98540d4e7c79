"""Checks of Python, the libraries, the GPUs and the batch."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from scaseg_cli.doctor.finding import Finding, missing, ready, warning
from scaseg_cli.doctor.gpu_memory import gpu_memory, what_fits

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_LIBRARIES = ("mmdet", "mmsegmentation", "mmengine", "open_clip_torch", "torchvision", "numpy")
_INSTALL = "pip install -c constraints.txt -e .  # in the checkout of scaseg"
_HEADLESS = (  # as in the Makefile
    "pip uninstall --yes opencv-python\n"
    "pip install --force-reinstall --no-deps -c constraints.txt opencv-python-headless  # in the checkout of scaseg"
)


def python_findings(_recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Check that scaseg supports this version of Python."""
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return [ready("Python", platform.python_version())]
    return [warning("Python", platform.python_version(), "Use Python 3.11 or 3.12, which scaseg supports.")]


def torch_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Check that PyTorch can be imported and is built for GPUs if the recipe uses them."""
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a system or CUDA library is missing
        return [missing("PyTorch", f"it cannot be imported: {error}", _INSTALL)]
    return [torch_finding(recipe, torch.__version__, torch.version.cuda or torch.version.hip)]


def torch_finding(recipe: Recipe, version: str, build: str | None) -> Finding:
    """The row of an imported PyTorch; ``build`` is its CUDA or ROCm version, None for a CPU build."""
    if build is not None:
        return ready("PyTorch", f"{version}, built for CUDA {build}")
    if not recipe.gpus:
        return ready("PyTorch", f"{version}, a CPU build")
    return missing(
        "PyTorch",
        f"{version}, a CPU build; the recipe requires {recipe.gpus} GPUs",
        "Install a build of the same version for this machine's CUDA (PyTorch's site shows the command), "
        "or use --gpus 0.",
    )


def library_findings(_recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Check that the libraries of scaseg are installed and OpenCV can be imported."""
    found = {name: version for name in _LIBRARIES if (version := _version(name)) is not None}
    mmcv = next((name for name in ("mmcv", "mmcv-lite") if _version(name) is not None), None)
    lacking = [name for name in _LIBRARIES if name not in found] + ([] if mmcv else ["mmcv-lite"])
    if lacking:
        return [missing("libraries", f"not installed: {', '.join(lacking)}", _INSTALL)]
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        return [opencv_finding("libraries", error)]
    return [ready("libraries", ", ".join(f"{name} {version}" for name, version in found.items()))]


def opencv_finding(what: str, error: ImportError) -> Finding:
    """The row of a check that could not import OpenCV."""
    return missing(what, f"OpenCV cannot be imported: {error}", _HEADLESS if "libGL" in str(error) else _INSTALL)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Gpu:
    """A CUDA device, with memory in bytes."""

    name: str
    total: int
    free: int


def gpu_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Check the number of GPUs and estimate whether their memory is enough."""
    if not recipe.gpus:
        return [ready("GPUs", "none required: the recipe runs on the CPU")]
    import torch

    gpus = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        gpus.append(Gpu(torch.cuda.get_device_name(index), total, free))
    return count_and_memory(recipe, gpus)


def count_and_memory(recipe: Recipe, gpus: list[Gpu]) -> list[Finding]:
    """The rows of the GPUs found."""
    names = sorted({gpu.name for gpu in gpus})
    needed = gpu_memory(recipe)
    found = f"{len(gpus)} x {' / '.join(names)}" if gpus else "none that PyTorch can use"
    if len(gpus) < recipe.gpus:
        fix = "Run `nvidia-smi` to see the driver's GPUs, or use the CPU with --gpus 0."
        fix = f"Use the available GPUs: --gpus {len(gpus)}" if gpus else fix
        wanted = f"the recipe requires {recipe.gpus}, with about {needed / 1e9:.1f} GB each"
        return [missing("GPUs", f"{found}; {wanted}", fix)]
    least = min(gpu.free for gpu in gpus[: recipe.gpus])
    memory = f"{least / 1e9:.1f} GB free on the fullest; training needs about {needed / 1e9:.1f} GB"
    if least >= needed:
        return [ready("GPUs", found), ready("GPU memory", memory)]
    return [ready("GPUs", found), warning("GPU memory", memory, what_fits(recipe, least))]


def batch_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Check that the batch divides evenly by the processes of all nodes and the parts of ``base.accumulate``."""
    from scaseg_cli.base.device import world_size

    size, images = world_size(recipe) * recipe.nodes, recipe.base.batch_size
    parts = size * recipe.base.accumulate
    divided = f"{size} process{'es' if size > 1 else ''}"
    if recipe.base.accumulate > 1:
        divided += f" x {recipe.base.accumulate} parts"
    if images % parts == 0:
        return [ready("batch", f"{images} images per step, {images // parts} at once: {divided}")]
    fix = f"Use --set base.batch_size={parts * -(-images // parts)}, or another number of GPUs."
    return [missing("batch", f"{images} images per step are not divisible by {parts}: {divided}", fix)]


def precision_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Check that the device supports the recipe's 16-bit precision, if any."""
    if recipe.base.amp == "off":
        return []
    from scaseg_cli.base.precision import check_precision

    check_precision(recipe)
    return [ready("precision", recipe.base.amp)]


def log_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Check that Weights & Biases is installed if the recipe uses it."""
    if recipe.wandb is None:
        return []
    from scaseg_cli.base.events import check_wandb

    check_wandb(recipe)
    return [ready("wandb", f"the losses go to its project {recipe.wandb!r}")]


def operator_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Say which operator of deformable attention is used; it is optional."""
    from scaseg_cli.base.attention_operators import PLAIN, installed, operator_for

    device = "cuda" if recipe.gpus else "cpu"
    used = operator_for(device)
    others = [one.package for one in installed() if one is not used]
    also = f"; installed, but not used here: {', '.join(others)}" if others else ""
    if used is not None:
        return [ready("attention", f"{used.package}{'' if device in used.tested else f', untested on {device}'}{also}")]
    if device == "cpu":
        return [ready("attention", f"{PLAIN}{also}")]
    return [
        warning(
            "attention",
            f"{PLAIN}, which needs more memory and time on a GPU than a compiled operator{also}",
            "Optional: pip install --no-build-isolation torch-ms-deform-attn (with a compiler; untested on GPUs), "
            "or a full mmcv below 2.2 in place of mmcv-lite.",
        )
    ]
