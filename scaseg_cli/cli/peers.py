"""`scaseg peers`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaseg_cli.cli.options import Options, with_options
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from scaseg_cli.peers.cells import PeerPlan


@with_options
def peers(
    options: Options,
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", show_default=False, help="The run folder. Default: the recipe's."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which stages would run and which are shared, without writing.")
    ] = False,
) -> None:  # fmt: skip
    """Compare SCA with other generators and classifiers on one frozen base: same masks, same images, same choices.

    One table: projection alone, calibrated stacking, fine-tuning without a generator, VAE as published, GMMN, PADing's
    primitives and the ridge Gaussian without and with the pull, CLIP on masks (crops and pooled) alone and with each
    classifier, self-training for semantic segmentation, and two oracles. Each row says whether CLIP's image tower runs
    at test, whether training reads unseen names, milliseconds an image, and training seconds. Differences from SCA
    have paired bootstrap intervals over the images. Figures that peers published on COCO are in a second table.

    Base model and queries are the run's. A generator and a fine-tuning are trained for each peer, and one pass scores
    all rows. The stages are in ablations/stages/ and are shared with `scaseg ablate`. An interrupted command resumes.

    Without --recipe, the run folder's own recipe counts. Writes results and published (.json, .csv, .md, .tex) into
    peers/ of the run folder. `scaseg visualize --baseline peers:NAME` draws a row beside ours.

    Example: `scaseg peers`

    Example: `scaseg peers runs/shapes-zps --dry-run`

    Example: `scaseg peers --json`
    """
    from scaseg_cli.ablations.jobs.choose_launcher import choose_launcher
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.cli.running import load_own, logged, occupied, quiet, show
    from scaseg_cli.peers.cells import plan_cells
    from scaseg_cli.peers.peers import compare_peers
    from scaseg_cli.run_dir import RunDir

    if run is not None:
        options = options.of_run(run)
    recipe, work = load_own(options)
    if recipe.evaluation.setting == "inductive":
        raise ScasegError(
            "the peers are fine-tuned, and evaluation.setting is inductive", "Set evaluation.setting to both."
        )
    plan = plan_cells(recipe, work)
    if dry_run:
        _show_plan(plan, options)
        return
    folder = RunDir(plan.plan.store.folder)
    launcher = choose_launcher(recipe, folder, None, None)
    with stdout_as_stderr(), quiet(options.debug), occupied(folder), logged(folder):
        report = compare_peers(recipe, work, launcher)
    show(report, options, {})


def _show_plan(plan: PeerPlan, options: Options) -> None:
    from scaseg_cli.cli.output import print_json
    from scaseg_cli.results.console import print_table
    from scaseg_cli.results.table import Column, Table

    states = plan.plan.states
    rows = [
        {"peer": plan.names[cell.label], "missing": ", ".join(id_.split("-")[0] for id_ in missing) or None}
        for cell in plan.plan.cells
        if (missing := [one for one in cell.nodes if states[one] == "missing"]) is not None
    ]
    table = Table("Peers", [Column("peer", "peer"), Column("missing", "stages to run")], rows)
    table.notes.append("Stages that several peers need run once. A pass over the validation images follows.")
    if options.json:
        print_json(table.as_json_value())
    else:
        print_table(table)
