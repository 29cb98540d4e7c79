"""Stage 1 with measurements on selection images: the network in its training, scored as evaluation scores it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from scaseg_cli.base import train as base_training
from scaseg_cli.base.segmentor import Segmentor
from scaseg_cli.base.validation import Figures
from scaseg_cli.embeddings.store import load_embeddings
from scaseg_cli.evaluation.candidates import Candidate, CandidateSet
from scaseg_cli.evaluation.checks.nothing_found import why_nothing
from scaseg_cli.evaluation.score import count
from scaseg_cli.evaluation.scored_set import ScoredSet
from scaseg_cli.results.console import silent
from scaseg_cli.seeds import seeded

if TYPE_CHECKING:
    from scaseg_cli.base.aligned_network import AlignedNetwork
    from scaseg_cli.base.device import World
    from scaseg_cli.data.records import ImageRecord
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def train(recipe: Recipe, run: RunDir) -> None:
    """Train the base in one process, as `scaseg_cli.base.train.train` does, with measurements."""
    base_training.train(recipe, run, SelectionMeasure(recipe, run))


class SelectionMeasure:
    """Measures a network on the same selection images each time, whatever the recipe's seed.

    The unseen logits are raised by the recipe's inductive increment: no stage has chosen another one yet.
    """

    def __init__(self, recipe: Recipe, run: RunDir) -> None:
        self.recipe, self.run = recipe, run
        self.scored = ScoredSet(recipe, run, "selection")

    @cached_property
    def records(self) -> list[ImageRecord]:
        """The selection images that are measured, drawn at random if there are more."""
        there = self.scored.images.images
        order = torch.randperm(len(there), generator=seeded(0, "validate-images"))
        return [there[place] for place in sorted(order[: self.recipe.base.validate_images].tolist())]

    @torch.no_grad()
    def __call__(self, network: AlignedNetwork, world: World, explains: bool) -> Figures:
        """Measure ``network``, which is in evaluation mode; each process takes its part of the images.

        Args:
            network: the network.
            world: this process.
            explains: whether another pass says why nothing was found, if nothing was.
        """
        base, measure = self.recipe.base, self.scored.measure
        found = load_embeddings(self.recipe, self.run)
        classifier = network.head.cls_embed.over(found.vectors_NC, found.synonyms).to("cpu").requires_grad_(False)
        candidate = Candidate("base", classifier, self.recipe.evaluation.inductive_increment)
        segmentor = Segmentor(network, world.device, base.eval_size, base.eval_max_size)
        scored = replace(self.scored, trained=segmentor, opened=self.scored.images)
        candidate_set = CandidateSet()
        candidate_set.add([candidate], scored.inference.rule_of(self.recipe.evaluation))
        with silent():
            (counts,) = count(scored, candidate_set, world.rank, world.size, self.records).total
            if world.size > 1:
                array = torch.from_numpy(counts.array).to(world.device)
                torch.distributed.all_reduce(array)
                counts.array[...] = array.cpu().numpy()
            summary = measure.summarise(counts)
            zero = summary.seen == 0 and not summary.unseen > 0
            reason = why_nothing(scored, candidate, self.records) if explains and zero and world.rank == 0 else None
        return Figures(summary.seen, summary.unseen, summary.harmonic, reason)
