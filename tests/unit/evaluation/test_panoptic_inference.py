"""The measure of zero-shot panoptic segmentation, from class probabilities and masks to its tables."""

import numpy as np
import pytest
import torch
from benchmark_files import benchmark
from segmentor_outputs import masks_of

from scaseg_cli.base.segmentor import Encoded
from scaseg_cli.evaluation.inference import inference_of
from scaseg_cli.evaluation.panoptic_inference import PanopticInference
from scaseg_cli.measures.fusion import FusionRule, MaskSet, kept_by_each
from scaseg_cli.measures.panoptic import PanopticMeasure
from scaseg_cli.measures.panoptic_quality import PanopticQuality, prepare_label
from scaseg_cli.measures.result_table import class_table
from scaseg_cli.recipe import load_recipe
from scaseg_cli.split.classes import ClassList, SegmentArrays, SplitClass

# per class: TP, FP, FN, sum of IoU; class 3 is absent
COUNTS = [(1, 0, 0, 0.75), (1, 1, 1, 0.5), (0, 2, 0, 0.0), (0, 0, 0, 0.0), (3, 0, 2, 2.5)]
NAMES = ["sky", "dog", "cow", "cup", "river"]
IS_SEEN = np.array([True, True, True, False, False])
ISTHING = np.array([False, True, True, True, False])


def segment_arrays(ids, class_ids):
    return SegmentArrays(np.array(ids), np.array(class_ids), np.zeros(len(ids), bool))


@pytest.fixture
def measure():
    return PanopticMeasure(IS_SEEN, ISTHING)


@pytest.fixture
def summary(measure):
    counts = measure.new_counts()
    counts.array[:] = [[values[i] for values in COUNTS] for i in range(3)] + [[int(v[3] * 2**40) for v in COUNTS]]
    return measure.summarise(counts)


def test_means_are_over_present_classes(summary):
    # by class: PQ .75, .25, 0, absent, .625; SQ .75, .5, 0, absent, .8333; RQ 1, .5, 0, absent, .75
    assert summary.groups["seen"] == pytest.approx({"pq": 1 / 3, "sq": 1.25 / 3, "rq": 0.5})
    assert summary.groups["unseen"] == pytest.approx({"pq": 0.625, "sq": 2.5 / 3, "rq": 0.75})
    assert summary.groups["things"] == pytest.approx({"pq": 0.125, "sq": 0.25, "rq": 0.25})
    assert summary.groups["stuff"] == pytest.approx({"pq": 0.6875, "sq": (0.75 + 2.5 / 3) / 2, "rq": 0.875})
    assert list(summary.as_json_value()) == ["seen", "unseen", "harmonic", "all", "things", "stuff"]
    assert (summary.main, summary.unseen) == ("pq", 0.625)


def test_rows_fit_the_table_by_class(measure, summary):
    table = class_table("By class", measure, summary, NAMES)
    assert table.to_csv().splitlines()[2] == "dog,true,true,0.25,0.5,0.5,1,1,1"
    assert table.shown_rows()[3] == ["cup", "no", "yes", "-", "-", "-", "0", "0", "0"]


def test_each_candidate_is_counted_by_its_own_rule(measure):
    masks = torch.full((2, 2, 4), 0.1)
    masks[0, :, :2], masks[1, :, 2:] = 0.9, 0.9
    label = np.array([[1, 1, 2, 2]] * 2)
    image = PanopticInference(measure).prepare(label, segment_arrays([1, 2], [0, 4]), masks_of(masks))
    probabilities = torch.tensor([[0.7, 0.1, 0.0, 0.0, 0.1, 0.1], [0.1, 0.0, 0.0, 0.1, 0.6, 0.2]])
    counts = [measure.new_counts() for _ in range(3)]
    image.add(counts, [probabilities, probabilities, probabilities], [(0.5, 0.5), (0.65, 0.5), (0.75, 0.5)])
    assert [c.tp.tolist() for c in counts] == [[1, 0, 0, 0, 1], [1, 0, 0, 0, 0], [0] * 5]
    assert [int(c.fn.sum()) for c in counts] == [0, 1, 2]
    drawn = image.predict(probabilities, (0.65, 0.5))
    assert drawn.class_ids.tolist() == [0]
    assert drawn.segment_map_HW.tolist() == [[1, 1, 0, 0]] * 2
    assert isinstance(counts[0], PanopticQuality)


