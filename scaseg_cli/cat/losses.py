"""The terms of L_CAT (docs/method.md, Stage 2).

Shapes: M generated or real embeddings with a class, U real embeddings without a segment, D visual width,
C embedding width, Z latent width, K number of classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from collections.abc import Sequence

MMD_LAMBDAS = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
_NOT_A_NEGATIVE = -1e9  # a score whose exponential is 0; with -inf, a row without negatives is NaN


def mmd(generated_MD: Tensor, real_KD: Tensor, lambdas: Sequence[float] = MMD_LAMBDAS) -> Tensor:
    """Squared maximum mean discrepancy with Gaussian kernels exp(-d^2 / (2 lambda)), summed over the lambdas.

    Uses the biased estimator (means over all pairs, including a point with itself): a reading. It is never negative,
    and 0 if the two sets are equal. Its gradient is that of the unbiased one up to a factor on the generated pairs.
    """
    cross = _mean_kernel(generated_MD, real_KD, lambdas)
    within = _mean_kernel(generated_MD, generated_MD, lambdas) + _mean_kernel(real_KD, real_KD, lambdas)
    return within - 2.0 * cross


def mmd_by_class(generated_MD: Tensor, real_MD: Tensor, class_ids_M: Tensor) -> Tensor:
    """`mmd` within each class, weighted by its embeddings: generated ones of a class match the real ones of that class.

    Moment matching as in ZS3Net (Bucher et al., NeurIPS 2019), with this method's kernels.

    Args:
        generated_MD: one for each real embedding, of the same class.
        real_MD: real embeddings.
        class_ids_M: their classes.
    """
    terms = []
    for class_id in class_ids_M.unique():
        of_class = class_ids_M == class_id
        terms.append(mmd(generated_MD[of_class], real_MD[of_class]) * of_class.sum())
    return torch.stack(terms).sum() / len(class_ids_M)


def _mean_kernel(x_MD: Tensor, y_KD: Tensor, lambdas: Sequence[float]) -> Tensor:
    # |x|^2 + |y|^2 - 2xy: several times faster than cdist, and its gradient is finite at d = 0
    distances_MK = x_MD.square().sum(1)[:, None] + y_KD.square().sum(1) - 2.0 * x_MD @ y_KD.T
    summed: Tensor = _MeanKernel.apply(distances_MK.clamp_min(0.0), lambdas)  # type: ignore[no-untyped-call]
    return summed


class _MeanKernel(torch.autograd.Function):
    """The mean of exp(-d / (2 lambda)) over all pairs, summed over the lambdas; keeps one matrix for all of them."""

    @staticmethod
    def forward(ctx: Any, distances_MK: Tensor, lambdas: Sequence[float]) -> Tensor:
        """Sum the kernels, and their slopes if they are needed."""
        total = distances_MK.new_zeros(())
        slope = torch.zeros_like(distances_MK) if ctx.needs_input_grad[0] else None
        before, kernel = 0.0, distances_MK
        for width in sorted(lambdas, reverse=True):
            # the kernel of half the width is the square: no exponential
            kernel = kernel.square() if before == 2.0 * width else (distances_MK * (-0.5 / width)).exp_()
            total += kernel.sum()
            if slope is not None:
                slope.add_(kernel, alpha=-0.5 / width)
            before = width
        ctx.save_for_backward(slope)
        return total / distances_MK.numel()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of the distances."""
        (slope,) = ctx.saved_tensors
        return slope * (gradient / slope.numel()), None


