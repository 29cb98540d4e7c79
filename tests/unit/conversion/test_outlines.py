import numpy as np
import pytest
from pycocotools import mask as coco_mask

from scaseg_cli.conversion.outlines import RunLengths, mask_of, numbers_in, problem_of


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_compressed_text_is_read_as_pycocotools_writes_it(density):
    mask_HW = np.random.default_rng(0).random((37, 501)) < density
    text = coco_mask.encode(np.asfortranarray(mask_HW.astype(np.uint8)))["counts"].decode()
    numbers = numbers_in(text)
    assert sum(numbers) == mask_HW.size
    assert np.array_equal(np.repeat(np.arange(len(numbers)) % 2, numbers), mask_HW.T.reshape(-1))
    outline = RunLengths((37, 501), text)
    assert problem_of(outline, 501, 37) is None
    assert np.array_equal(mask_of(outline, 501, 37), mask_HW)
    assert np.array_equal(mask_of(RunLengths((37, 501), numbers), 501, 37), mask_HW)


@pytest.mark.parametrize("text", ["P", "a b", "\u20ac", "P" * 40 + "0"])
def test_other_text_is_not_read(text):
    assert numbers_in(text) is None


def test_several_polygons_are_one_object():
    outline = [[0, 0, 2, 0, 2, 2, 0, 2], [4, 0, 6, 0, 6, 2, 4, 2]]
    assert mask_of(outline, 8, 3).sum(0).tolist() == [2, 2, 0, 0, 2, 2, 0, 0]
    assert problem_of([[-3.5, 0, 11, 0, 11, 2]], 8, 3) is None  # a little outside
