"""`scaseg choose`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaseg_cli.cli.options import NodeOptions, Options, with_options

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


@with_options
def choose(
    options: NodeOptions,
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", show_default=False, help="The run folder. Default: the recipe's."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would cost and which stages are up to date; run nothing.")
    ] = False,
) -> None:  # fmt: skip
    """Choose pull, noise, unseen weight, snapshot and increments without an unseen label.

    Each of `folds.number` folds holds some seen classes out of a base model, a generator and fine-tunings of its own,
    as if they were unseen. What is best on them, on training images that are set aside, is taken for the real unseen
    classes. Neither the labels of unseen classes nor selection and validation images are read.

    It costs `folds.number` base trainings, and prints an estimate before it begins. An interrupted choice resumes. No
    shipped recipe does this by itself. A recipe does if `evaluation.choose_on` is seen_folds, or if one of
    `union.unseen_pull.beta`, `union.unseen_weight` and `cat.noise` is auto; only such keys are then chosen. For any
    other recipe this command sets all four, and the command it ends with runs the stages that follow.

    Without --recipe, the run folder's own recipe counts. The section `choose` of the recipe lists the values to try.

    Reads the split, the embeddings and the training images. Writes folds/ and choose/ into the run folder: what was
    chosen is choose/choice.json, and all combinations are choose/table.md, .csv, .json and .tex.

    Example: `scaseg choose`

    Example: `scaseg choose runs/shapes-zps --dry-run`

    Example: `scaseg choose --set folds.number=3 --set choose.beta=[0,0.5]`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage

    if run is not None:
        options = options.of_run(run)
    if dry_run:
        _show_plan(options)
        return

    run_stage(options, "folds", pipeline.choose, loaded=_loaded)


def _loaded(options: Options) -> tuple[Recipe, RunDir]:
    """The recipe, which chooses on folds: as it is if it does, else with every key that can be chosen on them."""
    from scaseg_cli.cli.running import load_own
    from scaseg_cli.recipe.load import check_recipe

    recipe, run = load_own(options)
    if recipe.needs_folds:
        return recipe, run
    content = recipe.model_dump(mode="json")
    content["evaluation"]["choose_on"] = "seen_folds"
    content["union"]["unseen_weight"] = content["union"]["unseen_pull"]["beta"] = "auto"
    if recipe.cat.generator not in ("ridge", "none"):
        content["cat"]["noise"] = "auto"
    return check_recipe(content, f"the choice of {recipe.name}"), run


def _show_plan(options: Options) -> None:
    from scaseg_cli.choose.cost import cost_in_words, cost_of
    from scaseg_cli.cli.output import print_json, stdout_as_stderr
    from scaseg_cli.results.console import print_table
    from scaseg_cli.results.table import Column, Table
    from scaseg_cli.stages.outlook import outlooks

    with stdout_as_stderr():
        recipe, run = _loaded(options)
    found = [one for one in outlooks(recipe, run) if one.stage in ("folds", "choose")]
    rows: list[dict[str, Any]] = [{"stage": one.stage, "state": one.state, "why": one.why} for one in found]
    columns = [Column("stage", "stage"), Column("state", "state"), Column("why", "why")]
    table = Table(f"{recipe.name} in {run.path}: what scaseg choose would do", columns, rows)
    table.notes.append(f"{cost_in_words(recipe, run)}.")
    if options.json:
        print_json(table.as_json_value() | {"cost": cost_of(recipe, run)._asdict()})
    else:
        print_table(table)
