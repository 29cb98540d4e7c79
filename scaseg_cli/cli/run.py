"""`scaseg run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaseg_cli.cli.options import NodeOptions, with_options

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.results.stage_report import StageReport
    from scaseg_cli.run_dir import RunDir


@with_options
def run(options: NodeOptions) -> None:
    """Run all stages in order: the whole method, from the data to the result table.

    A stage whose result is up to date for this recipe is skipped, and an interrupted one resumes. After Ctrl-C, a crash
    or a change to the recipe, the same command therefore runs only what is left.

    Reads the recipe and its data. Writes everything into the run folder: split/, embeddings/, base/, queries/, cat/,
    union/ and evaluation/. The result table is evaluation/results.md, .csv and .json.

    Example: `scaseg run` uses the embedded world of drawn shapes.

    Example: `scaseg run -r coco-zps --gpus 8 --set base.amp=bf16`

    Example: `scaseg run -r coco-zps --gpus 8 --launcher slurm`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage

    stages: list[dict[str, Any]] = []

    def work(recipe: Recipe, folder: RunDir) -> StageReport:
        reports = pipeline.run_all(recipe, folder)
        stages.extend(
            {"stage": report.stage, "ran": report.summary["ran"], "seconds": report.summary["seconds"]}
            for report in reports
        )
        return reports[-1]

    run_stage(options, "split", work, lambda: {"stages": stages})
