"""The losses of `PrimitiveGenerator` for one batch (docs/method.md, Primitives).

Source: PADing (He, Ding and Jiang, CVPR 2023). The abstract and the method's text name the parts; the forms and weights
are those of the authors' released code (`PADing_model.py`, `configs/panoptic-segmentation/PADing.yaml`).

Shapes: M generated seen, W generated unseen, K classes, D visual width, C embedding width.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg_cli.cat.losses import mmd, semantic_cross_entropy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.cat.primitives import PrimitiveGenerator, SemanticSplit

MMD_LAMBDAS = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0)
TEMPERATURE = 0.1
UNRELATED_WEIGHT, RELATION_WEIGHT, REBUILD_WEIGHT = 0.5, 0.2, 0.5
_LEAST = 1e-12  # the square root of 0 has no gradient


def moment_loss(generated_MD: Tensor, real_MD: Tensor) -> Tensor:
    """The maximum mean discrepancy itself, the root of `mmd`, over all classes together, with PADing's widths."""
    return mmd(generated_MD, real_MD, MMD_LAMBDAS).clamp_min(_LEAST).sqrt()


def row_divergence(predicted_MK: Tensor, target_MK: Tensor) -> Tensor:
    """Mean over all entries of KL(softmax(target / T) || softmax(predicted / T)) by row, T = 0.1."""
    log_predicted, log_target = (x.div(TEMPERATURE).log_softmax(1) for x in (predicted_MK, target_MK))
    return (log_target.exp() * (log_target - log_predicted)).mean()


def relationship_loss(related_MD: Tensor, a_MC: Tensor, other_KD: Tensor, other_KC: Tensor) -> Tensor:
    """Divergence of the cosines between two sets of semantic-related parts from those between their classes.

    That the classes' cosines are those of the semantic embeddings themselves follows the paper's words; the released
    code takes them after the generator's input projection. A reading.
    """
    between_features, between_classes = (
        F.normalize(x, dim=1) @ F.normalize(y, dim=1).T for x, y in ((related_MD, other_KD), (a_MC, other_KC))
    )
    return row_divergence(between_features, between_classes)


class _Parts:
    """What `SemanticSplit` makes of one set of generated embeddings, and the losses of that set alone."""

    def __init__(
        self, split: SemanticSplit, v_MD: Tensor, classes_KD: Tensor, ids_M: Tensor, normal_MD: Tensor
    ) -> None:
        self.related, unrelated = split.related(v_MD), split.unrelated(v_MD)
        self.rebuild = F.l1_loss(split.rebuild(torch.cat([self.related, unrelated], dim=1)), v_MD)
        self.relation = F.cross_entropy(split.relations(self.related, classes_KD), ids_M)
        self.unrelated = row_divergence(unrelated, normal_MD)


def alignment_loss(
    network: PrimitiveGenerator,
    seen: tuple[Tensor, Tensor],
    unseen: tuple[Tensor, Tensor],
    embeddings_NC: Tensor,
    num_seen: int,
    generator: torch.Generator,
) -> Tensor:
    """Semantic-related alignment: the weighted sum of four parts, each a mean over seen and unseen classes.

    Relationship (weight 1): cosines among the semantic-related parts follow those among the semantic embeddings, within
    seen, within unseen, and between them. Relation (0.2): a semantic-related part is recognized as its class, among
    seen or among unseen classes. Unrelated (0.5): the other part follows a normal distribution. Rebuilding (0.5): L1
    distance between v^ and what is put together from both parts.

    Args:
        network: the generator.
        seen: v^ of seen classes [M, D] and their ids [M].
        unseen: v^ of unseen classes [W, D] and their ids [W]; W may be 0.
        embeddings_NC: semantic embeddings, seen ones first.
        num_seen: number of seen classes.
        generator: draws the normal samples.
    """
    classes_ND = network.project(embeddings_NC)
    parts = []
    for (v, ids), first, last in ((seen, 0, num_seen), (unseen, num_seen, len(embeddings_NC))):
        if len(v):
            normal = torch.randn(v.shape, generator=generator).to(v)
            parts.append(_Parts(network.split, v, classes_ND[first:last], ids - first, normal))
    sets = [(part.related, embeddings_NC[ids]) for part, (_, ids) in zip(parts, (seen, unseen), strict=False)]
    pairs = [(x, y) for i, x in enumerate(sets) for y in sets[i:]]
    relationship = torch.stack([relationship_loss(*x, *y) for x, y in pairs]).mean()
    means = (
        torch.stack([getattr(part, name) for part in parts]).mean() for name in ("unrelated", "relation", "rebuild")
    )
    unrelated, relation, rebuild = means
    return relationship + UNRELATED_WEIGHT * unrelated + RELATION_WEIGHT * relation + REBUILD_WEIGHT * rebuild


def primitive_terms(
    network: PrimitiveGenerator,
    v_MD: Tensor,
    class_ids_M: Tensor,
    classifier: CosineClassifier,
    num_seen: int,
    generator: torch.Generator,
    with_unseen: bool,
) -> dict[str, Tensor]:
    """The unweighted terms: moment matching, alignment, and the classification of v^ among seen classes.

    Args:
        network: the generator; in training mode its dropout follows ``generator`` too.
        v_MD: real matched embeddings.
        class_ids_M: their seen classes.
        classifier: the frozen P and tau, over all classes.
        num_seen: number of seen classes.
        generator: random generator of the iteration, on the CPU.
        with_unseen: whether one embedding of each unseen class takes part in the alignment, as published.
    """
    embeddings_NC = classifier.embeddings
    last = len(embeddings_NC) if with_unseen else num_seen
    ids = torch.cat([class_ids_M, torch.arange(num_seen, last, device=class_ids_M.device)])
    with _seeded_dropout(generator, v_MD.device):
        z = torch.randn((len(ids), network.latent), generator=generator).to(v_MD)
        v_hat = network.decode(z, embeddings_NC[ids])
        m = len(v_MD)
        groups = (v_hat[:m], ids[:m]), (v_hat[m:], ids[m:])
        alignment = alignment_loss(network, *groups, embeddings_NC, num_seen, generator)
    f_hat = classifier.project(v_hat[:m])
    semantic = semantic_cross_entropy(f_hat, class_ids_M, embeddings_NC[:num_seen], classifier.tau)
    return {"mmd": moment_loss(v_hat[:m], v_MD), "alignment": alignment, "semantic": semantic}


@contextlib.contextmanager
def _seeded_dropout(generator: torch.Generator, device: torch.device) -> Iterator[None]:
    """Let dropout, which takes no generator, draw from a stream that ``generator`` starts."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        yield
