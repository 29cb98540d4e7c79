"""One pass of the network for many candidates of many runs, on synthetic images."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from panoptic_files import CATEGORIES, striped, write_panoptic_set
from PIL import Image
from query_world import EMBEDDING_DIM, VISUAL_DIM
from segmentor_outputs import GivenOutputs
from torch import Tensor

from scaseg_cli.base.classifier import ClassProjector, CosineClassifier
from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.images import ids_to_rgb, read_label
from scaseg_cli.evaluation import scored_set
from scaseg_cli.evaluation.candidates import Candidate, CandidateSet
from scaseg_cli.evaluation.score import count, score
from scaseg_cli.evaluation.scored_set import ScoredSet
from scaseg_cli.evaluation.semantic_inference import SemanticInference
from scaseg_cli.measures.bootstrap import ImageCounts
from scaseg_cli.measures.semantic import SemanticMeasure
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import class_list, write_classes

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe

NUM_IMAGES, NUM_QUERIES = 7, 5


class Stripes:
    """A stand-in for the segmentor: one mask per fifth of the width; visual embeddings depend on the image alone."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.masks: list[weakref.ref[np.ndarray]] = []
        self.alive: list[int] = []  # at each call, the masks of earlier batches that are still in memory

    def encode(self, images: list[np.ndarray]) -> list[GivenOutputs]:
        self.batches.append(len(images))
        self.alive.append(sum(mask() is not None for mask in self.masks))
        found = []
        for image in images:
            height, width = image.shape[:2]
            centres = (torch.arange(NUM_QUERIES) + 0.5) * width / NUM_QUERIES
            distance = (torch.arange(width)[None] + 0.5 - centres[:, None]).abs()
            masks = torch.sigmoid(3 * (width / NUM_QUERIES - distance))[:, None].expand(-1, height, -1)
            random = torch.Generator().manual_seed(int(image.sum()))
            held = masks.contiguous().numpy().copy()  # lives as long as any tensor or array over its memory
            self.masks.append(weakref.ref(held))
            visual = torch.randn(NUM_QUERIES, VISUAL_DIM, generator=random)
            found.append(GivenOutputs(visual, torch.from_numpy(held)))
        return found


class CountedClassifier(CosineClassifier):
    """A classifier that counts its calls."""

    calls = 0

    def forward(self, v: Tensor) -> Tensor:
        CountedClassifier.calls += 1
        return super().forward(v)


def classifier(seed: int) -> CosineClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vectors = torch.nn.functional.normalize(torch.randn(len(CATEGORIES), EMBEDDING_DIM), dim=1)
        made = CountedClassifier(ClassProjector(VISUAL_DIM, EMBEDDING_DIM), vectors, 0.2)
    return made.requires_grad_(False).eval()


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("shapes-zps", ("evaluation.object_threshold=0.2", "evaluation.batch_size=2"))


@pytest.fixture
def segmentor() -> Stripes:
    return Stripes()


@pytest.fixture
def scored(tmp_path: Path, recipe: Recipe, segmentor: Stripes, monkeypatch: pytest.MonkeyPatch) -> ScoredSet:
    ids = [category["id"] for category in CATEGORIES]
    made = [striped(i + 1, *np.roll(ids, i)[: 2 + i % 3].tolist(), size=(6, 20 + i)) for i in range(NUM_IMAGES)]
    images = read_panoptic_set(tmp_path, write_panoptic_set(tmp_path, "val", made))
    run = RunDir(tmp_path / "run")
    write_classes(run, "zps", class_list(images.categories, ["cow", "grass"]))
    monkeypatch.setattr(scored_set, "open_set", lambda *_: images)
    monkeypatch.setattr(scored_set, "load_segmentor", lambda *_: segmentor)
    return ScoredSet(recipe, run, "validation")


@pytest.fixture(params=["panoptic", "semantic"])
def either_task(request: pytest.FixtureRequest, scored: ScoredSet, monkeypatch: pytest.MonkeyPatch) -> ScoredSet:
    if request.param == "semantic":
        is_seen = np.arange(len(scored.classes)) < scored.classes.num_seen
        monkeypatch.setattr(
            scored_set, "inference_of", lambda *_: SemanticInference(SemanticMeasure(is_seen), torch.device("cpu"))
        )
    return scored


def changed(recipe: Recipe, **evaluation: Any) -> Recipe:
    return recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update=evaluation)})


def test_one_pass_for_many_runs_gives_each_the_result_of_its_own_pass(
    either_task: ScoredSet, recipe: Recipe, segmentor: Stripes
) -> None:
    wanted = [
        (recipe, [Candidate("a", classifier(0)), Candidate("b", classifier(1), 1.0)]),
        (changed(recipe, object_threshold=0.5), [Candidate("a", classifier(0)), Candidate("c", classifier(2))]),
        (recipe, [Candidate("a", classifier(3)), Candidate("b", classifier(3), 0.5)]),
    ]
    together = score(either_task, wanted)
    assert segmentor.batches == [2, 2, 2, 1]
    for one, (summaries, counts) in zip(wanted, together, strict=True):
        ((alone, counts_alone),) = score(either_task, [one])
        assert list(alone) == list(summaries) == list(counts)
        for name in alone:
            assert (counts[name].pairs_E == counts_alone[name].pairs_E).all()
            assert alone[name].as_json_value() == summaries[name].as_json_value()
            for key, column in alone[name].per_class.items():
                assert column.tobytes() == summaries[name].per_class[key].tobytes()
    figures = {str(s.as_json_value()) for scores in together for s in scores.summaries.values()}
    assert len(figures) >= 5


