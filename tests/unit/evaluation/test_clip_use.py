"""CLIP on masks in the class probabilities, against plain Python, one query at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from base_world import NAMES, clip, recipe, vectors_NC

from scaseg_cli.base.classifier import ClassProjector, CosineClassifier
from scaseg_cli.base.segmentor import Encoded
from scaseg_cli.clip.regions import MaskView, region_embeddings
from scaseg_cli.embeddings.synonym_vectors import SynonymVectors
from scaseg_cli.evaluation.candidates import Candidate, CandidateSet, probabilities_of
from scaseg_cli.evaluation.clip_on_masks.use import ClipOnMasks, ClipUse, Regions, combined, may_be_objects, view_of
from scaseg_cli.recipe.load import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import recipe_key

if TYPE_CHECKING:
    from pathlib import Path

SEEN, QUERIES, WIDTH = 2, 6, 8
USE = ClipUse(MaskView("crops"), 0.4, 0.8)


def _slow_combined(own: list[float], logits: list[float], use: ClipUse) -> list[float]:
    nothing = own[-1]
    clips = [math.exp(x) / sum(math.exp(y) for y in logits) for x in logits]
    mixed = []
    for k, (p, q) in enumerate(zip(own[:-1], clips, strict=True)):
        weight = use.seen if k < SEEN else use.unseen
        mixed.append((p / (1 - nothing)) ** (1 - weight) * q**weight)
    return [(1 - nothing) * value / sum(mixed) for value in mixed] + [nothing]


@pytest.mark.parametrize("weights", [(0.4, 0.8), (1.0, 1.0), (0.0, 0.0), (0.0, 1.0)])
def test_the_combination_is_the_geometric_mean(weights: tuple[float, float]) -> None:
    own, logits = torch.randn(5, 5).double().softmax(1), torch.randn(5, 4).double()
    use = ClipUse(MaskView("crops"), *weights)
    found = combined(own, logits, use, SEEN)
    for row in range(5):
        assert found[row].tolist() == pytest.approx(_slow_combined(own[row].tolist(), logits[row].tolist(), use))
    if weights == (0.0, 0.0):
        torch.testing.assert_close(found, own)


def test_a_class_without_any_probability_stays_finite() -> None:
    own = torch.tensor([[0.0, 0.9, 0.0, 0.1]])
    found = combined(own, torch.tensor([[1.0, 0.0, 0.0]]), ClipUse(MaskView("crops"), 1.0, 1.0), 2)
    assert bool(found.isfinite().all())
    assert float(found.sum()) == pytest.approx(1.0)


def _classifier() -> CosineClassifier:
    torch.manual_seed(3)
    return CosineClassifier(ClassProjector(WIDTH, clip().dim), vectors_NC(), 0.3).requires_grad_(False).eval()


def _batch(tmp_path: Path) -> tuple[torch.Tensor, Regions]:
    """Two images of the embedded world's size; query 2 of the first has a mask without a pixel."""
    random = torch.Generator().manual_seed(0)
    images = [np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8) for seed in (0, 1)]
    small = torch.randn(2, QUERIES, 16, 16, generator=random)
    small[0, 2] = -5.0
    visual = torch.randn(2, QUERIES, WIDTH, generator=random)
    encoded = [Encoded(visual[b], small[b], (64, 64), (64, 64)) for b in (0, 1)]
    on_masks = ClipOnMasks(recipe(), RunDir(tmp_path), torch.device("cpu"))
    on_masks.__dict__["clip"] = clip()  # as loaded from a run folder
    return visual, Regions(on_masks, images, encoded)


