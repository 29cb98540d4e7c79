"""The fine-tuning loss: weights and margin."""

from __future__ import annotations

import math

import pytest
import torch

from scaseg_cli.recipe.schema import Union
from scaseg_cli.union.loss import FinetuneLoss

LOGITS = torch.tensor([[1.0, 0.0, 2.0, -1.0], [0.5, 0.5, 0.0, 3.0], [0.0, 1.0, 1.5, 0.0]])
LABELS = torch.tensor([0, 3, 2])  # seen, no-object, unseen; classes 0 and 1 are seen, 2 is not


def _slow(weights: list[float], margin: float) -> float:
    total = 0.0
    for row, label, weight in zip(LOGITS.tolist(), LABELS.tolist(), weights, strict=True):
        lowered = [value - margin * (k == 2) for k, value in enumerate(row)]
        total -= weight * math.log(math.exp(lowered[label]) / sum(math.exp(value) for value in lowered))
    return total / sum(weights)


@pytest.mark.parametrize("margin", [0.0, 3.0])
def test_the_loss_is_the_weighted_mean_cross_entropy(margin: float) -> None:
    loss = FinetuneLoss(num_seen=2, num_classes=3, unseen_weight=5.0, no_object_weight=0.1, margin=margin)
    assert float(loss(LOGITS, LABELS)) == pytest.approx(_slow([1.0, 0.1, 5.0], margin), rel=1e-5)


def test_the_margin_leaves_the_logits_as_they_were() -> None:
    logits = LOGITS.clone()
    FinetuneLoss(2, 3, 1.0, 0.1, margin=3.0)(logits, LABELS)
    assert torch.equal(logits, LOGITS)


def test_the_margin_drives_unseen_logits_up() -> None:
    gradients = []
    for margin in (0.0, 3.0):
        logits = LOGITS.clone().requires_grad_(True)
        FinetuneLoss(2, 3, 1.0, 0.1, margin)(logits, LABELS).backward()
        assert logits.grad is not None
        gradients.append(float(logits.grad[:, 2].sum()))
    assert gradients[1] < gradients[0]


def test_without_an_unseen_weight_generated_and_real_embeddings_weigh_the_same() -> None:
    loss = FinetuneLoss.of(Union(), num_seen=10, num_classes=13, no_object_weight=0.1)
    assert loss.weights(torch.tensor([0, 9, 10, 12, 13])).tolist() == pytest.approx([1, 1, 1, 1, 0.1])


@pytest.mark.parametrize(("pseudo_unseen", "pseudo_seen"), [(20, 0), (7, 0), (20, 5)])
def test_an_unseen_class_weighs_a_multiple_of_the_mean_seen_class(pseudo_unseen: int, pseudo_seen: int) -> None:
    config = Union(batch_size=80, pseudo_unseen=pseudo_unseen, pseudo_seen=pseudo_seen, unseen_weight=3.0)
    loss = FinetuneLoss.of(config, num_seen=10, num_classes=13, no_object_weight=0.1)
    seen = torch.arange(10).repeat_interleave(80 // 10 + pseudo_seen)
    unseen = torch.arange(10, 13).repeat_interleave(pseudo_unseen)
    per_seen, per_unseen = float(loss.weights(seen).sum()) / 10, float(loss.weights(unseen).sum()) / 3
    assert per_unseen == pytest.approx(3.0 * per_seen, rel=1e-5)


def test_an_unseen_weight_without_generated_embeddings_has_no_effect() -> None:
    config = Union(pseudo_unseen=0, unseen_weight=3.0)
    assert FinetuneLoss.of(config, 10, 13, 0.1).unseen_weight == 1.0


def test_the_recipes_margin_and_no_object_weight_are_taken() -> None:
    loss = FinetuneLoss.of(Union(unseen_margin=2.5), num_seen=10, num_classes=13, no_object_weight=0.3)
    assert (loss.margin, loss.no_object_weight) == (2.5, 0.3)
