"""The generated embeddings of one fine-tuning step, optionally pulled towards the nearest seen classes.

Shapes: N classes of which S are seen and U unseen, M real matched queries, P generated embeddings per step, D visual
width, C embedding width, k nearest seen classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg_cli.cat.ridge import class_means
from scaseg_cli.seeds import seeded

if TYPE_CHECKING:
    from scaseg_cli.cat.generators import Generator
    from scaseg_cli.queries.store import QueryStore
    from scaseg_cli.recipe.schema import Union

MEAN_SAMPLES = 256  # generated embeddings per class from which its mean is estimated


class Neighbours:
    """The k seen classes nearest to each unseen class in visual (not semantic) space, and their real embeddings.

    A generator overshoots: real unseen queries lie between the generated mean and the nearest seen class, since the
    segmentor was never rewarded for telling the two apart. Ours, not published.

    Args:
        unseen_means_UD: mean generated embedding of each unseen class.
        store: V and its class ids.
        k: number of nearest seen classes; limited to the classes that occur in the store.
    """

    def __init__(self, unseen_means_UD: Tensor, store: QueryStore, k: int) -> None:
        present, means = class_means(store.matched_MD, store.class_ids_M)
        distances_US = torch.cdist(unseen_means_UD, means)
        nearest_Uk = distances_US.topk(min(k, len(present)), largest=False).indices
        self.matched_MD = store.matched_MD
        self.order_M = store.class_ids_M.argsort(stable=True)  # groups embeddings by class
        counts = torch.bincount(store.class_ids_M)[present]
        starts = counts.cumsum(0) - counts
        self.class_ids_Uk, self.counts_Uk, self.starts_Uk = present[nearest_Uk], counts[nearest_Uk], starts[nearest_Uk]

    def draw(self, unseen_P: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a real embedding for each entry [P, D]: uniformly one of the k classes, then one of its embeddings.

        Args:
            unseen_P: unseen classes, counted from 0.
            generator: the random generator of the draws, on the CPU.
        """
        column = torch.randint(self.counts_Uk.shape[1], (len(unseen_P),), generator=generator)
        part = torch.rand(len(unseen_P), generator=generator, dtype=torch.float64)
        unseen, column, part = unseen_P, column.to(unseen_P), part.to(unseen_P.device)
        counts = self.counts_Uk[unseen, column]
        member = (part * counts).long().clamp_max(counts - 1)
        return self.matched_MD[self.order_M[self.starts_Uk[unseen, column] + member]]


def text_read(config: Union, text_NC: Tensor, num_seen: int, seed: int) -> Tensor:
    """What the generator reads for each class [N, C], by ``union.unseen_text``.

    Permuted: each unseen class has the vector of the next unseen one, in a circle. Random: a unit vector. Both are
    controls: generated embeddings then belong to other classes, or to none, and no unseen class may be found by them.
    """
    if config.unseen_text == "own":
        return text_NC
    read_NC = text_NC.clone()
    if config.unseen_text == "permuted":
        read_NC[num_seen:] = text_NC[num_seen:].roll(1, 0)
        return read_NC
    drawn_UC = torch.randn(text_NC[num_seen:].shape, generator=seeded(seed, "unseen-text"))
    read_NC[num_seen:] = F.normalize(drawn_UC, dim=1).to(text_NC)
    return read_NC


class GeneratedEmbeddings:
    """A source of n_u generated embeddings per unseen class and n_s per seen class for each step.

    Args:
        config: the recipe's ``union`` section.
        generator: the trained generator of stage 2.
        embeddings_NC: semantic embeddings of all classes.
        num_seen: S.
        store: V and its class ids, for the pull.
        seed: the recipe's.

    Raises:
        ScasegError: the pull needs generated embeddings and the recipe has no generator.
    """

    def __init__(
        self, config: Union, generator: Generator, embeddings_NC: Tensor, num_seen: int, store: QueryStore, seed: int
    ) -> None:
        self.config, self.generator, self.embeddings_NC, self.seed = config, generator, embeddings_NC, seed
        self.num_seen, classes = num_seen, torch.arange(len(embeddings_NC), device=embeddings_NC.device)
        self.unseen_ids = classes[num_seen:].repeat_interleave(config.pseudo_unseen)
        self.class_ids = torch.cat([self.unseen_ids, classes[:num_seen].repeat_interleave(config.pseudo_seen)])
        self.neighbours: Neighbours | None = None
        beta = config.unseen_pull.beta
        assert beta != "auto", "the values chosen on folds come first"
        self.beta = beta
        if beta > 0 and len(self.unseen_ids):
            self.neighbours = Neighbours(self._unseen_means(), store, config.unseen_pull.k)

    def _unseen_means(self) -> Tensor:
        a_UC = self.embeddings_NC[self.num_seen :]
        samples = self.generator.sample(a_UC.repeat_interleave(MEAN_SAMPLES, 0), seeded(self.seed, "union-means"))
        means_UD: Tensor = samples.unflatten(0, (len(a_UC), MEAN_SAMPLES)).mean(1)
        return means_UD

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the generated embeddings [P, D] of ``step`` and their class ids [P], unseen classes first."""
        if not len(self.class_ids):
            return self.embeddings_NC.new_zeros(0, 0), self.class_ids
        random = seeded(self.seed, "union-pseudo", step)
        v_PD = self.generator.sample(self.embeddings_NC[self.class_ids], random)
        if self.neighbours is not None:
            beta, num_unseen = self.beta, len(self.unseen_ids)
            near = self.neighbours.draw(self.unseen_ids - self.num_seen, random)
            v_PD = torch.cat([(1.0 - beta) * v_PD[:num_unseen] + beta * near, v_PD[num_unseen:]])
        return v_PD, self.class_ids
