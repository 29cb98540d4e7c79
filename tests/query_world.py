"""A synthetic world of queries for stages 2 and 3: classes are sums of two attributes, in vision and in language.

As measured on trained segmentors, real unseen queries lie most of the way from where their attributes would put them
towards the nearest seen class. Shapes: N classes, D visual width, C embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg_cli.base.classifier import BASE_KIND, ClassProjector, CosineClassifier
from scaseg_cli.checkpoints import save_tensors
from scaseg_cli.embeddings.encoders import vector_source
from scaseg_cli.embeddings.store import ClassEmbeddings, save_embeddings
from scaseg_cli.measures.summary import Summary, harmonic_mean, with_harmonic
from scaseg_cli.queries.store import QueryStore, save_queries
from scaseg_cli.recipe.load import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import ClassList, SplitClass, write_classes
from scaseg_cli.stages import recording

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.evaluation.candidates import Candidate
    from scaseg_cli.recipe.schema import Recipe

COLOURS, SHAPES = 5, 4
UNSEEN_PAIRS = ((0, 0), (1, 1), (2, 2))
VISUAL_DIM, EMBEDDING_DIM, NOISE, PULL = 16, 12, 0.7, 0.7


@dataclass(frozen=True)
class QueryWorld:
    """Queries of a frozen segmentor, its classifier, and fresh queries of every class to test on."""

    store: QueryStore
    classifier: CosineClassifier
    num_seen: int
    fresh_MD: Tensor
    fresh_ids_M: Tensor

    @property
    def embeddings_NC(self) -> Tensor:
        return self.classifier.embeddings

    @torch.no_grad()
    def accuracy(self, classifier: CosineClassifier, increment: float = 0.0) -> tuple[float, float]:
        """Share of right answers on fresh seen and on fresh unseen queries."""
        logits = classifier(self.fresh_MD)
        logits[:, self.num_seen : -1] += increment
        right = logits.argmax(1) == self.fresh_ids_M
        seen = self.fresh_ids_M < self.num_seen
        return float(right[seen].float().mean()), float(right[~seen].float().mean())

    def harmonic(self, classifier: CosineClassifier, increment: float = 0.0) -> float:
        """Harmonic mean of the two accuracies."""
        return harmonic_mean(*self.accuracy(classifier, increment))

    def summaries(self, candidates: Sequence[Candidate]) -> dict[str, Summary]:
        """The accuracies of each candidate, by its name, in the place of what is measured on images."""
        found = {}
        for candidate in candidates:
            seen, unseen = self.accuracy(candidate.classifier, candidate.increment)
            groups = with_harmonic({"seen": {"pq": seen}, "unseen": {"pq": unseen}})
            found[candidate.name] = Summary("pq", groups, {})
        return found


def _means_and_embeddings(random: torch.Generator) -> tuple[Tensor, Tensor, int]:
    colour_v, shape_v = (1.5 * torch.randn(n, VISUAL_DIM, generator=random) for n in (COLOURS, SHAPES))
    colour_a, shape_a = (torch.randn(n, EMBEDDING_DIM, generator=random) for n in (COLOURS, SHAPES))
    pairs = [(c, s) for c in range(COLOURS) for s in range(SHAPES)]
    pairs = [pair for pair in pairs if pair not in UNSEEN_PAIRS] + list(UNSEEN_PAIRS)
    means = torch.stack([colour_v[c] + shape_v[s] for c, s in pairs])
    num_seen = len(pairs) - len(UNSEEN_PAIRS)
    nearest = torch.cdist(means[num_seen:], means[:num_seen]).argmin(1)
    means[num_seen:] = (1 - PULL) * means[num_seen:] + PULL * means[nearest]
    return means, F.normalize(torch.stack([colour_a[c] + shape_a[s] for c, s in pairs]), dim=1), num_seen


def _base_classifier(store: QueryStore, embeddings_NC: Tensor, num_seen: int) -> CosineClassifier:
    """P and a_0 as stage 1 leaves them: trained on seen classes alone."""
    classifier = CosineClassifier(ClassProjector(VISUAL_DIM, EMBEDDING_DIM), embeddings_NC[:num_seen], 0.07)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=1e-2)
    v = torch.cat([store.matched_MD, store.null_UD])
    labels = torch.cat([store.class_ids_M, torch.full((len(store.null_UD),), num_seen)])
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(classifier(v), labels).backward()
        optimizer.step()
    return classifier.over(embeddings_NC).requires_grad_(False).eval()


@lru_cache(maxsize=1)
def query_world() -> QueryWorld:
    """The world; made once, in less than a second. Not to be changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        random = torch.Generator().manual_seed(5)
        means, embeddings, num_seen = _means_and_embeddings(random)
        ids = torch.arange(num_seen).repeat_interleave(40)
        matched = means[ids] + NOISE * torch.randn(len(ids), VISUAL_DIM, generator=random)
        null = 1.5 * torch.randn(200, VISUAL_DIM, generator=random) - 2.0
        fresh_ids = torch.arange(len(means)).repeat_interleave(50)
        fresh = means[fresh_ids] + NOISE * torch.randn(len(fresh_ids), VISUAL_DIM, generator=random)
        store = QueryStore(matched, ids, null)
        classifier = _base_classifier(store, embeddings, num_seen)
        return QueryWorld(store, classifier, num_seen, fresh, fresh_ids)


def query_recipe(*assignments: str) -> Recipe:
    """The embedded world's recipe with small stages 2 and 3 that fit `query_world`."""
    small = (
        f"base.channels={VISUAL_DIM}", "threads=1", "cat.iterations=20", "cat.batch_size=32", "cat.hidden=16",
        "cat.latent=4", "cat.checkpoint_every=10", "union.iterations=20", "union.batch_size=32", "union.num_null=16",
        "union.pseudo_unseen=4", "union.checkpoint_every=10", "union.candidates=2", "evaluation.increments=[0.0, 1.0]",
    )  # fmt: skip
    return load_recipe("shapes-zps", small + assignments)


def query_run(folder: Path, recipe: Recipe) -> RunDir:
    """A run folder in which every stage before stage 2 has finished, with `query_world`'s content."""
    world, run = query_world(), RunDir(folder)
    names = [f"class {i}" for i in range(len(world.embeddings_NC))]
    with recording(recipe, run, "data"):
        pass
    with recording(recipe, run, "split", run.classes_file):
        classes = [SplitClass(name, i + 1, True, seen=i < world.num_seen) for i, name in enumerate(names)]
        write_classes(run, recipe.task, ClassList(tuple(classes)))
    with recording(recipe, run, "embeddings", run.embeddings_file):
        embeddings = ClassEmbeddings(names, world.embeddings_NC, "0" * 64, vector_source(recipe), ("a {}.",))
        save_embeddings(run.embeddings_file, embeddings)
    with recording(recipe, run, "base", run.base_file):
        own = world.classifier.state_dict()
        tensors = {f"panoptic_head.cls_embed.{name}": tensor for name, tensor in own.items()}
        save_tensors(run.base_file, BASE_KIND, tensors)
    with recording(recipe, run, "queries", run.queries_file):
        save_queries(world.store, run, {})
    return run
