"""Runs all checks; a check that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scaseg_cli.doctor.data import data_findings, split_findings
from scaseg_cli.doctor.disk import disk_findings, fold_findings, run_folder_findings, shared_memory_findings
from scaseg_cli.doctor.finding import Finding, missing
from scaseg_cli.doctor.leaks import leak_findings
from scaseg_cli.doctor.machine import (
    batch_findings,
    gpu_findings,
    library_findings,
    log_findings,
    opencv_finding,
    operator_findings,
    precision_findings,
    python_findings,
    torch_findings,
)
from scaseg_cli.doctor.weights import backbone_findings, clip_findings, encoder_findings, prompt_findings
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.run_dir import RunDir

Check = Callable[[Recipe, RunDir], Sequence[Finding]]
CHECKS: dict[str, Check] = {
    "Python": python_findings,
    "PyTorch": torch_findings,
    "libraries": library_findings,
    "GPUs": gpu_findings,
    "batch": batch_findings,
    "precision": precision_findings,
    "attention": operator_findings,
    "text encoder": encoder_findings,
    "CLIP weights": clip_findings,
    "prompts": prompt_findings,
    "backbone weights": backbone_findings,
    "data": data_findings,
    "unseen classes": split_findings,
    "leaks": leak_findings,
    "run folder": run_folder_findings,
    "disk": disk_findings,
    "folds": fold_findings,
    "shared memory": shared_memory_findings,
    "wandb": log_findings,
}


def examine(recipe: Recipe, run: RunDir, debug: bool = False) -> list[Finding]:
    """Check what a run of ``recipe`` in ``run`` needs, in the order of its use, without network access or writing.

    Args:
        recipe: the recipe.
        run: the run folder, which need not exist.
        debug: raise unexpected errors of a check instead of reporting them in its row.
    """
    return [finding for name, check in CHECKS.items() for finding in _guarded(name, check, recipe, run, debug)]


def _guarded(name: str, check: Check, recipe: Recipe, run: RunDir, debug: bool) -> Sequence[Finding]:
    try:
        return check(recipe, run)
    except ScasegError as error:
        return [missing(name, error.message, error.hint or "Fix it.")]
    except Exception as error:  # a broken installation fails in many ways, and the other checks are still useful
        if isinstance(error, ImportError) and "libGL" in str(error):  # mmcv and mmengine import OpenCV
            return [opencv_finding(name, error)]
        if debug:
            raise
        first = f"{type(error).__name__}: {error}".splitlines()[0]
        return [missing(name, f"this check failed: {first}", "Add --debug to see the traceback.")]
