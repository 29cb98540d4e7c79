import numpy as np
import pytest
from panoptic_files import striped, write_panoptic_set
from PIL import Image

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.records import ImageRecord
from scaseg_cli.errors import ScasegError
from scaseg_cli.split.label_sample import check_label_sample, spread_sample

RECORDS = tuple(ImageRecord(number, f"{number}.jpg", f"{number}.png", 4, 4, ()) for number in range(100))


@pytest.mark.parametrize("number", [1, 7, 50, 99])
def test_the_sample_is_spread_over_the_whole_list_and_stays_the_same(number):
    places = [record.image_id for record in spread_sample(RECORDS, number)]
    assert len(set(places)) == number
    for part, place in enumerate(places):
        assert part * 100 // number <= place < (part + 1) * 100 // number
    assert places == [record.image_id for record in spread_sample(RECORDS, number)]


def test_the_sample_is_not_the_first_of_each_part():
    assert [record.image_id for record in spread_sample(RECORDS, 10)] != list(range(0, 100, 10))


@pytest.mark.parametrize(("number", "count"), [(0, 0), (100, 100), (1000, 100)])
def test_none_and_all(number, count):
    assert len(spread_sample(RECORDS, number)) == count
    assert spread_sample((), number) == []


@pytest.fixture
def sets(tmp_path):
    wheres = {
        "train": write_panoptic_set(tmp_path, "train", [striped(number, 1, 3) for number in range(1, 5)]),
        "validation": write_panoptic_set(tmp_path, "val", [striped(number, 1, 7) for number in range(11, 15)]),
    }
    return {part: read_panoptic_set(tmp_path, where) for part, where in wheres.items()}


def spoil(labelled, image_id, pixels):
    record = next(record for record in labelled.images if record.image_id == image_id)
    Image.fromarray(pixels).save(labelled.label_path(record))


def test_right_labels_pass(sets):
    check_label_sample(sets, 4)


def test_a_single_wrong_label_raises_its_own_error(sets):
    spoil(sets["validation"], 13, np.zeros((3, 5, 3), dtype=np.uint8))
    with pytest.raises(ScasegError, match=r"val/000000000013\.png is 5 x 3 pixels, but .* 8 x 6 for image 13"):
        check_label_sample(sets, 4)


def test_all_wrong_labels_are_reported_together_one_per_line(sets):
    spoil(sets["validation"], 13, np.zeros((3, 5, 3), dtype=np.uint8))
    spoil(sets["train"], 2, np.zeros((6, 8, 3), dtype=np.uint8))
    sets["train"].label_path(sets["train"].images[3]).write_bytes(b"\x89PNG\r\n")
    with pytest.raises(ScasegError) as caught:
        check_label_sample(sets, 4)
    first, *lines = caught.value.message.splitlines()
    assert first == "the sample of 8 panoptic PNGs has 2 mistakes:"
    assert len(lines) == 2
    assert "000000000004.png cannot be read" in lines[0]
    assert "is 5 x 3 pixels" in lines[1]


def test_labels_of_other_images_are_refused(sets):
    for record in sets["train"].images:
        spoil(sets["train"], record.image_id, np.full((6, 8, 3), 9, np.uint8))
    with pytest.raises(ScasegError, match=r"none of 4 panoptic PNGs of train that were read, .* has a pixel of its"):
        check_label_sample(sets, None)


def test_what_is_not_in_the_sample_is_not_read(sets):
    spoil(sets["train"], 2, np.zeros((3, 5, 3), dtype=np.uint8))
    check_label_sample(sets, 0)
    check_label_sample({"validation": sets["validation"]}, 4)
