"""`scaseg run`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaseg_cli.cli.options import NodeOptions, parsed_seeds, with_options
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.results.stage_report import StageReport
    from scaseg_cli.run_dir import RunDir


@with_options
def run(
    options: NodeOptions,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds", metavar="N,N...", rich_help_panel="Recipe", show_default=False,
            help="Run the recipe once for each seed, in seeds/N of the run folder, and show mean and spread.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show which stages would run, why, and how long they took before; run nothing."),
    ] = False,
) -> None:  # fmt: skip
    """Run all stages in order: the whole method, from the data to the result table.

    A stage whose result is up to date for this recipe is skipped, and an interrupted one resumes. After Ctrl-C, a crash
    or a change to the recipe, the same command therefore runs only what is left.

    No finished result is lost: a stage that a changed recipe makes stale is kept in kept/ of the run folder, and comes
    back when the older recipe runs again. One line says why a stage runs. `scaseg clean` removes what is kept.

    With `--seeds`, each seed has a run folder of its own below the run folder, which any command takes. Seeds share the
    stages whose result does not depend on the seed, such as the data, and with the run folder what it has finished. The
    table has each seed, the mean and the sample standard deviation.

    With several GPUs, processes or nodes, each takes a part of the training of the base model, of the pass over the
    training images, and of the scoring of stage 3 and of the evaluation. One process does the rest.

    Reads the recipe and its data. Writes everything into the run folder: split/, embeddings/, base/, queries/, cat/,
    union/ and evaluation/. The result table is evaluation/results.md, .csv, .json and .tex; of several seeds,
    seeds/results.

    Example: `scaseg run` uses the embedded world of drawn shapes.

    Example: `scaseg run --seeds 0,1,2`

    Example: `scaseg run --set base.iterations=1200 --dry-run`

    Example: `scaseg run -r coco-zps --gpus 8 --set base.amp=bf16`

    Example: `scaseg run -r coco-zps --gpus 8 --launcher slurm`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage

    if dry_run:
        _show_plan(options, parsed_seeds(seeds) if seeds is not None else None)
        return
    stages: list[dict[str, Any]] = []

    def work(recipe: Recipe, folder: RunDir) -> StageReport:
        reports = pipeline.run_all(recipe, folder)
        stages.extend(_in_brief(reports))
        return reports[-1]

    if seeds is not None:
        _run_seeds(options, parsed_seeds(seeds))
    else:
        run_stage(options, "split", work, lambda: {"stages": stages})


def _in_brief(reports: list[StageReport]) -> list[dict[str, Any]]:
    return [
        {"stage": report.stage, "ran": report.summary["ran"], "seconds": report.summary["seconds"]}
        for report in reports
    ]


def _run_seeds(options: NodeOptions, seeds: list[int]) -> None:
    """Run the recipe with each seed in a run folder of its own, and show the table of all."""
    from scaseg_cli import pipeline, shared_stages
    from scaseg_cli.cli.running import logged, occupied, run_stage
    from scaseg_cli.comparison import seed_runs
    from scaseg_cli.results.console import say

    recipes = _recipes_of(options, seeds)
    ran: list[dict[str, Any]] = []

    def work(_recipe: Recipe, folder: RunDir) -> StageReport:
        folders = {seed: folder.of_seed(seed) for seed in seeds}
        folder.check_links(folder.seeds.name)
        for seed in seeds:
            reports = run_one(seed, folder, folders)
            ran.append({"seed": seed, "folder": str(folders[seed].path), "stages": _in_brief(reports)})
        return seed_runs.report_seeds(seed_runs.open_seeds(recipes, folders), folder)

    def run_one(seed: int, folder: RunDir, folders: dict[int, RunDir]) -> list[StageReport]:
        own = folders[seed]
        say(f"seed {seed} ({seeds.index(seed) + 1} of {len(seeds)}): {own.path}")
        with occupied(own), logged(own):
            if taken := shared_stages.take_over(recipes[seed], own, _others(seed, folder, folders)):
                say(f"seed {seed}: shares {', '.join(taken)}")
            return pipeline.run_all(recipes[seed], own)

    run_stage(options, "split", work, lambda: {"seeds": ran})


def _recipes_of(options: NodeOptions, seeds: list[int]) -> dict[int, Recipe]:
    """The recipe of each seed."""
    from scaseg_cli.cli.running import load

    if options.seed is not None:
        raise ScasegError("--seed and --seeds both set the seed", "Leave out --seed.")
    return {seed: load(dataclasses.replace(options, seed=seed))[0] for seed in seeds}


def _others(seed: int, folder: RunDir, folders: dict[int, RunDir]) -> list[RunDir]:
    """The run folders with which a seed may share stages."""
    return [folder, *(other for name, other in folders.items() if name != seed)]


def _show_plan(options: NodeOptions, seeds: list[int] | None) -> None:
    from scaseg_cli.cli.output import print_json
    from scaseg_cli.cli.running import load
    from scaseg_cli.pipeline import run_plan, seeds_plan
    from scaseg_cli.results.console import print_table

    recipe, run = load(options)
    table = run_plan(recipe, run) if seeds is None else seeds_plan(_recipes_of(options, seeds), run)
    if options.json:
        print_json(table.as_json_value())
    else:
        print_table(table)