def kl_divergence(mu_MZ: Tensor, log_var_MZ: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, I)): sum over latent dimensions, mean over pairs."""
    return 0.5 * (mu_MZ.square() + log_var_MZ.exp() - 1.0 - log_var_MZ).sum(1).mean()


def reconstruction(v_MD: Tensor, generated_MD: Tensor) -> Tensor:
    """|v - v^|^2: sum over dimensions, mean over pairs. Ours, not published."""
    return (v_MD - generated_MD).square().sum(1).mean()


def embedding_contrast(
    generated_MC: Tensor,
    generated_ids_M: Tensor,
    real_KC: Tensor,
    real_ids_K: Tensor,
    null_UC: Tensor | None,
    tau_r: float,
    weights_M: Tensor | None = None,
    class_negatives: bool = True,
) -> Tensor:
    """L_ec: contrast of projected generated embeddings with the batch's projected real ones, by cosine.

    For a generated f^ of class y and each positive p (a real f of class y) the term is
    -log exp s(f^, p) / (exp s(f^, p) + sum over negatives exp s(f^, n)); the mean is taken over the positives of f^,
    then over all f^ that have a positive. Leaving other positives out of the denominator is a reading.

    Args:
        generated_MC: P(v^).
        generated_ids_M: their classes.
        real_KC: P(v) of the batch.
        real_ids_K: their classes.
        null_UC: F^0, negatives of every f^; None: not used.
        tau_r: temperature.
        weights_M: weight of each f^ in the mean (the mixing weight for mixed pairs); None: 1.
        class_negatives: whether real embeddings of other classes are negatives.
    """
    compared = real_KC if null_UC is None else torch.cat([real_KC, null_UC])
    scores_MX = F.normalize(generated_MC, dim=1) @ F.normalize(compared, dim=1).T / tau_r
    positive_MK = generated_ids_M[:, None] == real_ids_K[None]
    summed_M: Tensor = _Contrast.apply(scores_MX, positive_MK, class_negatives)  # type: ignore[no-untyped-call]
    count_M = positive_MK.sum(1)
    weights = (count_M > 0).to(summed_M.dtype) * (1.0 if weights_M is None else weights_M)
    per_anchor = summed_M / count_M.clamp_min(1)
    return (per_anchor * weights).sum() / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)


class _Contrast(torch.autograd.Function):
    """Of each row, the sum over positives p of log(1 + exp(l - p)); l is the logsumexp of the negatives.

    The slopes are computed with the value: one exponential for both, and one matrix kept.
    """

    @staticmethod
    def forward(ctx: Any, scores_MX: Tensor, positive_MK: Tensor, class_negatives: bool) -> Tensor:
        """Sum the terms. X: the K real embeddings that ``positive_MK`` is of, then U negatives of every row."""
        real_scores_MK = scores_MX[:, : positive_MK.shape[1]]
        slopes_MX = scores_MX.clone()
        slopes_MK = slopes_MX[:, : positive_MK.shape[1]]
        slopes_MK.masked_fill_(positive_MK if class_negatives else torch.ones_like(positive_MK), _NOT_A_NEGATIVE)
        highest_M1 = slopes_MX.amax(1, keepdim=True)
        total_M1 = slopes_MX.sub_(highest_M1).exp_().sum(1, keepdim=True)
        above_MK = highest_M1 + total_M1.log() - real_scores_MK
        summed_M = (F.softplus(above_MK) * positive_MK).sum(1)
        if ctx.needs_input_grad[0]:
            share_MK = above_MK.sigmoid_().mul_(positive_MK)
            slopes_MX.mul_(share_MK.sum(1, keepdim=True) / total_M1)
            slopes_MK.sub_(share_MK)
            ctx.save_for_backward(slopes_MX)
        return summed_M

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_M: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the scores."""
        (slopes_MX,) = ctx.saved_tensors
        return slopes_MX * gradient_M[:, None], None, None


def semantic_cross_entropy(
    projected_MC: Tensor, class_ids_M: Tensor, embeddings_KC: Tensor, tau: float, weights_M: Tensor | None = None
) -> Tensor:
    """L_sem: cross-entropy of cos(P(v^), a_k) / tau, a weighted mean over the generated embeddings.

    Args:
        projected_MC: P(v^).
        class_ids_M: the classes they were generated for.
        embeddings_KC: unit semantic embeddings of the candidate classes.
        tau: temperature of the class logits.
        weights_M: weight of each in the mean; None: 1.
    """
    logits = F.normalize(projected_MC, dim=1) @ embeddings_KC.T / tau
    terms = F.cross_entropy(logits, class_ids_M, reduction="none")
    if weights_M is None:
        return terms.mean()
    return (terms * weights_M).sum() / weights_M.sum()
