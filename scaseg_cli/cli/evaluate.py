"""`scaseg evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scaseg_cli.cli.options import StageOptions, with_options

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.results.report import Report
    from scaseg_cli.run_dir import RunDir


@with_options
def evaluate(
    options: StageOptions,
    per_class: Annotated[bool, typer.Option("--per-class", help="Show the table by class too.")] = False,
) -> None:
    """Measure panoptic quality on the validation images: over seen and unseen classes, and their harmonic mean.

    One pass of the network scores the base model, with and without its increment, the controls and the fine-tuned
    projectors. With --set evaluation.setting=inductive only stage 1 is needed.

    Reads the stages' results and the validation images. Writes evaluation/results and evaluation/per-class, each as
    .json, .csv and .md, and evaluation/examples.png, a picture of a few images, into the run folder.

    Example: `scaseg evaluate --per-class`

    Example: `scaseg evaluate --json | python -m json.tool`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage

    def work(recipe: Recipe, run: RunDir) -> Report:
        report = pipeline.evaluate(recipe, run)
        if per_class:
            report.tables.append(pipeline.read_table(run.per_class_file))
        return report

    run_stage(options, "evaluation", work)