@pytest.mark.parametrize("synonyms", [False, True])
def test_each_query_is_combined_as_one_at_a_time(tmp_path: Path, synonyms: bool) -> None:
    classifier = _classifier()
    if synonyms:
        rows = torch.cat([vectors_NC(), vectors_NC().roll(1, 0)[:1]])
        classifier = classifier.over(vectors_NC(), SynonymVectors(rows, (*[1] * (len(NAMES) - 1), 2)))
    visual, regions = _batch(tmp_path)
    plain = probabilities_of(Candidate("a", classifier), visual, SEEN)
    found = probabilities_of(Candidate("a", classifier, clip=USE), visual, SEEN, regions)
    changed = 0
    for b, image in enumerate(regions.images):
        for q in range(QUERIES):
            own = plain[b, q].tolist()
            mask = (regions.encoded[b].logits(torch.tensor([q])) > 0).numpy()
            if max(own[:-1]) <= own[-1] or not mask.any():
                assert torch.equal(found[b, q], plain[b, q])
                continue
            f_C = region_embeddings(clip(), USE.view, [(image, mask)])[0][0]
            cosines = [float(f_C @ a_C) for a_C in vectors_NC()]
            if synonyms:
                cosines[-1] = max(cosines[-1], float(f_C @ vectors_NC()[-1]))
            expected = _slow_combined(own, [clip().scale * value for value in cosines], USE)
            if not synonyms:
                assert found[b, q].tolist() == pytest.approx(expected, rel=1e-3, abs=1e-5)
            assert float(found[b, q].sum()) == pytest.approx(1.0, abs=1e-5)
            changed += 1
    assert changed
    assert changed < 2 * QUERIES


def test_a_candidate_does_not_depend_on_the_others_of_its_pass(tmp_path: Path) -> None:
    classifier, other = _classifier(), _classifier().over(vectors_NC().flip(0))
    visual, regions = _batch(tmp_path)
    alone = probabilities_of(Candidate("a", classifier, clip=USE), visual, SEEN, regions)
    candidates = CandidateSet()
    pooled = ClipUse(MaskView("pooled"), 1.0, 1.0)
    places = candidates.add(
        [
            Candidate("plain", classifier),
            Candidate("pooled", other, 1.0, pooled),
            Candidate("a", classifier, 0.0, USE),
            Candidate("again", classifier, 0.0, USE),
        ],
        (0.5, 0.5),
    )
    assert places["a"] == places["again"]
    again = CandidateSet.from_state(candidates.as_state())
    assert again.entries == candidates.entries
    for one in (candidates, again):
        found = one.probabilities(visual, SEEN, _batch(tmp_path)[1])
        torch.testing.assert_close(found[places["a"]], alone)
        assert torch.equal(found[places["plain"]], probabilities_of(Candidate("p", classifier), visual, SEEN))
    with pytest.raises(ValueError, match="masks"):
        candidates.probabilities(visual, SEEN)


def test_only_masks_that_may_be_objects_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visual, regions = _batch(tmp_path)
    classifier, looked = _classifier(), []
    original = region_embeddings

    def counted(clip_model: object, view: MaskView, wanted: list[tuple[np.ndarray, np.ndarray]]) -> list[torch.Tensor]:
        looked.append(sum(len(masks) for _, masks in wanted))
        return original(clip_model, view, wanted)  # type: ignore[arg-type]

    monkeypatch.setattr("scaseg_cli.evaluation.clip_on_masks.use.region_embeddings", counted)
    plain = probabilities_of(Candidate("a", classifier), visual, SEEN)
    for _ in range(2):
        probabilities_of(Candidate("a", classifier, clip=USE), visual, SEEN, regions)
    assert looked == [int(may_be_objects(plain).sum())]


def test_the_recipe_says_how_and_costs_an_evaluation_alone() -> None:
    plain = load_recipe("shapes-zps")
    on = load_recipe("shapes-zps", ("evaluation.clip_on_masks=crops", "evaluation.clip_fill=none"))
    assert view_of(plain.evaluation) is None
    assert view_of(on.evaluation) == MaskView("crops", "none", 1.25)
    assert recipe_key(on, "union") == recipe_key(plain, "union")
    assert recipe_key(on, "evaluation") != recipe_key(plain, "evaluation")
