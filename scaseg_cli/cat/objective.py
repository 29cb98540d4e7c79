"""The loss of a generator for one batch: L_CAT of the VAE, moment matching, or PADing's (docs/method.md, Stage 2).

Shapes: M matched queries, U queries without a segment, W generated unseen, D visual width, C embedding width,
N classes of which S are seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scaseg_cli.cat.alignment import primitive_terms
from scaseg_cli.cat.losses import (
    embedding_contrast,
    kl_divergence,
    mmd,
    mmd_by_class,
    reconstruction,
    semantic_cross_entropy,
)
from scaseg_cli.cat.network import VariationalGenerator
from scaseg_cli.cat.primitives import PrimitiveGenerator

if TYPE_CHECKING:
    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.cat.network import NoiseGenerator
    from scaseg_cli.recipe.schema import Cat


def mixing_weights(alpha: float, size: int, generator: torch.Generator) -> Tensor:
    """Draw the weight of the first member of each pair from Beta(alpha, alpha), [size]."""
    seed = int(torch.randint(2**62, (), generator=generator))  # torch's Beta takes no generator
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, size)).float()


class CatObjective:
    """Computes the unweighted loss terms and their weighted sum.

    With ``mixup`` (ours) each pair (a, v) is mixed with another pair of the batch, by weights from Beta(alpha, alpha).
    v^ is compared with the mixed v. Terms that need a class count v^ for both classes, by their weights. The generator
    thus learns the space between the seen classes' semantic embeddings, which contains the unseen ones.

    Args:
        config: the recipe's ``cat`` section.
        classifier: the frozen P, and tau, over all N classes.
        num_seen: number of seen classes S.
    """

    def __init__(self, config: Cat, classifier: CosineClassifier, num_seen: int) -> None:
        self.config, self.classifier, self.num_seen = config, classifier, num_seen
        self.embeddings_NC = classifier.embeddings
        self.weights = {
            "mmd": config.mmd_weight,
            "kl": config.kl_weight,
            "reconstruction": config.reconstruction_weight,
            "contrast": config.contrast_weight,
            "semantic": config.semantic_weight,
            "alignment": config.alignment_weight,
        }

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The weighted sum of ``terms``."""
        return torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()

    def terms(
        self,
        network: NoiseGenerator,
        v_MD: Tensor,
        class_ids_M: Tensor,
        null_UD: Tensor,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Compute every term whose weight is not 0.

        Args:
            network: the generator, in training mode. Moment matching has the term ``mmd`` alone, by class; PADing's
                generator has ``mmd``, ``alignment`` and ``semantic``.
            v_MD: real matched embeddings.
            class_ids_M: their seen classes.
            null_UD: real unmatched embeddings.
            generator: random generator of the iteration, on the CPU.
        """
        if isinstance(network, PrimitiveGenerator):
            unseen, parts = self.config.semantic_unseen, (self.classifier, self.num_seen)
            found = primitive_terms(network, v_MD, class_ids_M, *parts, generator, unseen)
            return {name: term for name, term in found.items() if self.weights[name] > 0}
        if not isinstance(network, VariationalGenerator):
            z = torch.randn((len(v_MD), network.latent), generator=generator).to(v_MD)
            return {"mmd": mmd_by_class(network.decode(z, self.embeddings_NC[class_ids_M]), v_MD, class_ids_M)}
        pairs_MD, pairs_MC, ids, weights = self._pairs(v_MD, class_ids_M, generator)
        mu, log_var = network.encode(pairs_MD, pairs_MC)
        noise = torch.randn(mu.shape, generator=generator).to(mu)
        z = mu + torch.exp(0.5 * log_var) * noise
        unseen_ids = self._unseen_ids(len(v_MD), generator).to(class_ids_M)
        z_unseen = torch.randn((len(unseen_ids), network.latent), generator=generator).to(z)
        a_all = torch.cat([pairs_MC, self.embeddings_NC[unseen_ids]])
        v_all = network.decode(torch.cat([z, z_unseen]), a_all)
        v_hat, v_hat_unseen = v_all[: len(v_MD)], v_all[len(v_MD) :]
        wanted = {name for name, weight in self.weights.items() if weight > 0}
        terms: dict[str, Tensor] = {}
        if "mmd" in wanted:
            terms["mmd"] = mmd(v_hat, pairs_MD)
        if "kl" in wanted:
            terms["kl"] = kl_divergence(mu, log_var)
        if "reconstruction" in wanted:
            terms["reconstruction"] = reconstruction(pairs_MD, v_hat)
        in_visual = self.config.contrast_space == "visual"
        if "semantic" in wanted or ("contrast" in wanted and not in_visual):
            f_hat = self.classifier.project(v_hat)
            f_hat = f_hat if len(ids) == len(f_hat) else torch.cat([f_hat, f_hat])
        if "contrast" in wanted:
            both = v_hat if len(ids) == len(v_hat) else torch.cat([v_hat, v_hat])
            anchors = both if in_visual else f_hat
            terms["contrast"] = self._contrast(anchors, ids, weights, v_MD, class_ids_M, null_UD)
        if "semantic" in wanted:
            terms["semantic"] = self._semantic(f_hat, ids, weights, v_hat_unseen, unseen_ids)
        return terms

    def _pairs(
        self, v_MD: Tensor, class_ids_M: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pairs (v, a), and the class ids and weights that they count for: two of each for a mixed pair."""
        a_MC = self.embeddings_NC[class_ids_M]
        if self.config.mixup == 0:
            return v_MD, a_MC, class_ids_M, torch.ones_like(v_MD[:, 0])
        partner = torch.randperm(len(v_MD), generator=generator).to(class_ids_M)
        weight = mixing_weights(self.config.mixup, len(v_MD), generator).to(v_MD)
        mixed = [weight[:, None] * x + (1.0 - weight[:, None]) * x[partner] for x in (v_MD, a_MC)]
        ids = torch.cat([class_ids_M, class_ids_M[partner]])
        return mixed[0], mixed[1], ids, torch.cat([weight, 1.0 - weight])

    def _unseen_ids(self, num_matched: int, generator: torch.Generator) -> Tensor:
        """Unseen classes to generate for the semantic loss: per class, as many as the average seen class has."""
        num_unseen = len(self.embeddings_NC) - self.num_seen
        if not (self.config.semantic_unseen and self.config.semantic_weight > 0 and num_unseen):
            return torch.empty(0, dtype=torch.long)
        count = max(1, round(num_matched * num_unseen / self.num_seen))
        return self.num_seen + torch.randint(num_unseen, (count,), generator=generator)

    def _contrast(
        self, anchors: Tensor, ids: Tensor, weights: Tensor, v_MD: Tensor, class_ids_M: Tensor, null_UD: Tensor
    ) -> Tensor:
        config = self.config
        real, null = v_MD, null_UD if config.null_negatives and len(null_UD) else None
        if config.contrast_space == "projected":
            with torch.no_grad():
                real, null = self.classifier.project(real), None if null is None else self.classifier.project(null)
        return embedding_contrast(anchors, ids, real, class_ids_M, null, config.tau_r, weights, config.class_negatives)

    def _semantic(
        self, f_hat: Tensor, ids: Tensor, weights: Tensor, v_hat_unseen: Tensor, unseen_ids: Tensor
    ) -> Tensor:
        classes = self.embeddings_NC if self.config.semantic_unseen else self.embeddings_NC[: self.num_seen]
        f_all = torch.cat([f_hat, self.classifier.project(v_hat_unseen)])
        weights = torch.cat([weights, torch.ones_like(v_hat_unseen[:, 0])])
        return semantic_cross_entropy(f_all, torch.cat([ids, unseen_ids]), classes, self.classifier.tau, weights)
