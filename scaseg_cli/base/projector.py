"""Fine-tuned class projectors: P and a_0 after some step, in memory and on disk."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from scaseg_cli.base.classifier import CosineClassifier, load_classifier
from scaseg_cli.checkpoints import load_module, load_tensors, save_tensors
from scaseg_cli.seeds import seeded
from scaseg_cli.split.classes import read_classes

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

KIND = "projector"
_REMEDY = "Run `scaseg union-finetune` again: it recomputes the projectors."


@dataclass(frozen=True)
class Snapshot:
    """P and a_0 after ``step`` steps, as the classifier's state: ``projector.*`` and ``no_object``."""

    step: int
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, classifier: CosineClassifier, step: int) -> Snapshot:
        """Copy the classifier's current state to the CPU."""
        return cls(step, {name: tensor.detach().cpu().clone() for name, tensor in classifier.state_dict().items()})

    def classifier(self, base: CosineClassifier) -> CosineClassifier:
        """Make a classifier over ``base``'s classes with this P and a_0."""
        tuned = copy.deepcopy(base)
        tuned.load_state_dict(self.tensors)
        return tuned.requires_grad_(False).eval()


def save_projector(path: Path, snapshot: Snapshot, meta: dict[str, Any]) -> None:
    """Write a snapshot atomically, with its step and ``meta`` in the header."""
    save_tensors(path, KIND, snapshot.tensors, {"step": snapshot.step, **meta})


def with_codes(recipe: Recipe, classifier: CosineClassifier, num_seen: int) -> CosineClassifier:
    """The classifier with the vectors of unseen classes that ``union.unseen_codes`` says; random ones are unit vectors.

    What the fine-tuned projectors classify by. Random vectors show whether it matters that the classifier reads names.
    """
    if recipe.union.unseen_codes == "text":
        return classifier
    vectors_NC = classifier.embeddings.clone()
    drawn_UC = torch.randn(vectors_NC[num_seen:].shape, generator=seeded(recipe.seed, "unseen-codes"))
    vectors_NC[num_seen:] = F.normalize(drawn_UC, dim=1).to(vectors_NC)
    return classifier.over(vectors_NC)


def load_projector(recipe: Recipe, run: RunDir, path: Path) -> CosineClassifier:
    """Load the classifier over all classes with the fine-tuned P and a_0 of ``path``, for inference.

    Raises:
        ScasegError: the file is missing, damaged or not a projector, or does not match the base model.
    """
    classifier = with_codes(recipe, load_classifier(recipe, run), read_classes(run).num_seen)
    tensors, _ = load_tensors(path, KIND, _REMEDY)
    load_module(classifier, tensors, path, _REMEDY)
    return classifier.requires_grad_(False).eval()
