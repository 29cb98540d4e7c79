"""The columns of predictions: ours, and a baseline, which is our base model or another method (a peer)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scaseg_cli.base.classifier import load_classifier
from scaseg_cli.base.projector import load_projector
from scaseg_cli.evaluation.candidates import Candidate
from scaseg_cli.evaluation.clip_on_masks.tuning import use_in

if TYPE_CHECKING:
    from scaseg_cli.external.peer import Peer
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.tasks import Setting

_TUNED = "fine-tuned with generated unseen queries"


@dataclass(frozen=True)
class Column:
    """A column of predictions.

    Attributes:
        key: the column's name in JSON.
        title: title above the column.
        remark: text below the title.
        source: a classifier on our masks, or a peer's predictions in files.
    """

    key: Literal["baseline", "ours"]
    title: str
    remark: str
    source: Candidate | Peer


def columns_of(
    recipe: Recipe, run: RunDir, setting: Setting, peer: Peer | Candidate | None, name: str | None
) -> list[Column]:
    """Create the columns: the baseline, if there is one, and ours.

    Without a peer, the baseline of the transductive model is the inductive one. The baseline of the inductive model is
    the base model without increment; if the two are equal, there is no baseline.

    Args:
        recipe: the run's recipe.
        run: the run folder, with the stages that ``setting`` needs.
        setting: the setting of our model.
        peer: another method: its predictions in files, or a classifier on our masks.
        name: title of the baseline; None means the name of the peer's folder, or "baseline" without a peer.

    Raises:
        ScasegError: files of a stage are damaged.
    """
    base = load_classifier(recipe, run).requires_grad_(False).eval()
    increment, use = recipe.evaluation.inductive_increment, use_in(recipe, run, setting)
    seen_by_clip = ", with CLIP on masks" if use is not None else ""
    if setting == "transductive":
        tuned = load_projector(recipe, run, run.projector_file)
        ours = Column("ours", "ours", _TUNED + seen_by_clip, Candidate("ours", tuned, clip=use))
    else:
        raised = increment if use is None else 0.0  # as in `predict`
        ours = Column("ours", "ours", _base(raised) + seen_by_clip, Candidate("ours", base, raised, use))
        increment = 0.0 if use is None else increment
    if isinstance(peer, Candidate):
        return [Column("baseline", name or "peer", "on the same masks", peer), ours]
    if peer is not None:
        title = name or peer.folder.resolve().name
        return [Column("baseline", title, f"predictions in {peer.folder}", peer), ours]
    if setting == "inductive" and use is None and recipe.evaluation.inductive_increment == increment:
        return [ours]
    own = Column("baseline", name or "baseline", _base(increment), Candidate("baseline", base, increment))
    return [own, ours]


def _base(increment: float) -> str:
    return f"base model, unseen logits {increment:+g}" if increment else "base model"
