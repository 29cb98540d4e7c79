"""The ridge Gaussian: a closed-form generator, the baseline for the VAE. Ours, not published.

Ridge regression with a free intercept predicts class means from semantic embeddings. Its strength is chosen by
leave-one-out error over the seen classes. Every class has the shared covariance of the seen classes.

Shapes: S seen classes with embeddings, M matched queries, n samples, D visual width, C embedding width.
"""

from __future__ import annotations

import torch
from torch import Tensor

# relative to the mean squared norm of the centred semantic embeddings
STRENGTHS = tuple(10.0**exponent for exponent in torch.linspace(-3, 2, 21).tolist())


def class_means(v_MD: Tensor, class_ids_M: Tensor) -> tuple[Tensor, Tensor]:
    """The class ids that occur, ascending [S], and the mean embedding of each [S, D]."""
    present, index = class_ids_M.unique(return_inverse=True)
    sums = v_MD.new_zeros(len(present), v_MD.shape[1]).index_add_(0, index, v_MD)
    return present, sums / index.bincount()[:, None]


def shared_covariance(v_MD: Tensor, class_ids_M: Tensor) -> Tensor:
    """The pooled within-class covariance [D, D]; all deviations from the class means have equal weight."""
    present, means = class_means(v_MD, class_ids_M)
    deviations = v_MD - means[torch.searchsorted(present, class_ids_M)]
    return deviations.T @ deviations / max(len(v_MD) - len(present), 1)


def covariance_factor(v_MD: Tensor, class_ids_M: Tensor) -> Tensor:
    """A square root of `shared_covariance` [D, D], which is factor @ factor.T."""
    values, vectors = torch.linalg.eigh(shared_covariance(v_MD, class_ids_M))
    factor_DD: Tensor = vectors * values.clamp_min(0.0).sqrt()  # after a LayerNorm the covariance may be singular
    return factor_DD


def leave_one_out_errors(a_SC: Tensor, means_SD: Tensor, strengths: Tensor) -> Tensor:
    """Leave-one-out mean squared error of the predicted class means, for each strength.

    In closed form: ridge with a free intercept is a linear smoother H, so the error of leaving out class i is its
    residual over 1 - H_ii.
    """
    num = len(a_SC)
    centred_a, centred_v = a_SC - a_SC.mean(0), means_SD - means_SD.mean(0)
    values, vectors = torch.linalg.eigh(centred_a @ centred_a.T)
    values = values.clamp_min(0.0)
    errors = []
    for strength in strengths:
        smoother = (vectors * (values / (values + strength))) @ vectors.T
        left = 1.0 - 1.0 / num - smoother.diagonal()
        errors.append(((centred_v - smoother @ centred_v) / left[:, None]).square().sum(1).mean())
    return torch.stack(errors)


class RidgeGaussian:
    """The generator N(W a + b, shared covariance).

    Args:
        weight_CD: W, transposed.
        intercept_D: b.
        factor_DD: a square root of the covariance, which is factor @ factor.T.
        strength: the chosen ridge strength.
    """

    def __init__(self, weight_CD: Tensor, intercept_D: Tensor, factor_DD: Tensor, strength: float) -> None:
        self.weight_CD, self.intercept_D, self.factor_DD, self.strength = weight_CD, intercept_D, factor_DD, strength

    @classmethod
    def fit(cls, v_MD: Tensor, class_ids_M: Tensor, embeddings_SC: Tensor) -> RidgeGaussian:
        """Fit to real seen embeddings; every class that occurs has equal weight in the regression.

        Args:
            v_MD: real embeddings.
            class_ids_M: their classes, rows of ``embeddings_SC``.
            embeddings_SC: semantic embeddings of the seen classes.
        """
        v, a = v_MD.double(), embeddings_SC.double()  # ill-conditioned in single precision
        present, means = class_means(v, class_ids_M)
        a = a[present]
        centred = a - a.mean(0)
        strengths = torch.tensor(STRENGTHS, dtype=torch.float64) * centred.square().sum(1).mean()
        strength = strengths[leave_one_out_errors(a, means, strengths).argmin()]
        gram = centred @ centred.T + strength * torch.eye(len(a), dtype=torch.float64)
        weight = centred.T @ torch.linalg.solve(gram, means - means.mean(0))
        factor = covariance_factor(v, class_ids_M)
        intercept = means.mean(0) - a.mean(0) @ weight
        return cls(weight.float(), intercept.float(), factor.float(), float(strength))

    def to(self, device: torch.device) -> RidgeGaussian:
        """Copy to ``device``."""
        return RidgeGaussian(
            self.weight_CD.to(device), self.intercept_D.to(device), self.factor_DD.to(device), self.strength
        )

    def mean(self, embeddings_nC: Tensor) -> Tensor:
        """Class means [n, D]."""
        return embeddings_nC @ self.weight_CD + self.intercept_D

    def sample(self, embeddings_nC: Tensor, generator: torch.Generator) -> Tensor:
        """Generate visual embeddings [n, D], one per row of semantic embeddings."""
        noise = torch.randn(len(embeddings_nC), len(self.intercept_D), generator=generator)
        return self.mean(embeddings_nC) + noise.to(embeddings_nC) @ self.factor_DD.T
