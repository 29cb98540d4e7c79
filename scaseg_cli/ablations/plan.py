"""The plan of ablations: which stages the cells need, which of them are finished, and which are left to run.

A cell is a recipe, and a stage's `recipe_key` is a hash of the recipe's part in its result. The plan is therefore a
graph of (stage, key) nodes. Cells that differ only after a stage share its node. Whether a node's result is up to date
is another question, which `Store.state` answers from the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

from scaseg_cli.ablations.store import StageNode, State, Store
from scaseg_cli.stages import STAGES, needs_of, recipe_key, stages_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scaseg_cli.ablations.cells import Ablation
    from scaseg_cli.recipe.schema import Recipe

# One job runs such a stage for all cells with the same base model, in one pass of the network.
JOINT = ("union", "evaluation")


@dataclass(frozen=True)
class AblationCell:
    """One row with one seed, and the stages that lead to its figures.

    Attributes:
        ablation: the ablation's name.
        label: the row's label.
        seed: the seed.
        nodes: ids of its stages, in order; the evaluation is last.
        num_plain: number of stages that `scaseg run` would run for it in a run folder of its own.
    """

    ablation: str
    label: str
    seed: int
    nodes: tuple[str, ...]
    num_plain: int

    @property
    def title(self) -> str:
        """The cell's name in messages."""
        return f"{self.ablation}, {self.label}, seed {self.seed}"


@dataclass(frozen=True)
class StageJob:
    """A unit of work: one stage of one cell, or one stage of all cells that share a base model.

    Attributes:
        stage: the stage.
        nodes: ids of the nodes that it runs.
        needs: ids of the earlier nodes that have to run first.
    """

    stage: str
    nodes: tuple[str, ...]
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """A unique name that is also a valid file name."""
        return self.nodes[0]


@dataclass(frozen=True)
class Plan:
    """The stages that a list of ablations needs.

    Attributes:
        store: holds the stages' results.
        cells: the cells of all ablations.
        nodes: stages by id, each one after the stages that it needs.
        states: state of each stage, by id.
        bases: base model of each stage, by id; for a stage before the base, the first base model that needs it.
    """

    store: Store
    cells: list[AblationCell]
    nodes: dict[str, StageNode]
    states: dict[str, State]
    bases: dict[str, str]

    @property
    def missing(self) -> list[StageNode]:
        """The stages that have to run."""
        return [node for node in self.nodes.values() if self.states[node.id] == "missing"]

    @property
    def num_plain(self) -> int:
        """The number of stages that a plain loop over the cells would run, each cell in its own run folder."""
        return sum(cell.num_plain for cell in self.cells)

    def cells_of(self, node_id: str) -> list[AblationCell]:
        """Return the cells that need a stage."""
        return [cell for cell in self.cells if node_id in cell.nodes]

    def jobs(self) -> list[StageJob]:
        """Return the jobs that have to run, grouped by base model."""
        order = list(dict.fromkeys(self.bases.values()))
        groups: dict[tuple[int, int, str], list[str]] = {}
        for node in self.missing:
            base = self.bases[node.id]
            group = base if node.stage in JOINT else node.id
            groups.setdefault((order.index(base), list(STAGES).index(node.stage), group), []).append(node.id)
        missing = {node.id for node in self.missing}
        jobs = []
        for _, ids in sorted(groups.items(), key=lambda item: item[0][:2]):
            needs = dict.fromkeys(earlier for node_id in ids for earlier in self.nodes[node_id].earlier)
            jobs.append(
                StageJob(self.nodes[ids[0]].stage, tuple(ids), tuple(need for need in needs if need in missing))
            )
        return jobs

    def estimate(self, nodes: Iterable[StageNode]) -> float | None:
        """Estimate the seconds of a sequential run of ``nodes`` from the records of such stages; None if unknown."""
        known = self._known_seconds()
        seconds = [_scaled(known.get(node.stage, []), node) for node in nodes]
        return None if None in seconds else sum(second for second in seconds if second is not None)

    def _known_seconds(self) -> dict[str, list[tuple[int, float]]]:
        """Iterations and seconds of each record in the store and the work folder, by stage."""
        known: dict[str, list[tuple[int, float]]] = {}
        for node in self.nodes.values():
            for run in (self.store.run(node), self.store.work):
                record = run.record(node.stage)
                if record is not None:
                    iterations = record["summary"].get("iterations", 0)
                    iterations = iterations if type(iterations) is int else 0  # edited by hand
                    known.setdefault(node.stage, []).append((iterations, float(record["seconds"])))
        return known


def _scaled(known: list[tuple[int, float]], node: StageNode) -> float | None:
    """Mean seconds; those of a training are scaled to the node's number of iterations."""
    if not known:
        return None
    wanted = getattr(getattr(node.recipe, node.stage, None), "iterations", 0)
    return mean(seconds * wanted / iterations if iterations and wanted else seconds for iterations, seconds in known)


def make_plan(ablations: Sequence[Ablation], store: Store) -> Plan:
    """Plan the stages of all cells of ``ablations``, with their states. Nothing is written."""
    recipes = [
        (ablation.name, row.label, seed, recipe)
        for ablation in ablations
        for row in ablation.rows
        for seed, recipe in row.recipes.items()
    ]
    whole = {recipe_key(recipe, "evaluation") for *_, recipe in recipes if recipe.evaluation.setting == "both"}
    nodes: dict[str, StageNode] = {}
    bases: dict[str, str] = {}
    cells = []
    for ablation, label, seed, recipe in recipes:
        own = _nodes_of(_widened(recipe, whole, store))
        base = next(node.id for node in own if node.stage == "base")
        for node in own:
            nodes.setdefault(node.id, node)
            bases.setdefault(node.id, base)
        cells.append(AblationCell(ablation, label, seed, tuple(node.id for node in own), len(_nodes_of(recipe))))
    return Plan(store, cells, nodes, {node.id: store.state(node) for node in nodes.values()}, bases)


def _widened(recipe: Recipe, whole: set[str], store: Store) -> Recipe:
    """The recipe, or its variant for both settings if that evaluation, which covers it, is finished or planned."""
    if recipe.evaluation.setting == "both":
        return recipe
    both = recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"setting": "both"})})
    key = recipe_key(both, "evaluation")
    planned = key in whole or store.state(StageNode("evaluation", key, both, ())) != "missing"
    return both if planned else recipe


def _nodes_of(recipe: Recipe) -> list[StageNode]:
    stages = [stage for stage in stages_for(recipe) if stage != "data" or recipe.data.shapes is not None]
    ids: dict[str, str] = {}
    nodes = []
    for stage in stages:
        earlier = _earlier(recipe, stage)
        node = StageNode(
            stage, recipe_key(recipe, stage), recipe, tuple(ids[name] for name in stages if name in earlier)
        )
        ids[stage] = node.id
        nodes.append(node)
    return nodes


def _earlier(recipe: Recipe, stage: str) -> set[str]:
    """All stages that ``stage`` builds on."""
    return {name for need in needs_of(recipe, stage) for name in (need, *_earlier(recipe, need))}
