"""Predictions in files: results by hand, results of a plain reference, and all mistakes reported by image."""

import tracemalloc

import numpy as np
import pytest
from plain_panoptic_quality import PlainQuality
from prediction_files import CATEGORIES, Pair, change_json, random_pair, segment, strips, write_map, write_pairs

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.errors import ScasegError
from scaseg_cli.external.predicted_set import read_predictions
from scaseg_cli.external.score_files import score_files
from scaseg_cli.recipe.data_section import ImageSet

CLASS_IDS = {category["id"]: place for place, category in enumerate(CATEGORIES)}
CAT, DOG, COW, GRASS = CLASS_IDS


def opened(folder):
    return read_panoptic_set(folder, ImageSet(images=".", annotations="labels.json", labels="labels"))


def scored(folder, processes=1):
    labels = opened(folder)
    return score_files(labels, read_predictions(folder / "predictions", labels), CLASS_IDS, len(CLASS_IDS), processes)


def counts(folder, category_id):
    """(tp, fp, fn, PQ, SQ, RQ) of one category."""
    found, n = scored(folder).quality.per_class(), CLASS_IDS[category_id]
    whole = (int(found.tp[n]), int(found.fp[n]), int(found.fn[n]))
    return (*whole, *(round(float(value[n]), 10) for value in (found.pq, found.sq, found.rq)))


ABSENT = (0, 0, 0, *(pytest.approx(np.nan, nan_ok=True),) * 3)


@pytest.mark.parametrize(
    ("pair", "category_id", "expected"),
    [
        # 3 shared, 3 more on void: 3 / 3
        (strips("111...2222", {1: CAT, 2: DOG}, "111111....", {1: CAT}), CAT, (1, 0, 0, 1.0, 1.0, 1.0)),
        # 7 of 10 shared, nothing predicted elsewhere
        (strips("1111111111", {1: CAT}, "1111111...", {1: CAT}), CAT, (1, 0, 0, 0.7, 0.7, 1.0)),
        # a half is no match
        (strips("1111222222", {1: CAT, 2: DOG}, "11........", {1: CAT}), CAT, (0, 1, 1, 0.0, 0.0, 0.0)),
        # on a crowd region of the same category: neither hit nor mistake; of another: a mistake
        (strips("1111", {1: (CAT,)}, "1111", {1: CAT}), CAT, ABSENT),
        (strips("1111", {1: (CAT,)}, "1111", {1: DOG}), DOG, (0, 1, 0, 0.0, 0.0, 0.0)),
        # 2 on void, 2 on crowd, 3 elsewhere: 4 of 7 are forgiven; of two crowd regions the last one forgives
        (strips("..11222", {1: (CAT,), 2: DOG}, "1111111", {1: CAT}), CAT, ABSENT),
        (strips("111222", {1: (CAT,), 2: (CAT,)}, "111222", {1: CAT, 2: CAT}), CAT, (0, 1, 0, 0.0, 0.0, 0.0)),
        # nothing predicted; nothing labelled; neither
        (strips("1122", {1: CAT, 2: DOG}, "....", {}), CAT, (0, 0, 1, 0.0, 0.0, 0.0)),
        (strips("....", {}, "1122", {1: CAT, 2: DOG}), CAT, ABSENT),
        (strips("....", {}, "....", {}), CAT, ABSENT),
        # the same ids stand for other segments in label and prediction
        (strips("1122", {1: CAT, 2: DOG}, "2211", {1: DOG, 2: CAT}), CAT, (1, 0, 0, 1.0, 1.0, 1.0)),
        # single pixels, in an image and as an image
        (strips("1222", {1: CAT, 2: DOG}, "1222", {1: CAT, 2: DOG}), CAT, (1, 0, 0, 1.0, 1.0, 1.0)),
        (strips("1", {1: CAT}, "2", {2: CAT}), CAT, (1, 0, 0, 1.0, 1.0, 1.0)),
        # a hit of 4 / 5, a miss and a mistake
        (strips("1111122222", {1: CAT, 2: CAT}, "11113.....", {1: CAT, 3: CAT}), CAT, (1, 1, 1, 0.4, 0.8, 0.5)),
    ],
)
def test_hand_worked_figures(tmp_path, pair, category_id, expected):
    write_pairs(tmp_path, [pair])
    assert counts(tmp_path, category_id) == expected


