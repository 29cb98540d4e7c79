"""Figures on selection images while stage 1 trains.

They change neither the weights, whose random draws depend on the iteration alone, nor the choice of weights: later
stages use the last ones, as published. Those with the best figures are kept beside them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.events import Events
from scaseg_cli.base.hooks import CurveFile, Losses, network_of, read_losses
from scaseg_cli.base.segmentor import save_network
from scaseg_cli.measures.measure import LETTERS, TITLES
from scaseg_cli.results.console import say, say_to_log
from scaseg_cli.results.table import Column, Table
from scaseg_cli.tasks import task_of

mmcv_ops.prepare_mmengine()

from mmengine.hooks import Hook  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaseg_cli.base.aligned_network import AlignedNetwork
    from scaseg_cli.base.device import World
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

    Measure = Callable[[AlignedNetwork, World, bool], "Figures"]


class Figures(NamedTuple):
    """The main measure on the selection images, as fractions; NaN if they lack the classes.

    Attributes:
        seen, unseen, harmonic: the means over seen and unseen classes, and their harmonic mean.
        reason: if all are zero, why nothing was found; None where that was not asked for.
    """

    seen: float
    unseen: float
    harmonic: float
    reason: str | None = None


class Validation(Hook):
    """Measures the network every ``validate_every`` iterations and after the last one.

    A training that is shorter than one interval is not measured.

    Args:
        recipe: the recipe.
        run: the run folder; the curve and the best weights go to its base folder.
        start: the first iteration.
        world: this process; the first one writes.
        measure: measures a network in evaluation mode, in all processes together, and says on request why nothing was
            found; None if nothing is measured.
    """

    def __init__(self, recipe: Recipe, run: RunDir, start: int, world: World, measure: Measure | None) -> None:
        self.recipe, self.run, self.start, self.world, self.measure = recipe, run, start, world, measure
        self.curve = CurveFile(run.validation_file, start + 1)

    def before_train(self, runner: Any) -> None:
        """Measure what an interrupted training was about to measure after its last checkpoint."""
        measured = [int(row["iteration"]) for row in self.curve.earlier()]
        if self.start and self._is_due(self.start) and self.start not in measured:
            self._measure(runner, self.start)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Measure if this iteration is one of those."""
        del data_batch, outputs
        done = batch_idx + 1
        if done == 1 and self.world.rank == 0:  # of another training run
            self.run.validation_file.unlink(missing_ok=True)
            self.run.best_base_file.unlink(missing_ok=True)
        if self._is_due(done):
            self._measure(runner, done)

    def _is_due(self, done: int) -> bool:
        every, last = self.recipe.base.validate_every, self.recipe.base.iterations
        if self.measure is None or not every or last < every:
            return False
        return done % every == 0 or done == last

    def _measure(self, runner: Any, done: int) -> None:
        assert self.measure is not None
        network = network_of(runner)
        network.eval()
        try:
            found = self.measure(network, self.world, done == self.recipe.base.iterations)
        finally:
            network.train()
        if self.world.rank:
            return
        self._keep_best(network, done, found)
        row = {"iteration": done, "seen": found.seen, "unseen": found.unseen, "harmonic": found.harmonic}
        self.curve.write({name: value if name == "iteration" else f"{value:.6g}" for name, value in row.items()})
        title = TITLES[task_of(self.recipe).measure]
        named = {f"{letter}{title}": getattr(found, group) for group, letter in LETTERS.items()}
        words = " ".join(f"{name} {100 * value:.1f}" for name, value in named.items() if not math.isnan(value))
        say_to_log(f"base: {words} on selection images after iteration {done}")
        for hook in runner.hooks:
            if isinstance(hook, Losses):
                hook.also = f", {words}" if words else ""
            elif isinstance(hook, Events):
                hook.add({f"selection/{name}": value for name, value in named.items()}, done - 1)
        if found.reason is not None:
            say(f"base: all figures on the selection images are 0: {found.reason}")

    def _keep_best(self, network: AlignedNetwork, done: int, found: Figures) -> None:
        """Keep the weights if none before had a higher harmonic mean, or without unseen classes a higher seen mean."""
        before = best_row([*self.curve.earlier(), *(read_losses(self.curve.path) if self.curve.begun else [])])
        figure = found.seen if math.isnan(found.harmonic) else found.harmonic
        if before is None or figure > _figure(before):
            meta = {"iterations": done, "seed": self.recipe.seed, "seen": found.seen, "unseen": found.unseen}
            save_network(self.run.best_base_file, network, {k: v for k, v in meta.items() if v == v})


def _figure(row: dict[str, str]) -> float:
    harmonic = float(row["harmonic"])
    return float(row["seen"]) if math.isnan(harmonic) else harmonic


def best_row(rows: list[dict[str, str]]) -> dict[str, str] | None:
    """Return the first line of the curve with the highest harmonic mean; None without a line."""
    known = [row for row in rows if not math.isnan(_figure(row))]
    return max(known, key=_figure) if known else None


def validation_table(recipe: Recipe, run: RunDir) -> Table | None:
    """Make the table of the best and the last measurement; None if nothing was measured."""
    rows = read_losses(run.validation_file)
    best = best_row(rows)
    if best is None:
        return None
    title = TITLES[task_of(recipe).measure]
    columns = [Column("weights", "weights"), Column("iteration", "iteration", "count")]
    columns += [Column(group, f"{letter}{title}", "percent") for group, letter in LETTERS.items()]
    table = Table("base: selection images", columns, [], [])
    for name, row in {"best": best, "last": rows[-1]}.items():
        table.rows.append(
            {"weights": name, "iteration": int(row["iteration"]), **{group: float(row[group]) for group in LETTERS}}
        )
    table.notes.append(
        f"At the increment {recipe.evaluation.inductive_increment:+g}, on at most {recipe.base.validate_images} "
        f"selection images. Later stages use the last weights, as published; {run.best_base_file.name} has the best."
    )
    return table
