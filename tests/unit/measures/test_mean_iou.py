"""Counting of intersection over union: by hand, by a loop over pixels, and by MMSegmentation's own metric."""

import numpy as np
import pytest

from scaseg_cli.base import mmcv_ops
from scaseg_cli.measures.mean_iou import Confusion, PixelCounts, semantic_label


def strip(text: str) -> np.ndarray:
    """One row of pixels; a dot is no label."""
    return np.array([[0 if sign == "." else int(sign) for sign in text]])


def counted(label: str, class_of: dict[int, int], prediction: str, num_classes: int = 3) -> Confusion:
    found = Confusion(num_classes)
    found.add(
        semantic_label(strip(label), list(class_of), list(class_of.values())), np.array(list(map(int, prediction)))
    )
    return found


def test_by_hand():
    found = counted("11112222..", {1: 0, 2: 2}, "0001222022").per_class()
    assert found.right.tolist() == [3, 0, 3]
    assert found.labelled.tolist() == [4, 0, 4]
    assert found.predicted.tolist() == [4, 1, 3]
    assert found.iou.tolist() == [3 / 5, 0.0, 3 / 4]
    assert found.acc[[0, 2]].tolist() == [3 / 4, 3 / 4]
    assert np.isnan(found.acc[1])


def test_pixels_without_a_label_count_nowhere_whatever_is_predicted():
    one, other = counted("11..", {1: 0}, "0000"), counted("11..", {1: 0}, "0012")
    assert (one.array == other.array).all()
    assert one.array.tolist() == [[2, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_rows_are_labels_and_columns_predictions():
    assert counted("1112", {1: 0, 2: 1}, "0122").array.tolist() == [[1, 1, 1], [0, 0, 1], [0, 0, 0]]


def test_three_numbers_a_class_give_the_figures_of_a_confusion():
    drawn = np.random.default_rng(0)
    confusion, counts = Confusion(7), PixelCounts(7)
    for _ in range(3):
        label = semantic_label(drawn.integers(0, 6, (9, 8)), [1, 2, 3, 4, 5], [6, 0, 3, 0, 2])
        predicted = drawn.integers(0, 6, 72)
        labelled_G, predicted_K, pixels_GK = np.array([4, 0]), np.array([0, 5, 4]), drawn.integers(0, 9, (2, 3))
        for one in (confusion, counts):
            one.add(label, predicted)
            one.add_counts(labelled_G, predicted_K, pixels_GK)
    expected, found = confusion.per_class(), counts.per_class()
    for name in ("iou", "acc", "right", "labelled", "predicted"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert counts.array[0].sum() < counts.array[1].sum() == counts.array[2].sum()


def test_segments_of_one_class_are_one():
    assert (counted("1122", {1: 1, 2: 1}, "1110").array == counted("1111", {1: 1}, "1110").array).all()


def test_a_class_that_nobody_has_has_no_value():
    found = counted("11", {1: 0}, "00").per_class()
    assert found.iou[0] == found.acc[0] == 1.0
    assert np.isnan(found.iou[1:]).all()
    assert np.isnan(found.acc[1:]).all()


def test_an_image_without_a_label_counts_nothing():
    assert not counted("....", {}, "0120").array.any()


@pytest.mark.parametrize(
    ("label", "class_of", "prediction", "says"),
    [
        ("11", {1: 0}, "000", r"\(3,\) predicted pixels for a label of \(1, 2\)"),
        ("11", {1: 0}, "03", "class ids 0..3 for 3 classes"),
        ("11", {1: 3}, "00", "class ids 3..3 for 3 classes"),
        ("12", {1: 0}, "00", r"label map has segments that are not listed: \[2\]"),
    ],
)
def test_what_does_not_fit_is_refused(label, class_of, prediction, says):
    with pytest.raises(ValueError, match=says):
        counted(label, class_of, prediction)


def random_images(rng, number, num_classes):
    """Labels 0..N-1 with 255 for none, and predictions that are often right; class 0 is never labelled."""
    for _ in range(number):
        label = rng.integers(1, num_classes - 1, (5, 6)).repeat(3, axis=0).repeat(2, axis=1)
        predicted = np.where(rng.random(label.shape) < 0.3, rng.integers(0, num_classes - 1, label.shape), label)
        label[rng.random(label.shape) < 0.1] = 255
        yield label, predicted


def confusion_of(images, num_classes):
    found = Confusion(num_classes)
    for label, predicted in images:
        present = [int(value) for value in np.unique(label) if value != 255]
        ids = np.where(label == 255, 0, label + 1)
        found.add(semantic_label(ids, [value + 1 for value in present], present), predicted.ravel())
    return found


def test_equals_a_loop_over_pixels():
    images = list(random_images(np.random.default_rng(0), 6, 5))
    expected = np.zeros((5, 5), int)
    for label, predicted in images:
        for row in range(label.shape[0]):
            for column in range(label.shape[1]):
                if label[row, column] != 255:
                    expected[label[row, column], predicted[row, column]] += 1
    assert (confusion_of(images, 5).array == expected).all()
    assert expected[1:4].sum(1).min() > 0


def test_equals_mmsegmentation():
    mmcv_ops.install()
    torch = pytest.importorskip("torch")
    from mmseg.evaluation import IoUMetric

    images = list(random_images(np.random.default_rng(1), 20, 7))
    found = confusion_of(images, 7).per_class()
    areas = [
        IoUMetric.intersect_and_union(torch.from_numpy(predicted), torch.from_numpy(label), 7, 255)
        for label, predicted in images
    ]
    metrics = IoUMetric.total_area_to_metrics(*(sum(column) for column in zip(*areas, strict=True)))
    assert np.isnan(found.iou[6])  # in no label and no prediction
    assert found.iou[0] == 0  # predicted alone
    np.testing.assert_allclose(found.iou, metrics["IoU"], rtol=1e-6)
    np.testing.assert_allclose(found.acc, metrics["Acc"], rtol=1e-6)
    assert np.nanmean(found.iou) == pytest.approx(float(np.nanmean(metrics["IoU"])), rel=1e-6)
    assert found.right.sum() / found.labelled.sum() == pytest.approx(float(metrics["aAcc"]), rel=1e-6)


def test_processes_add_up_to_one():
    images = list(random_images(np.random.default_rng(2), 9, 5))
    whole, first, second = (confusion_of(part, 5) for part in (images, images[::2], images[1::2]))
    assert (first.array + second.array == whole.array).all()
