"""L_CAT's terms against slow and obvious references."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg_cli.cat.losses import (
    MMD_LAMBDAS,
    embedding_contrast,
    kl_divergence,
    mmd,
    reconstruction,
    semantic_cross_entropy,
)


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _slow_mmd(x: Tensor, y: Tensor) -> float:
    def mean_kernel(first: Tensor, second: Tensor) -> float:
        total = 0.0
        for p in first.tolist():
            for q in second.tolist():
                squared = sum((a - b) ** 2 for a, b in zip(p, q, strict=True))
                total += sum(math.exp(-squared / (2 * width)) for width in MMD_LAMBDAS)
        return total / (len(first) * len(second))

    return mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)


def test_mmd_uses_the_published_widths() -> None:
    assert MMD_LAMBDAS == (2, 5, 10, 20, 40, 60)


def test_mmd_is_the_mean_over_all_pairs() -> None:
    x, y = _normal(5, 3), _normal(7, 3, seed=1) + 0.5
    assert float(mmd(x, y)) == pytest.approx(_slow_mmd(x, y), abs=1e-5)


def test_mmd_is_nothing_between_equal_sets_and_grows_with_the_distance() -> None:
    x = _normal(6, 4)
    near, far = float(mmd(x, x + 0.3)), float(mmd(x, x + 3.0))
    assert float(mmd(x, x.flip(0))) == pytest.approx(0.0, abs=1e-5)
    assert 0 < near < far


def test_the_gradient_of_mmd_is_that_of_the_written_out_kernels() -> None:
    def written_out(x: Tensor, y: Tensor) -> Tensor:
        def mean_kernel(first: Tensor, second: Tensor) -> Tensor:
            squared = (first[:, None] - second).square().sum(2)
            return torch.stack([(squared / (-2 * width)).exp().mean() for width in MMD_LAMBDAS]).sum()

        return mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)

    x, y = (_normal(5, 3).double() + 0.5).requires_grad_(), _normal(7, 3, seed=1).double().requires_grad_()
    found = torch.autograd.grad(mmd(x, y), (x, y))
    torch.testing.assert_close(found, torch.autograd.grad(written_out(x, y), (x, y)))


def test_mmd_draws_a_generated_set_towards_the_real_one() -> None:
    x = (_normal(6, 4) + 1.0).requires_grad_(True)
    real = _normal(6, 4, seed=1)
    mmd(x, real).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert float(mmd(x.detach() - 0.5 * x.grad, real)) < float(mmd(x.detach(), real))


def test_kl_is_that_of_torch_distributions() -> None:
    mu, log_var = _normal(4, 3), 0.5 * _normal(4, 3, seed=1)
    posterior = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
    torch.testing.assert_close(kl_divergence(mu, log_var), expected)


def test_reconstruction_sums_dimensions_and_takes_the_mean_over_pairs() -> None:
    v, generated = torch.zeros(2, 3), torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
    assert float(reconstruction(v, generated)) == pytest.approx((1 + 4 + 9) / 2)


def _slow_contrast(
    generated: Tensor, ids: list[int], real: Tensor, real_ids: list[int], null: Tensor | None, tau: float
) -> float:
    def similarity(a: Tensor, b: Tensor) -> float:
        return float(F.cosine_similarity(a, b, dim=0)) / tau

    anchors = []
    for f, y in zip(generated, ids, strict=True):
        negatives = [similarity(f, other) for other, z in zip(real, real_ids, strict=True) if z != y]
        negatives += [similarity(f, other) for other in (null if null is not None else [])]
        terms = []
        for other, z in zip(real, real_ids, strict=True):
            if z == y:
                top = math.exp(similarity(f, other))
                terms.append(-math.log(top / (top + sum(math.exp(n) for n in negatives))))
        if terms:
            anchors.append(sum(terms) / len(terms))
    return sum(anchors) / len(anchors)


@pytest.mark.parametrize("with_null", [True, False])
def test_contrast_counts_real_ones_of_the_class_against_all_others(with_null: bool) -> None:
    generated, real, null = _normal(4, 5), _normal(6, 5, seed=1), _normal(3, 5, seed=2)
    ids, real_ids = [0, 1, 2, 9], [0, 0, 1, 2, 2, 2]  # class 9 has no positive
    negatives = null if with_null else None
    expected = _slow_contrast(generated, ids, real, real_ids, negatives, 0.5)
    found = embedding_contrast(generated, torch.tensor(ids), real, torch.tensor(real_ids), negatives, 0.5)
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("class_negatives", [True, False])
@pytest.mark.parametrize("tau", [0.01, 0.5])  # at 0.01 most terms are beyond what an exponential can hold
def test_slopes_of_the_contrast_are_those_of_its_formula(class_negatives: bool, tau: float) -> None:
    generated, real, null = (_normal(size, 5, seed=size).double() for size in (4, 6, 3))
    generated.requires_grad_()
    ids, real_ids = torch.tensor([0, 1, 2, 9]), torch.tensor([0, 0, 1, 2, 2, 2])
    found = embedding_contrast(generated, ids, real, real_ids, null, tau, class_negatives=class_negatives)
    (slopes,) = torch.autograd.grad(found, generated)

    scores, against_null = (F.normalize(generated) @ F.normalize(other).T / tau for other in (real, null))
    positive = ids[:, None] == real_ids
    negatives = [scores.masked_fill(positive, -torch.inf)] if class_negatives else []
    terms = F.softplus(torch.cat([*negatives, against_null], 1).logsumexp(1, keepdim=True) - scores) * positive
    expected = (terms.sum(1)[:3] / positive.sum(1)[:3]).mean()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(slopes, torch.autograd.grad(expected, generated)[0])


def test_contrast_is_higher_with_null_negatives() -> None:
    generated, real, null = _normal(4, 5), _normal(4, 5, seed=1), _normal(3, 5, seed=2)
    ids = torch.tensor([0, 0, 1, 1])
    without = embedding_contrast(generated, ids, real, ids, None, 0.1)
    assert float(embedding_contrast(generated, ids, real, ids, null, 0.1)) > float(without)
    assert embedding_contrast(generated, ids, real, ids, null[:0], 0.1) == without


def test_contrast_without_any_negative_is_nothing_and_has_a_gradient() -> None:
    generated = _normal(3, 5).requires_grad_(True)
    ids = torch.zeros(3, dtype=torch.long)
    loss = embedding_contrast(generated, ids, _normal(3, 5, seed=1), ids, None, 0.07)
    loss.backward()
    assert float(loss) == 0.0
    assert generated.grad is not None
    assert generated.grad.isfinite().all()


def test_contrast_without_any_positive_is_nothing() -> None:
    ids = torch.zeros(3, dtype=torch.long)
    assert float(embedding_contrast(_normal(3, 5), ids, _normal(3, 5, seed=1), ids + 1, None, 0.07)) == 0.0


def test_contrast_weighs_anchors() -> None:
    generated, real = _normal(2, 5), _normal(4, 5, seed=1)
    ids, real_ids = torch.tensor([0, 1]), torch.tensor([0, 1, 1, 0])
    single = [
        float(embedding_contrast(generated[i : i + 1], ids[i : i + 1], real, real_ids, None, 0.3)) for i in (0, 1)
    ]
    found = embedding_contrast(generated, ids, real, real_ids, None, 0.3, torch.tensor([0.75, 0.25]))
    assert float(found) == pytest.approx(0.75 * single[0] + 0.25 * single[1], rel=1e-5)


def test_semantic_loss_is_the_cross_entropy_of_cosines() -> None:
    projected, classes = _normal(3, 4), F.normalize(_normal(5, 4, seed=1), dim=1)
    ids, tau = [4, 0, 2], 0.2
    expected = []
    for f, y in zip(projected, ids, strict=True):
        exponentials = [math.exp(float(F.cosine_similarity(f, a, dim=0)) / tau) for a in classes]
        expected.append(-math.log(exponentials[y] / sum(exponentials)))
    found = semantic_cross_entropy(projected, torch.tensor(ids), classes, tau)
    assert float(found) == pytest.approx(sum(expected) / 3, rel=1e-5)
    weighted = semantic_cross_entropy(projected, torch.tensor(ids), classes, tau, torch.tensor([2.0, 1.0, 1.0]))
    assert float(weighted) == pytest.approx((2 * expected[0] + expected[1] + expected[2]) / 4, rel=1e-5)