def test_equal_classifiers_run_once_and_equal_candidates_are_counted_once(scored: ScoredSet, recipe: Recipe) -> None:
    other = changed(recipe, overlap_threshold=0.9)
    CountedClassifier.calls = 0
    scores = score(
        scored,
        [
            (
                recipe,
                [Candidate("a", classifier(0)), Candidate("again", classifier(0)), Candidate("up", classifier(0), 1)],
            ),
            (recipe, [Candidate("other name", classifier(0))]),
            (other, [Candidate("a", classifier(0))]),
        ],
    )
    assert CountedClassifier.calls == 4  # batches
    together = [one.summaries for one in scores]
    assert together[0]["a"] is together[0]["again"] is together[1]["other name"]
    assert len({id(s) for summaries in together for s in summaries.values()}) == 3


def test_classifiers_that_differ_in_any_part_are_distinct() -> None:
    candidate_set, first = CandidateSet(), classifier(0)
    candidate_set.add([Candidate("first", first)], ())
    other_tau = first.over(first.embeddings)
    other_tau.tau = 0.3
    other_object = first.over(first.embeddings).requires_grad_(False)
    other_object.no_object[0] += 1e-6
    candidate_set.add(
        [Candidate("a", other_tau), Candidate("b", other_object), Candidate("c", first.over(-first.embeddings))], ()
    )
    assert len(candidate_set.classifiers) == len(candidate_set.entries) == 4


def test_names_must_differ_within_a_run(scored: ScoredSet, recipe: Recipe) -> None:
    with pytest.raises(ValueError, match="two candidates have the same name"):
        score(scored, [(recipe, [Candidate("a", classifier(0)), Candidate("a", classifier(1))])])


def test_counts_of_several_processes_add_up_to_those_of_one(either_task: ScoredSet, segmentor: Stripes) -> None:
    candidate_set = CandidateSet()
    rule = either_task.inference.rule_of(either_task.recipe.evaluation)
    candidate_set.add([Candidate("a", classifier(0)), Candidate("b", classifier(1), 1.0)], rule)
    whole = count(either_task, candidate_set)
    segmentor.batches.clear()
    again = CandidateSet.from_state(candidate_set.as_state())  # as it reaches another process
    by_rank = [count(either_task, again, rank, 3) for rank in range(3)]
    assert segmentor.batches == [2, 1, 2, 2]  # batches 0 and 3, 1, 2: each holds the same images as in one process
    for place, total in enumerate(whole.total):
        assert (sum(found.total[place].array for found in by_rank) == total.array).all()
        assert total.array.any()
        pairs = np.concatenate([own for found in by_rank for own in found.by_image[place]])
        assert (ImageCounts(7, pairs).pairs_E == np.concatenate(whole.by_image[place])).all()


def test_counts_by_image_add_up_to_the_figures(either_task: ScoredSet, recipe: Recipe) -> None:
    ((summaries, counts),) = score(either_task, [(recipe, [Candidate("a", classifier(0))])])
    counts_IMN = counts["a"].dense(len(either_task.classes))
    assert len(counts_IMN) == NUM_IMAGES
    assert counts_IMN.any((1, 2)).all()
    found = either_task.measure.main_of(counts_IMN.sum(0).astype(float))
    np.testing.assert_array_equal(found, summaries["a"].per_class[summaries["a"].main])


def test_selection_images_have_no_counts_by_image(scored: ScoredSet, recipe: Recipe) -> None:
    ((_, counts),) = score(replace(scored, part="selection"), [(recipe, [Candidate("a", classifier(0))])])
    assert counts == {}


def test_masks_are_freed_after_each_batch(either_task: ScoredSet, recipe: Recipe, segmentor: Stripes) -> None:
    score(either_task, [(recipe, [Candidate("a", classifier(0)), Candidate("b", classifier(1))])])
    assert segmentor.alive == [0] * 4


def test_labels_that_differ_from_their_annotations_are_counted_and_said(
    scored: ScoredSet, recipe: Recipe, capfd: pytest.CaptureFixture[str]
) -> None:
    candidates = [(recipe, [Candidate("a", classifier(0))])]
    ((before, _),) = score(scored, candidates)
    assert "Labels of" not in capfd.readouterr().err
    first, second = scored.images.images[:2]
    for record, segment_ids in ((first, [one.id for one in first.segments]), (second, [second.segments[0].id])):
        ids_HW = read_label(scored.images, record)
        ids_HW[np.isin(ids_HW, segment_ids)] = 9 if record is first else 0
        Image.fromarray(ids_to_rgb(ids_HW)).save(scored.images.label_path(record))
    ((after, _),) = score(scored, candidates)
    said = capfd.readouterr().err
    assert (
        f"Labels of validation with listed segments without a pixel: 2 of 7 read; these {len(first.segments) + 1} "
        "segments take no part.\n"
        "Labels of validation with pixels of no listed segment: 1 of 7 read; these pixels are void.\n"
    ) in said
    assert after["a"].as_json_value() != before["a"].as_json_value()
