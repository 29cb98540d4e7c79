"""Masks upsampled one block of rows at a time, and segments that do not depend on the blocks."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from segmentor_outputs import masks_of
from stage_records import RECORD
from torch import nn

from scaseg_cli.base.segmentor import Encoded, enlarged
from scaseg_cli.evaluation.candidates import Candidate
from scaseg_cli.evaluation.semantic_inference import SemanticInference
from scaseg_cli.measures.fusion import fuse
from scaseg_cli.measures.semantic import SemanticMeasure
from scaseg_cli.prediction import model as prediction_model
from scaseg_cli.prediction.model import Model, batches, choose_setting, mask_blocks
from scaseg_cli.prediction.vocabulary import Vocabulary, VocabularyClass
from scaseg_cli.recipe.load import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import SegmentArrays

VOCABULARY = Vocabulary(tuple(VocabularyClass(f"class {k}", k % 2 == 0, k + 1, k, seen=k < 3) for k in range(5)))
QUERIES = 12


def logits(size: tuple[int, int], num_queries: int = QUERIES) -> torch.Tensor:
    return 4 * torch.randn(num_queries, *size, generator=torch.Generator().manual_seed(sum(size)))


@pytest.mark.parametrize("sizes", [((7, 5), (20, 31)), ((16, 12), (16, 12)), ((30, 40), (11, 13)), ((1, 1), (9, 4))])
@pytest.mark.parametrize("rows", [1, 3, 8])
def test_blocks_of_rows_add_up_to_the_whole(sizes, rows):
    small, size = sizes
    given = logits(small)
    blocks = list(mask_blocks(given, size, at_most=4 * QUERIES * size[1] * rows))
    assert [len(block[0]) for block in blocks[:-1]] == [rows] * (len(blocks) - 1)
    whole = enlarged(given, size).sigmoid()
    assert torch.cat(blocks, 1).shape == whole.shape
    assert (torch.cat(blocks, 1) - whole).abs().max() < 1e-5


def test_a_single_block_equals_the_whole_bit_by_bit():
    given = logits((7, 5))
    (block,) = mask_blocks(given, (20, 31))
    assert torch.equal(block, enlarged(given, (20, 31)).sigmoid())


def test_a_block_has_at_least_a_row():
    assert [block.shape for block in mask_blocks(logits((2, 2)), (3, 9), at_most=1)] == [(QUERIES, 1, 9)] * 3


class FixedClassifier(nn.Module):
    """A classifier that returns the embeddings as class logits."""

    def forward(self, visual: torch.Tensor) -> torch.Tensor:
        return visual


@dataclass(frozen=True)
class FixedSegmentor:
    """A segmentor that returns the same masks for every image."""

    logits_Qhw: torch.Tensor
    visual_QD: torch.Tensor

    def encode(self, images: list[np.ndarray]) -> list[Encoded]:
        size = self.logits_Qhw.shape[1], self.logits_Qhw.shape[2]
        return [Encoded(self.visual_QD, self.logits_Qhw, size, size) for _ in images]


def model_of(task: str, increment: float = 0.0, **evaluation: float) -> Model:
    recipe = load_recipe(f"shapes-{task}", tuple(f"evaluation.{key}={value}" for key, value in evaluation.items()))
    visual = 3 * torch.randn(QUERIES, 6, generator=torch.Generator().manual_seed(1))
    candidate = Candidate("fixed", FixedClassifier(), increment)  # type: ignore[arg-type]
    vocabulary = VOCABULARY
    if task == "zss":
        vocabulary = Vocabulary(tuple(replace(item, isthing=False) for item in VOCABULARY.classes))
    return Model(recipe, FixedSegmentor(logits((6, 8)), visual), candidate, vocabulary)  # type: ignore[arg-type]


IMAGE = np.zeros((24, 30, 3), np.uint8)


@pytest.mark.parametrize("task", ["zps", "zss"])
def test_segments_do_not_depend_on_the_blocks(task, monkeypatch):
    model = model_of(task, object_threshold=0.2, overlap_threshold=0.1)
    (whole,) = model.segment([IMAGE])
    assert len(whole.class_index_S) > 2
    assert whole.map_HW.shape == (24, 30)
    blocks = prediction_model.mask_blocks
    monkeypatch.setattr(prediction_model, "mask_blocks", lambda given, size: blocks(given, size, at_most=9000))
    (parts,) = model.segment([IMAGE])
    assert parts.map_HW.tolist() == whole.map_HW.tolist()
    assert parts.class_index_S.tolist() == whole.class_index_S.tolist()
    assert parts.scores.tolist() == whole.scores.tolist()


def test_panoptic_segments_are_those_of_the_evaluation():
    model = model_of("zps", 1.0, object_threshold=0.2, overlap_threshold=0.1)
    (found,) = model.segment([IMAGE])
    class_logits = model.segmentor.visual_QD.clone()
    class_logits[:, 3:5] += 1.0  # the unseen ones
    scores, labels = class_logits.softmax(-1).max(-1)
    masks = enlarged(model.segmentor.logits_Qhw, (24, 30)).sigmoid().numpy()
    expected = fuse(scores.numpy(), labels.numpy(), masks, VOCABULARY.isthing, 0.2, 0.1, 5)
    assert found.map_HW.tolist() == expected.segment_map_HW.tolist()
    assert found.class_index_S.tolist() == expected.class_ids.tolist()
    assert found.scores.tolist() == expected.scores.tolist()


def test_semantic_segments_are_those_of_the_evaluation():
    model = model_of("zss", 0.5)
    (found,) = model.segment([IMAGE])
    class_logits = model.segmentor.visual_QD.clone()
    class_logits[:, 3:5] += 0.5
    masks = enlarged(model.segmentor.logits_Qhw, (24, 30)).sigmoid()
    inference = SemanticInference(SemanticMeasure(np.arange(5) < 3), torch.device("cpu"))
    segments = SegmentArrays(np.array([1]), np.array([0]), np.array([False]))
    image = inference.prepare(np.ones((24, 30), np.int32), segments, masks_of(masks))
    expected = image.predict(class_logits.softmax(-1), ())
    assert found.map_HW.tolist() == expected.segment_map_HW.tolist()
    assert found.class_index_S.tolist() == expected.class_ids.tolist()
    assert found.map_HW.min() == 1
    assert found.scores.tolist() == class_logits.softmax(-1)[:, :-1].amax(0).double()[found.class_index_S].tolist()


@pytest.mark.parametrize("task", ["zps", "zss"])
def test_a_class_that_no_query_resembles_changes_nothing(task):
    model = model_of(task, 1.0, object_threshold=0.2, overlap_threshold=0.1)
    (found,) = model.segment([IMAGE])
    visual = model.segmentor.visual_QD
    far = torch.full((QUERIES, 1), -60.0)
    classes = (*model.vocabulary.classes, VocabularyClass("made up", task == "zps", 99, None, seen=False))
    segmentor = FixedSegmentor(model.segmentor.logits_Qhw, torch.cat([visual[:, :5], far, visual[:, 5:]], 1))
    (more,) = replace(model, segmentor=segmentor, vocabulary=Vocabulary(classes)).segment([IMAGE])
    assert more.map_HW.tolist() == found.map_HW.tolist()
    assert more.class_index_S.tolist() == found.class_index_S.tolist()
    assert more.scores == pytest.approx(found.scores, abs=1e-6)
    assert len(found.class_index_S) > 2


def test_without_a_query_above_the_threshold_nothing_is_found():
    (found,) = model_of("zps", object_threshold=1.0).segment([IMAGE])
    assert not found.map_HW.any()
    assert len(found.class_index_S) == len(found.scores) == 0


def test_without_a_segment_the_nearest_query_is_told_and_a_threshold_below_it_finds_it():
    model = model_of("zps", object_threshold=1.0)
    (found,) = model.segment([IMAGE])
    assert found.nearest is not None
    assert found.nearest.num_kept == 0
    assert found.nearest.best_object is not None
    (lower,) = model.with_threshold(found.nearest.best_object - 1e-4).segment([IMAGE])
    assert lower.nearest is None or lower.nearest.num_kept > 0
    (exact,) = model.with_threshold(found.nearest.best_object).segment([IMAGE])
    assert exact.nearest is not None
    assert exact.nearest.num_kept == 0


def test_an_increment_raises_the_unseen_logits_alone():
    plain, raised = (model_of("zps", by, object_threshold=0.2, overlap_threshold=0.1) for by in (0.0, 3.0))
    (found,), (wanted,) = plain.with_increment(3.0).segment([IMAGE]), raised.segment([IMAGE])
    assert found.map_HW.tolist() == wanted.map_HW.tolist()
    assert found.scores.tolist() == wanted.scores.tolist()
    assert wanted.scores.tolist() != next(plain.segment([IMAGE])).scores.tolist()


def test_batches_of_large_images_are_smaller():
    images = [(n, np.zeros((4000, 6000, 3), np.uint8)) for n in range(3)] + [(9, np.zeros((40, 60, 3), np.uint8))] * 5
    assert [[tag for tag, _ in batch] for batch in batches(iter(images), 4)] == [[0], [1], [2], [9] * 4, [9]]


def test_the_default_setting_is_transductive_if_there_is_a_projector(tmp_path):
    run = RunDir(tmp_path)
    assert choose_setting(run, None) == "inductive"
    run.folder("union")
    run.write_record("union", RECORD)
    assert choose_setting(run, None) == "transductive"
    assert choose_setting(run, "inductive") == "inductive"
