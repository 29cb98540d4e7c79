"""A pass of the network in several processes: each counts a share of the batches, and the counts are added up.

The candidates reach the workers as a file in the stage's folder, and the counts come back as another. Both go when
the pass has ended, however it ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from scaseg_cli.base.device import join_world
from scaseg_cli.checkpoints import load_state, save_state
from scaseg_cli.evaluation.lineup import Lineup
from scaseg_cli.evaluation.measure import Counts
from scaseg_cli.evaluation.passes import ScoredSet, count
from scaseg_cli.launch import launch_workers
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.lists import Part

STAGE_OF: dict[Part, str] = {"selection": "union", "validation": "evaluation"}
_KEY = "scoring"


def count_in_workers(scored: ScoredSet, lineup: Lineup, processes: int) -> list[Counts]:
    """`count` over all images, in ``processes`` processes; equal to that of one to the last bit.

    Raises:
        ScasegError: a worker's own mistake, or that one failed otherwise.
    """
    stage = STAGE_OF[scored.part]
    job, result = _files(scored.run, scored.part)
    scored.run.folder(stage)
    result.unlink(missing_ok=True)
    try:
        save_state(job, {"key": _KEY, **lineup.as_state()})
        launch_workers(scored.recipe, scored.run, processes, f"{__name__}:count_{scored.part}", stage)
        arrays = _read(result)["arrays"].numpy()
    finally:
        job.unlink(missing_ok=True)
        result.unlink(missing_ok=True)
    counts: list[Counts] = [scored.measure.new_counts() for _ in lineup.entries]
    for found, array in zip(counts, arrays, strict=True):
        found.array += array
    return counts


def count_selection(recipe: Recipe, run: RunDir) -> None:
    """One worker's share of the selection images."""
    _work(recipe, run, "selection")


def count_validation(recipe: Recipe, run: RunDir) -> None:
    """One worker's share of the validation images."""
    _work(recipe, run, "validation")


def _work(recipe: Recipe, run: RunDir, part: Part) -> None:
    world = join_world(recipe)
    job, result = _files(run, part)
    lineup = Lineup.from_state(_read(job))
    counts = count(ScoredSet(recipe, run, part), lineup, world.rank, world.size)
    arrays = torch.from_numpy(np.stack([found.array for found in counts])).to(world.device)
    torch.distributed.all_reduce(arrays)
    if world.rank == 0:
        save_state(result, {"key": _KEY, "arrays": arrays.cpu()})


def _files(run: RunDir, part: Part) -> tuple[Path, Path]:
    folder = run.path / STAGE_OF[part]
    return folder / "scoring-candidates.pt", folder / "scoring-counts.pt"


def _read(path: Path) -> dict[str, Any]:
    state = load_state(path, _KEY)
    if state is None:
        raise RuntimeError(f"{path} is not there: a process ended before its work")
    return state
