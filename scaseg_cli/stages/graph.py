"""The stages of the method, and what each depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe


@dataclass(frozen=True)
class Stage:
    """One stage of the method.

    Attributes:
        name: the stage, its recipe section, its package and its folder in the run folder.
        command: the command that runs it.
        needs: stages whose results it reads.
        sections: the recipe's dotted keys that change its result.
        lists: the split's lists that it reads: ``classes``, ``train``, ``selection`` or ``validation``.
    """

    name: str
    command: str
    needs: tuple[str, ...]
    sections: tuple[str, ...]
    lists: tuple[str, ...] = ()


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("data", "split-dataset", (), ("data.shapes",)),
        Stage("split", "split-dataset", ("data",), ("task", "data", "split")),
        Stage("embeddings", "embed-classes", ("split",), ("data.names", "clip", "embeddings"), ("classes",)),
        Stage(
            "base",
            "train-base",
            ("split", "embeddings"),
            ("seed", "task", "data.exif", "clip", "base"),
            ("classes", "train"),
        ),
        Stage("queries", "train-cat", ("base",), ("seed", "queries"), ("train",)),
        Stage(
            "folds",
            "choose",
            ("split", "embeddings"),
            ("seed", "task", "data.exif", "clip", "base", "queries", "folds"),
            ("classes", "train"),
        ),
        Stage("choose", "choose", ("folds",), ("seed", "cat", "union", "choose", "evaluation")),
        Stage("cat", "train-cat", ("queries", "embeddings"), ("seed", "cat")),
        Stage("union", "union-finetune", ("cat",), ("seed", "union", "evaluation"), ("selection",)),
        Stage("evaluation", "evaluate", ("union",), ("evaluation",), ("validation",)),
    )
}
_CLIP_ON_MASKS = {
    "clip_on_masks": "none",
    "clip_weights": "fixed",
    "clip_seen_weight": 0.4,
    "clip_unseen_weight": 0.8,
    "clip_fill": "mean",
    "clip_box": 1.25,
}
_OF_TRAINING = ("workers", "checkpoint_every", "log_every", "validate_every", "validate_images")
# (stage, section): keys that change how the stage runs but not its result.
NO_EFFECT: dict[tuple[str, str], tuple[str, ...]] = {
    ("base", "base"): _OF_TRAINING,
    ("folds", "base"): _OF_TRAINING,
    ("choose", "cat"): ("checkpoint_every",),
    ("choose", "union"): ("checkpoint_every",),
    ("choose", "evaluation"): ("batch_size", "setting", "inductive_increment", "choose_on", *_CLIP_ON_MASKS),
    ("cat", "cat"): ("checkpoint_every",),
    ("union", "union"): ("checkpoint_every",),
    ("union", "evaluation"): ("batch_size", "setting", "inductive_increment", *_CLIP_ON_MASKS),
    ("evaluation", "evaluation"): ("batch_size",),
}
# (stage, section): keys that older versions lacked. At the value that does what they did, they leave the key as it was.
ADDED: dict[tuple[str, str], dict[str, Any]] = {
    ("base", "base"): {"init": None, "segmentor": "mask2former"},
    ("cat", "cat"): {"primitives": 400, "alignment_weight": 0.0001},
    ("union", "union"): {"unseen_text": "own", "unseen_codes": "text", "projector": "trained"},
    ("union", "evaluation"): {"choose_on": "unseen_labels"},
    ("evaluation", "evaluation"): {"choose_on": "unseen_labels", **_CLIP_ON_MASKS},
}


def needs_of(recipe: Recipe, stage: str) -> tuple[str, ...]:
    """The stages whose results ``stage`` reads.

    Evaluation in the inductive setting does not need stages 2 and 3. A recipe that chooses on folds needs the choice.
    """
    if stage == "evaluation" and recipe.evaluation.setting == "inductive":
        return ("base",)
    chooses = (stage == "cat" and recipe.cat.noise == "auto") or (stage == "union" and recipe.needs_folds)
    return (*STAGES[stage].needs, "choose") if chooses else STAGES[stage].needs


def lists_read(recipe: Recipe, stage: str) -> tuple[str, ...]:
    """The split's lists that ``stage`` reads; stage 3 reads selection images only to choose on their labels."""
    if stage == "union" and recipe.evaluation.choose_on != "unseen_labels":
        return ()
    return STAGES[stage].lists


def stages_for(recipe: Recipe) -> list[str]:
    """The stages that this recipe's evaluation needs, in order."""
    wanted = {"evaluation"}
    for stage in reversed(STAGES):
        if stage in wanted:
            wanted.update(needs_of(recipe, stage))
    return [stage for stage in STAGES if stage in wanted]