def test_the_recipe_sets_the_measure_and_the_rule():
    recipe = load_recipe("shapes-zps", ("evaluation.object_threshold=0.3",))
    classes = ClassList(tuple(SplitClass(n, i, True, seen=i < 3) for i, n in enumerate(NAMES)))
    inference = inference_of(recipe, classes)
    assert isinstance(inference.measure, PanopticMeasure)
    assert inference.measure.is_seen.tolist() == IS_SEEN.tolist()
    assert inference.rule_of(recipe.evaluation) == (0.3, recipe.evaluation.overlap_threshold)


@pytest.mark.parametrize("size", [(24, 32), (61, 47)])
def test_only_queries_that_a_candidate_keeps_are_made_and_the_counts_are_those_of_all(size):
    """Against the fusion of all masks at once, enlarged by PyTorch."""
    made_up = benchmark("made_up_outputs").made_up(5, 20, size, 6, "trained")
    encoded = Encoded(torch.zeros(20, 1), made_up.logits_Qhw, size, size)
    asked = []
    measure = PanopticMeasure(np.ones(5, bool), ISTHING)
    segments = segment_arrays(range(1, len(made_up.class_ids_S) + 1), made_up.class_ids_S)
    image = PanopticInference(measure).prepare(
        made_up.label_HW, segments, lambda queries: asked.append(queries) or encoded.masks(size, queries)
    )
    probabilities, rules = [*made_up.probabilities, torch.eye(20, 6).roll(-1, 1)], [(0.5, 0.5)] * 6 + [(1.0, 0.5)]
    counts, expected = ([measure.new_counts() for _ in rules] for _ in range(2))
    image.add(counts, probabilities, rules)
    assert len(asked) == 1
    assert 0 < len(asked[0]) < 20
    all_masks, label = MaskSet(made_up.masks_QHW().numpy()), prepare_label(made_up.label_HW, *segments)
    for quality, probabilities_QN1, rule in zip(expected, probabilities, rules, strict=True):
        scores, classes = probabilities_QN1.max(-1)
        all_masks.add_to(quality, label, scores.numpy(), classes.numpy(), FusionRule(ISTHING, *rule))
    assert all((one.array == other.array).all() for one, other in zip(counts, expected, strict=True))
    assert counts[0].array.any()
    alone = measure.new_counts()
    image.add([alone], probabilities[:1], rules[:1])
    assert (alone.array == counts[0].array).all()
    fused = all_masks.fuse(*(part.numpy() for part in probabilities[0].max(-1)), FusionRule(ISTHING, 0.5, 0.5))
    assert (image.predict(probabilities[0], (0.5, 0.5)).segment_map_HW == fused.segment_map_HW).all()


@pytest.mark.parametrize("kind", ["trained", "untrained", "tied"])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5])
def test_counts_of_many_candidates_are_those_of_each_alone(kind, threshold):
    made_up = benchmark("made_up_outputs").made_up(5, 20, (60, 44), 30, kind)
    segments = segment_arrays(range(1, len(made_up.class_ids_S) + 1), made_up.class_ids_S)
    label, masks = prepare_label(made_up.label_HW, *segments), MaskSet(made_up.masks_QHW().numpy())
    rules = [FusionRule(ISTHING, threshold, 0.5)] * 30
    scores, classes = (part.numpy() for part in torch.stack(made_up.probabilities).max(-1))
    together, alone = ([PanopticQuality(5) for _ in rules] for _ in range(2))
    masks.add_each(together, label, scores, classes, rules)
    for quality, scores_Q, classes_Q, rule in zip(alone, scores, classes, rules, strict=True):
        masks.add_to(quality, label, scores_Q, classes_Q, rule)
    assert all((one.array == other.array).all() for one, other in zip(together, alone, strict=True))
    if kind == "trained":  # most pixels are counted once
        assert masks._settled(scores, kept_by_each(scores, classes, rules))[1].mean() < 0.5


def test_where_no_query_is_kept_no_mask_is_made(measure):
    def fail(_queries):
        raise AssertionError("masks were made")

    label = np.array([[1, 1, 2, 2]] * 2)
    image = PanopticInference(measure).prepare(label, segment_arrays([1, 2], [0, 4]), fail)
    counts = [measure.new_counts()]
    image.add(counts, [torch.full((3, 6), 1 / 6)], [(0.5, 0.5)])
    assert (counts[0].fn.tolist(), counts[0].tp.sum(), counts[0].fp.sum()) == ([1, 0, 0, 0, 1], 0, 0)
    drawn = image.predict(torch.full((3, 6), 1 / 6), (0.5, 0.5))
    assert (drawn.segment_map_HW.tolist(), len(drawn.class_ids)) == ([[0] * 4] * 2, 0)
