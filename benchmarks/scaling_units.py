"""The cost of one unit of work at the published size, from which the totals for COCO are computed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import panoptic_scoring
import torch
import torch.nn.functional as F
from cat_live import finished_run

from scaseg_cli.base.classifier import ClassProjector, CosineClassifier
from scaseg_cli.cat.fit import GeneratorTraining
from scaseg_cli.evaluation.scored_set import ScoredSet
from scaseg_cli.queries.store import QueryStore
from scaseg_cli.recipe import load_recipe
from scaseg_cli.union.generated import GeneratedEmbeddings
from scaseg_cli.union.loss import FinetuneLoss
from scaseg_cli.union.tuning import FineTuning

if TYPE_CHECKING:
    from collections.abc import Callable

    from measuring import Outcome

CLASSES = {"133 classes": (119, 133), "1,000 classes": (895, 1000)}  # seen ones, all: the same part is unseen
WIDTH, STORED, STEPS = 512, 10_000, 3
FEW, MANY = 8, 104  # candidates: the rows of the table, and those of stage 3


def seconds_of(work: Callable[[int], object], times: int = STEPS) -> float:
    """CPU seconds of one call, after one that is not counted."""
    work(0)
    started = time.process_time()
    for number in range(1, times + 1):
        work(number)
    return (time.process_time() - started) / times


def of_steps(num_seen: int, num_classes: int) -> tuple[float, float]:
    """CPU seconds of a step of stage 2 from the query file, and of one of stage 3."""
    recipe, device = load_recipe("coco-zps"), torch.device("cpu")
    random = torch.Generator().manual_seed(0)
    vectors_NC = F.normalize(torch.randn(num_classes, WIDTH, generator=random), dim=1)
    v_MD, null_UD = torch.randn(2, STORED, recipe.base.channels, generator=random)
    store = QueryStore(v_MD, torch.arange(STORED) % num_seen, null_UD)
    classifier = CosineClassifier(ClassProjector(recipe.base.channels, WIDTH), vectors_NC, recipe.base.tau)
    training = GeneratorTraining(recipe.cat, 0, classifier, num_seen, device)
    size = recipe.cat.batch_size
    batch = store.matched_MD[:size], store.class_ids_M[:size], store.null_UD[:size]
    of_cat = seconds_of(lambda number: training.step(number, batch))
    loss = FinetuneLoss.of(recipe.union, num_seen, num_classes, recipe.base.no_object_weight)
    generator = training.network.eval().requires_grad_(False)
    generated = GeneratedEmbeddings(recipe.union, generator, vectors_NC, num_seen, store, 0)
    tuning = FineTuning(recipe.union, 0, classifier, loss, store, generated)
    return of_cat, seconds_of(lambda _: tuning.step())


def of_scoring(num_classes: int, candidates: int) -> float:
    """CPU seconds of all after the network for one image."""
    before, panoptic_scoring.CLASSES = panoptic_scoring.CLASSES, num_classes
    try:
        case = panoptic_scoring.make_case("published", candidates)
        return seconds_of(lambda _: panoptic_scoring.counts_now(case), 1)
    finally:
        panoptic_scoring.CLASSES = before


def of_network() -> float:
    """CPU seconds of the network for one image of 640 x 480 pixels, at the evaluation's size."""
    with finished_run("published", "cpu", 4, 2) as (recipe, run, _):
        scored = ScoredSet(recipe, run, "validation")
        (batch,) = scored.batches(scored.images.images[:1], "network")
        images = [item.image_HW3 for item in batch]
        return seconds_of(lambda _: scored.segmentor.encode(images), 1)


def measured_units() -> dict[str, float]:
    """CPU seconds of each unit that docs/performance.json lacks."""
    found = {"network": of_network()}
    for name, (num_seen, num_classes) in CLASSES.items():
        found[f"cat step, {name}"], found[f"union step, {name}"] = of_steps(num_seen, num_classes)
        for candidates in (FEW, MANY):
            found[f"scoring {candidates}, {name}"] = of_scoring(num_classes, candidates)
    return found


def units_of(outcomes: list[Outcome]) -> dict[str, float]:
    """The units among the figures of docs/performance.json."""
    figures: dict[str, Any] = {f"{one.benchmark} {one.size}": one.figures for one in outcomes}
    split, live = figures["split_dataset published"], figures["cat_live published"]
    images = 118_287 + 500
    return {
        "split, image": split["split-dataset, s of CPU time"] / images,
        "split, GB per image": split["split-dataset, GB of memory"] / images,
        "prompt": 1 / figures["embed_classes small"]["in batches, prompts per s of CPU time"],
        "base step, image": figures["base_step published"]["with V2C, s of CPU time per step"],
        "query pass, image": (
            live["live, s of CPU time per iteration"] - live["from the file, s of CPU time per iteration"]
        )
        / 16,
    }