@pytest.mark.parametrize("processes", [1, 2])
def test_random_files_equal_the_plain_reference(tmp_path, processes):
    rng = np.random.default_rng(7)
    pairs = [random_pair(rng) for _ in range(60)]  # two tasks
    pairs.append(strips("....", {}, "1122", {1: CAT, 2: DOG}))
    write_pairs(tmp_path, pairs)
    plain = PlainQuality()
    for pair in pairs:
        plain.add(pair.label, pair.labelled, pair.prediction, pair.predicted)
    found = scored(tmp_path, processes).quality.per_class()
    for category_id, n in CLASS_IDS.items():
        count = plain.counts[category_id]
        assert (found.tp[n], found.fp[n], found.fn[n]) == (count.tp, count.fp, count.fn)
        assert min(count.tp, count.fp, count.fn) > 2
        ours = (found.pq[n], found.sq[n], found.rq[n])
        assert np.abs(np.subtract(ours, count.quality())).max() < 1e-9


def test_predictions_of_other_images_count_nowhere(tmp_path):
    write_pairs(tmp_path, [strips("11", {1: CAT}, "11", {1: CAT})])
    other = {"image_id": 99, "file_name": "none.png", "segments_info": []}
    change_json(tmp_path / "predictions.json", lambda content: content["annotations"].append(other))
    labels = opened(tmp_path)
    assert read_predictions(tmp_path / "predictions", labels).num_others == 1
    assert counts(tmp_path, CAT)[:3] == (1, 0, 0)


def test_areas_that_the_annotations_have_otherwise_are_counted(tmp_path):
    write_pairs(tmp_path, [strips("112", {1: CAT, 2: DOG}, "112", {1: CAT, 2: DOG})])
    assert scored(tmp_path).num_other_areas == 0
    change_json(tmp_path / "labels.json", lambda content: content["annotations"][0]["segments_info"][0].update(area=3))
    assert scored(tmp_path).num_other_areas == 1
    assert counts(tmp_path, CAT)[3] == 1.0


@pytest.fixture
def nine(tmp_path):
    """Nine right predictions."""
    write_pairs(tmp_path, [strips("1122", {1: CAT, 2: GRASS}, "3344", {3: CAT, 4: GRASS}) for _ in range(9)])
    assert counts(tmp_path, GRASS)[:3] == (9, 0, 0)
    return tmp_path


def said(folder):
    with pytest.raises(ScasegError) as caught:
        scored(folder)
    return caught.value.message


def test_all_mistakes_are_reported_by_image_at_once(nine):
    def change(content):
        items = content["annotations"]
        items[2]["segments_info"][0]["category_id"] = 999
        items[3]["segments_info"].append(segment(77, DOG))
        del items[4]["segments_info"][0]
        items[6]["segments_info"][0]["id"] = "3"
        del items[5]

    change_json(nine / "predictions.json", change)
    predictions = nine / "predictions"
    (predictions / "1.png").unlink()
    write_map(predictions / "2.png", np.ones((2, 2), int))
    (predictions / "8.png").write_bytes((predictions / "8.png").read_bytes()[:-9])
    lines = said(nine).splitlines()
    assert lines[0] == f"the file of predictions {nine / 'predictions.json'} has 8 mistakes:"
    assert [line.strip() for line in lines[1:]] == [
        f"image 1 (1.jpg): {predictions / '1.png'} does not exist",
        f"image 2 (2.jpg): {predictions / '2.png'} is 2 x 2 pixels, not 4 x 1",
        "image 3 (3.jpg): segment 3 has category_id 999, which the annotations lack",
        f"image 4 (4.jpg): {predictions / '4.png'} has no pixel of segment 77, which is in its JSON",
        f"image 5 (5.jpg): {predictions / '5.png'} has pixels of segment 3, which is not in its JSON",
        "image 6 (6.jpg): it has no prediction",
        "image 7 (7.jpg): the id or category_id of a segment is not a whole number: "
        f"{{'id': '3', 'category_id': 1}}; {predictions / '7.png'} has pixels of segment 3, which is not in its JSON",
        f"image 8 (8.jpg): {predictions / '8.png'} is truncated",
    ]


def test_several_mistakes_of_one_image_share_a_line(nine):
    change_json(nine / "predictions.json", lambda c: c["annotations"][0]["segments_info"][0].update(category_id=9))
    (nine / "predictions" / "1.png").unlink()
    (nine / "labels" / "1.png").unlink()
    labels, predictions = said(nine).splitlines()  # each file's mistakes are told of that file
    assert labels == f"the folder of labels {nine / 'labels'}: image 1 (1.jpg): {nine / 'labels/1.png'} does not exist"
    assert predictions.startswith(
        f"the file of predictions {nine / 'predictions.json'}: image 1 (1.jpg): segment 3 has"
    )
    assert predictions.endswith("predictions/1.png does not exist")


def test_broken_labels_are_not_called_predictions(nine):
    (nine / "labels" / "3.png").write_bytes(b"GIF89a")
    with pytest.raises(ScasegError) as caught:
        scored(nine)
    assert (
        caught.value.message
        == f"the folder of labels {nine / 'labels'}: image 3 (3.jpg): {nine / 'labels/3.png'} is not a PNG"
    )
    assert "R + 256 G + 65536 B" in caught.value.hint


