"""The rows of the peers' table: a classifier on the same masks, and what it costs and knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from scaseg_cli.base.classifier import load_classifier
from scaseg_cli.base.projector import load_projector
from scaseg_cli.evaluation.candidates import Candidate
from scaseg_cli.evaluation.choices_file import read_choices
from scaseg_cli.evaluation.clip_on_masks.use import ALONE, ClipUse
from scaseg_cli.peers.cells import OWN, Cell, generators
from scaseg_cli.peers.real_queries import self_labelled, tuned_with, unseen_queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.clip.regions import MaskView

Group = Literal["own", "clip", "oracle"]
ORACLE_INCREMENT = "oracle-increment"


@dataclass(frozen=True)
class PeerRow:
    """A row before it is scored.

    Attributes:
        name: its name on the command line and in JSON.
        title: its row in the table.
        group: without an image tower at test, with one, or an oracle.
        unseen_names: whether its training reads the names of unseen classes.
        seconds: seconds of its training after the base model's.
        candidate: what is scored.
    """

    name: str
    title: str
    group: Group
    unseen_names: bool
    seconds: float
    candidate: Candidate


def own_rows(cells: Mapping[str, Cell], folder: Path) -> list[PeerRow]:
    """The rows without an image tower, and the oracle that is fine-tuned.

    Args:
        cells: the finished cells by name.
        folder: where classifiers that belong to no cell are kept.

    Raises:
        ScasegError: weights are damaged, or the images hold no unseen class.
    """
    own = cells[OWN]
    base = load_classifier(own.recipe, own.run).requires_grad_(False).eval()
    chosen = read_choices(own.run)["chosen"]
    stacked = chosen["base"]["increment"]
    found: list[PeerRow] = []

    def add(
        name: str, title: str, names: bool, seconds: float, classifier: CosineClassifier, increment: float = 0.0
    ) -> None:
        group: Group = "oracle" if name.startswith("oracle") else "own"
        found.append(PeerRow(name, title, group, names, seconds, Candidate(name, classifier, increment)))

    add("projection", "projection alone", False, 0.0, base)
    add("stacking", "calibrated stacking", False, 0.0, base, stacked)
    collected = own.seconds["queries"]
    if chosen["control"] is not None:
        control = load_projector(own.recipe, own.run, own.run.control_file)
        seconds = collected + own.seconds["union"]
        add("control", "no generator, best increment", True, seconds, control, chosen["control"]["increment"])
    for one in generators(own.recipe):
        cell = cells[one.name]
        add(one.name, one.title, True, _seconds(cell), load_projector(cell.recipe, cell.run, cell.run.projector_file))
    add(OWN, "SCA, this recipe", True, _seconds(own), load_projector(own.recipe, own.run, own.run.projector_file))
    if own.recipe.task == "zss":
        find = partial(self_labelled, own, base, stacked)
        tuned, seconds = tuned_with(own, "self-training", find, folder, is_oracle=False)
        add("self-training", "self-training", True, collected + seconds, tuned)
    tuned, seconds = tuned_with(
        own, "oracle-queries", partial(unseen_queries, own, "selection"), folder, is_oracle=True
    )
    add("oracle-queries", "oracle: real unseen queries", True, collected + seconds, tuned)
    return found


def clip_rows(rows: Sequence[PeerRow], views: Sequence[MaskView], weights: tuple[float, float]) -> list[PeerRow]:
    """The rows with CLIP on masks: alone, and beside each classifier, without an increment.

    Args:
        rows: the rows without it; the first one has the base's classifier.
        views: how CLIP sees a mask.
        weights: its exponents for seen and unseen classes.
    """
    found = []
    for view in views:
        alone = replace(rows[0].candidate, name=f"clip-{view.method}", clip=ClipUse(view, *ALONE))
        found.append(PeerRow(alone.name, f"CLIP on masks, {view.method}", "clip", False, 0.0, alone))
        for row in rows:
            if row.name == "stacking":  # is the projection without its increment
                continue
            name, title = f"{row.name}+{view.method}", f"{row.title.removesuffix(', best increment')} + {view.method}"
            candidate = replace(row.candidate, name=name, increment=0.0, clip=ClipUse(view, *weights))
            group: Group = "oracle" if row.group == "oracle" else "clip"
            found.append(replace(row, name=name, title=title, group=group, candidate=candidate))
    return found


def increment_rows(rows: Sequence[PeerRow], increments: Sequence[float]) -> list[PeerRow]:
    """Calibrated stacking at every increment, of which the oracle takes the best on the reported images themselves."""
    (row,) = (row for row in rows if row.name == "stacking")
    title = "oracle: increment of these images"
    return [
        PeerRow(
            f"{ORACLE_INCREMENT} {increment!r}",
            title,
            "oracle",
            False,
            0.0,
            replace(row.candidate, name=f"{ORACLE_INCREMENT} {increment!r}", increment=increment),
        )
        for increment in sorted({0.0, *increments})
    ]


def _seconds(cell: Cell) -> float:
    return sum(cell.seconds[stage] for stage in ("queries", "cat", "union"))
