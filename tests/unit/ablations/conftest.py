"""Fixtures of the ablation tests: recipes, finished runs without content, and made-up figures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scaseg_cli.ablations.cells import Ablation, make_ablation
from scaseg_cli.ablations.figures import Figures
from scaseg_cli.ablations.find import find_sweep
from scaseg_cli.ablations.sweep import Sweep
from scaseg_cli.recipe import load_recipe
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import recording, stages_for


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("shapes-zps")


@pytest.fixture
def ablation(recipe: Recipe) -> Callable[..., Ablation]:
    """Make an ablation over ``recipe`` by its name; further arguments are those of `make_ablation`."""

    def make(name: str, seeds: tuple[int, ...] = (0,), **arguments: object) -> Ablation:
        return make_ablation(*find_sweep(name), recipe, seeds, **arguments)  # type: ignore[arg-type]

    return make


@pytest.fixture
def own(recipe: Recipe) -> Callable[..., Ablation]:
    """Make an ablation from a user's sweep."""

    def make(seeds: tuple[int, ...] = (0,), **content: object) -> Ablation:
        return make_ablation("mine", Sweep.model_validate({"title": "Mine", **content}), recipe, seeds)

    return make


@pytest.fixture
def finish(tmp_path: Path) -> Callable[..., RunDir]:
    """Make a run folder in which every stage has finished, each with one small file.

    With ``only``, just that stage is made; ``lists`` are digests of lists of the split that differ from "first".
    """

    def make(
        recipe: Recipe, name: str = "work", up_to: str = "evaluation", only: str | None = None, **lists: str
    ) -> RunDir:
        run = RunDir(tmp_path / name)
        stages = stages_for(recipe)
        for stage in stages[: stages.index(up_to) + 1] if only is None else [only]:
            output = run.folder(stage) / "result.txt"
            with recording(recipe, run, stage, output) as summary:
                output.write_text(f"{stage} of {recipe.seed}")
                if stage == "split":
                    summary.lists = dict.fromkeys(("classes", "train", "selection", "validation"), "first") | lists
        return run

    return make


@pytest.fixture
def figures() -> Callable[..., Figures]:
    """Make an ablation's figures from harmonic means by setting, row and seed; seen and unseen are equal to them."""

    def make(ablation: Ablation, **settings: dict[str, list[float]]) -> Figures:
        found = Figures(ablation, "pq")
        for setting, rows in settings.items():
            for label, values in rows.items():
                for group in ("harmonic", "seen", "unseen"):
                    by_seed = dict(zip(ablation.seeds, values, strict=False))
                    found.values[label, setting, group] = by_seed  # type: ignore[index]
        return found

    return make
