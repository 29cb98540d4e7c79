"""The cells of the peers: one recipe for each generator, whose stages are shared with those of ablations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scaseg_cli.ablations.cells import Ablation, make_ablation
from scaseg_cli.ablations.jobs.schedule import Schedule
from scaseg_cli.ablations.plan import Plan, make_plan
from scaseg_cli.ablations.store import Store
from scaseg_cli.ablations.sweep import Sweep
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.clip_on_masks.use import without_clip

if TYPE_CHECKING:
    from scaseg_cli.ablations.jobs.launcher import JobLauncher
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

OWN = "sca"  # the cell of the recipe as it is
_PULL = 0.5  # where the recipe itself has none
_PLAIN: dict[str, Any] = {"cat.noise": "none", "union.unseen_pull.beta": 0.0}
_PADING: dict[str, Any] = {"cat.generator": "primitives", "cat.semantic_unseen": True, "cat.semantic_weight": 0.001}
_PUBLISHED: dict[str, Any] = {
    "cat.generator": "vae",
    "cat.reconstruction_weight": 0.0,
    "cat.mixup": 0.0,
    "cat.semantic_unseen": True,
    "union.unseen_margin": 0.0,
    "union.unseen_weight": None,
    "union.pseudo_unseen": 150,
}


@dataclass(frozen=True)
class Generator:
    """A generator among the peers.

    Attributes:
        name: its name on the command line and in JSON.
        title: its row.
        keys: the recipe keys that it sets.
    """

    name: str
    title: str
    keys: dict[str, Any]


def generators(recipe: Recipe) -> list[Generator]:
    """The generators that are compared with the recipe's own, without and with the pull of generated embeddings."""
    beta = recipe.union.unseen_pull.beta
    pull = {"union.unseen_pull.beta": beta if beta not in (0.0, "auto") else _PULL}
    found = [Generator("vae-published", "VAE, losses as published", _PLAIN | _PUBLISHED)]
    named = {
        "gmmn": ("GMMN", {"cat.generator": "gmmn"}),
        "pading": ("PADing's primitives", _PADING),
        "ridge": ("ridge Gaussian", {"cat.generator": "ridge"}),
    }
    for name, (title, keys) in named.items():
        found.append(Generator(name, title, _PLAIN | keys))
        found.append(Generator(f"{name}-pull", f"{title}, pull", _PLAIN | keys | pull))
    return found


@dataclass(frozen=True)
class Cell:
    """The finished stages of one generator.

    Attributes:
        recipe: its recipe.
        run: a run folder with every stage up to the fine-tuning.
        seconds: seconds of each stage, by name.
    """

    recipe: Recipe
    run: RunDir
    seconds: dict[str, float]


@dataclass(frozen=True)
class PeerPlan:
    """The cells and what is left to run of them."""

    plan: Plan
    names: dict[str, str]  # of the cell, by its row's label

    def run(self, launcher: JobLauncher) -> dict[str, Cell]:
        """Run the missing stages; returns the cells by name.

        Raises:
            ScasegError: a stage failed.
        """
        plan = self.plan
        plan.store.prepare(plan.nodes, plan.states)
        for node_id, failure in Schedule(plan, launcher).run().items():
            raise ScasegError(f"{node_id}: {failure.reason}", f"Its log is {failure.log}. The same command resumes.")
        return {name: cell for name in self.names.values() if (cell := self.cell(name)) is not None}

    def cell(self, name: str) -> Cell | None:
        """Return a cell by name; None if there is none, or a stage of it is missing."""
        plan = self.plan
        for cell in plan.cells:
            if self.names[cell.label] == name:
                node = plan.nodes[cell.nodes[-1]]
                runs = {plan.nodes[node_id].stage: plan.store.run(plan.nodes[node_id]) for node_id in cell.nodes}
                records = {stage: run.record(stage) for stage, run in runs.items()}
                if any(record is None for record in records.values()):
                    return None
                seconds = {stage: float((record or {})["seconds"]) for stage, record in records.items()}
                return Cell(node.recipe, plan.store.run(node), seconds)
        return None


def plan_cells(recipe: Recipe, work: RunDir) -> PeerPlan:
    """Plan every generator's stages up to the fine-tuning over the runs in a work folder. Nothing is written."""
    own = without_clip(recipe)
    rows = [{"label": one.name, "set": one.keys} for one in generators(own)]
    sweep = Sweep(title="peers", rows=rows, settings=["transductive"])  # type: ignore[arg-type]  # pydantic reads them
    ablation: Ablation = make_ablation("peers", sweep, own, (recipe.seed,))
    whole = make_plan([ablation], Store(work))
    nodes = {node_id: node for node_id, node in whole.nodes.items() if node.stage != "evaluation"}
    cells = [replace(cell, nodes=tuple(one for one in cell.nodes if one in nodes)) for cell in whole.cells]
    states, bases = ({one: of[one] for one in nodes} for of in (whole.states, whole.bases))
    plan = Plan(whole.store, cells, nodes, states, bases)  # type: ignore[arg-type]  # of the two dictionaries
    is_own = {row.label: row.is_default for row in ablation.rows}
    return PeerPlan(plan, {cell.label: OWN if is_own[cell.label] else cell.label for cell in cells})