def test_labels_that_do_not_fit_their_annotations_count_as_in_panopticapi(tmp_path):
    # Segment 2 has no pixel: missed. Id 5 is not listed: labelled, so half of the predicted segment 4 is wrong.
    pair = strips("111155", {1: CAT, 2: DOG}, "333344", {3: CAT, 4: GRASS})
    write_pairs(tmp_path, [pair])
    plain = PlainQuality()
    plain.add(pair.label, pair.labelled, pair.prediction, pair.predicted)
    found = scored(tmp_path)
    assert (found.num_missing_labels, found.num_stray_labels) == (1, 1)
    for category_id, n in CLASS_IDS.items():
        count, quality = plain.counts[category_id], found.quality
        assert (quality.tp[n], quality.fp[n], quality.fn[n]) == (count.tp, count.fp, count.fn)
    assert (quality.fn[CLASS_IDS[DOG]], quality.fp[CLASS_IDS[GRASS]]) == (1, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda item: item.pop("file_name"), "its prediction has no file_name"),
        (lambda item: item.pop("segments_info"), "its prediction has no list of segments_info"),
        (lambda item: item.update(file_name="../2.png"), "which leads out of"),
        (lambda item: item["segments_info"].append({"id": 4}), "the id or category_id of a segment"),
        (lambda item: item["segments_info"].append("4"), "the id or category_id of a segment"),
        (lambda item: item["segments_info"].append(segment(4, CAT)), "segment id 4 occurs twice"),
        (lambda item: item["segments_info"].append(segment(0, CAT)), "has no pixel of segment 0"),
        (lambda item: item["segments_info"].append(segment(1 << 24, CAT)), "segment id 16777216 is not in"),
        (lambda item: item.update(image_id=3), "image 3 (3.jpg): it has two predictions"),
    ],
)
def test_a_json_that_is_wrong_for_an_image_names_it(nine, change, says):
    change_json(nine / "predictions.json", lambda content: change(content["annotations"][1]))
    message = said(nine)
    assert says in message
    assert "image 2" in message


def test_more_than_fifty_images_with_mistakes_are_counted(tmp_path):
    write_pairs(tmp_path, [strips("11", {1: CAT}, "11", {1: CAT})] * 60)
    for path in (tmp_path / "predictions").iterdir():
        path.unlink()
    lines = said(tmp_path).splitlines()
    assert len(lines) == 52
    assert lines[-1].strip() == "and 10 more"


def test_the_json_may_be_in_the_folder(nine):
    (nine / "predictions.json").rename(nine / "predictions" / "result.json")
    assert counts(nine, CAT)[:3] == (9, 0, 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: (f / "predictions.json").unlink(), "have no JSON file"),
        (lambda f: (f / "predictions/a.json").write_text("{}"), r"have 2 JSON files: .*predictions\.json, .*a\.json"),
        (lambda f: (f / "predictions.json").write_text("[]"), "it has no list of 'annotations'"),
        (lambda f: (f / "predictions.json").write_text('{"annotations": [{}]}'), r"image_id of annotations\[0\]"),
        (lambda f: (f / "predictions").rename(f / "else"), "the folder of predictions .* does not exist"),
        (lambda f: (f / "labels").rename(f / "else"), "the folder of labels .* does not exist"),
    ],
)
def test_mistakes_of_the_whole_set_are_reported_first(nine, change, says):
    change(nine)
    with pytest.raises(ScasegError, match=says):
        scored(nine)


def test_categories_that_mean_something_else_are_refused(nine):
    def change(content):
        content["categories"] = [*CATEGORIES[:2], {"id": COW, "name": "horse", "isthing": 1}, {"id": 5, "name": "new"}]

    change_json(nine / "predictions.json", change)
    assert "calls category 7 'horse', but the annotations call it 'cow'" in said(nine)


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    side, num = 200, 32
    label = np.repeat(np.arange(1, 3), side * side // 2).reshape(side, side)
    segments = [segment(1, CAT, 0), segment(2, DOG, 0)]
    write_pairs(tmp_path, [Pair(label, segments, label, [segment(1, CAT), segment(2, DOG)])] * num)
    labels = opened(tmp_path)
    predicted = read_predictions(tmp_path / "predictions", labels)

    def peak(number):
        first = labels.only(range(1, number + 1))
        score_files(first, predicted, CLASS_IDS, len(CLASS_IDS))
        tracemalloc.start()
        score_files(first, predicted, CLASS_IDS, len(CLASS_IDS))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(num) < peak(num // 4) + 4 * side * side  # a map: four bytes a pixel
