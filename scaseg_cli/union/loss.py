"""The fine-tuning loss: weighted cross-entropy over seen, unseen and no-object (docs/method.md, Stage 3).

Shapes: T embeddings of a step, N classes of which S are seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Union


@dataclass(frozen=True)
class FinetuneLoss:
    """Cross-entropy with one weight each for seen, unseen and no-object labels, divided by the sum of the weights.

    Attributes:
        num_seen: S; labels 0..S-1 are seen.
        num_classes: N; labels S..N-1 are unseen, and label N is no-object.
        unseen_weight: of each generated unseen embedding; a seen one, real or generated, weighs 1.
        no_object_weight: of each embedding without a segment.
        margin: subtracted from the unseen logits in this loss only, so that training raises them. Ours.
    """

    num_seen: int
    num_classes: int
    unseen_weight: float
    no_object_weight: float
    margin: float

    @classmethod
    def of(cls, config: Union, num_seen: int, num_classes: int, no_object_weight: float) -> FinetuneLoss:
        """Create the recipe's loss, with its unseen weight converted from per class to per embedding.

        In each step a seen class has on average batch_size / S real and n_s generated embeddings; an unseen class has
        n_u. With ``unseen_weight`` w, an unseen class weighs w times as much in total as the mean seen class. Without
        it, every embedding weighs the same, as published.
        """
        weight = 1.0
        assert config.unseen_weight != "auto", "the values chosen on folds come first"
        if config.unseen_weight is not None and config.pseudo_unseen:
            mean_seen = config.batch_size / num_seen + config.pseudo_seen
            weight = config.unseen_weight * mean_seen / config.pseudo_unseen
        return cls(num_seen, num_classes, weight, no_object_weight, config.unseen_margin)

    def weights(self, labels_T: Tensor) -> Tensor:
        """Return the weight of each embedding [T], by its label."""
        weights = torch.ones(len(labels_T), device=labels_T.device)
        weights[labels_T >= self.num_seen] = self.unseen_weight
        weights[labels_T == self.num_classes] = self.no_object_weight
        return weights

    def __call__(self, logits_TN1: Tensor, labels_T: Tensor) -> Tensor:
        """Compute the loss of a step from the classifier's logits [T, N + 1], no-object last."""
        if self.margin:
            handicap = torch.zeros_like(logits_TN1[0])
            handicap[self.num_seen : self.num_classes] = self.margin
            logits_TN1 = logits_TN1 - handicap
        weights = self.weights(labels_T)
        terms = F.cross_entropy(logits_TN1, labels_T, reduction="none")
        return (terms * weights).sum() / weights.sum()
