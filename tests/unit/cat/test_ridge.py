"""The ridge Gaussian against numpy's closed form and a leave-one-out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from scaseg_cli.cat.ridge import STRENGTHS, RidgeGaussian, class_means, leave_one_out_errors, shared_covariance


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _numpy_ridge(a: np.ndarray, v: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Minimises |v - a W - b|^2 + strength |W|^2 with one linear system; b is free."""
    design = np.hstack([a, np.ones((len(a), 1))])
    penalty = strength * np.eye(design.shape[1])
    penalty[-1, -1] = 0.0
    solution = np.linalg.solve(design.T @ design + penalty, design.T @ v)
    return solution[:-1], solution[-1]


def test_leave_one_out_equals_fitting_without_each_class() -> None:
    a, means = _normal(7, 4), _normal(7, 3, seed=1)
    strengths = torch.tensor([0.01, 0.5, 20.0], dtype=torch.float64)
    expected = []
    for strength in strengths.tolist():
        errors = []
        for left in range(7):
            kept = [i for i in range(7) if i != left]
            weight, intercept = _numpy_ridge(a[kept].numpy(), means[kept].numpy(), strength)
            errors.append(((a[left].numpy() @ weight + intercept - means[left].numpy()) ** 2).sum())
        expected.append(np.mean(errors))
    np.testing.assert_allclose(leave_one_out_errors(a, means, strengths).numpy(), expected, rtol=1e-9)


def test_leave_one_out_works_with_more_dimensions_than_classes() -> None:
    a, means = _normal(5, 12), _normal(5, 3, seed=1)
    weight, intercept = _numpy_ridge(a[1:].numpy(), means[1:].numpy(), 0.3)
    first = ((a[0].numpy() @ weight + intercept - means[0].numpy()) ** 2).sum()
    others = []
    for left in range(1, 5):
        kept = [i for i in range(5) if i != left]
        w, b = _numpy_ridge(a[kept].numpy(), means[kept].numpy(), 0.3)
        others.append(((a[left].numpy() @ w + b - means[left].numpy()) ** 2).sum())
    found = leave_one_out_errors(a, means, torch.tensor([0.3], dtype=torch.float64))
    assert float(found) == pytest.approx(np.mean([first, *others]), rel=1e-9)


def _queries(noise: float = 0.5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Embeddings whose class means are linear in the semantic embeddings; class 2 never occurs."""
    embeddings, weight = _normal(6, 4), _normal(4, 3, seed=1)
    ids = torch.tensor([0, 1, 3, 4, 5]).repeat_interleave(400)
    v = embeddings[ids] @ weight + 1.0 + noise * _normal(len(ids), 3, seed=2) * torch.tensor([1.0, 2.0, 0.0])
    return v.float(), ids, embeddings.float(), weight.float()


def test_fit_is_numpys_ridge_at_the_best_strength() -> None:
    v, ids, embeddings, _ = _queries()
    ridge = RidgeGaussian.fit(v, ids, embeddings)
    present = [0, 1, 3, 4, 5]
    a = embeddings[present].double().numpy()
    means = np.stack([v[ids == k].double().numpy().mean(0) for k in present])
    scale = ((a - a.mean(0)) ** 2).sum(1).mean()
    errors = leave_one_out_errors(torch.tensor(a), torch.tensor(means), scale * torch.tensor(STRENGTHS).double())
    strength = scale * STRENGTHS[int(errors.argmin())]
    assert ridge.strength == pytest.approx(strength, rel=1e-5)
    weight, intercept = _numpy_ridge(a, means, strength)
    np.testing.assert_allclose(ridge.weight_CD.numpy(), weight, atol=1e-4)
    np.testing.assert_allclose(ridge.intercept_D.numpy(), intercept, atol=1e-4)


def test_a_class_that_never_occurs_is_predicted_from_the_others() -> None:
    v, ids, embeddings, weight = _queries(noise=0.05)
    predicted = RidgeGaussian.fit(v, ids, embeddings).mean(embeddings[2:3])[0]
    truth = embeddings[2] @ weight + 1.0
    base = v.mean(0)
    assert float((predicted - truth).norm()) < 0.3 * float((base - truth).norm())


def test_class_means_and_shared_covariance_are_numpys() -> None:
    v, ids, _, _ = _queries()
    present, means = class_means(v, ids)
    assert present.tolist() == [0, 1, 3, 4, 5]
    np.testing.assert_allclose(means[2].numpy(), v[ids == 3].numpy().mean(0), rtol=1e-4)
    pooled = np.mean([np.cov(v[ids == k].double().numpy().T, bias=True) for k in present.tolist()], axis=0)
    np.testing.assert_allclose(
        shared_covariance(v.double(), ids).numpy(), pooled * len(v) / (len(v) - 5), rtol=1e-6, atol=1e-12
    )


def test_samples_have_the_mean_and_the_covariance_even_a_singular_one() -> None:
    v, ids, embeddings, _ = _queries()  # the third dimension does not vary within a class
    ridge = RidgeGaussian.fit(v, ids, embeddings)
    drawn = ridge.sample(embeddings[2:3].expand(20000, -1), torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(0), ridge.mean(embeddings[2]), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), shared_covariance(v, ids), atol=0.05, rtol=0)


def test_samples_depend_on_the_generator_alone() -> None:
    v, ids, embeddings, _ = _queries()
    ridge = RidgeGaussian.fit(v, ids, embeddings)
    first, again, other = (ridge.sample(embeddings, torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
