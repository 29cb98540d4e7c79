"""Two real images of COCO, if the folder next to the repository exists."""

import numpy as np
from outside_data import needs_outside, outside

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.folders import check_files
from scaseg_cli.data.images import ids_to_rgb, read_image, read_label
from scaseg_cli.recipe.data_section import ImageSet

ROOT = outside("coco_sample")
WHERE = ImageSet(images="input_images", annotations="panoptic_examples.json", labels="panoptic_examples")
pytestmark = needs_outside("coco_sample")


def test_reads_real_annotations_images_and_labels():
    panoptic_set = read_panoptic_set(ROOT, WHERE)
    check_files(panoptic_set)
    assert [record.image_id for record in panoptic_set.images] == [142238, 439180]
    assert [len(record.segments) for record in panoptic_set.images] == [18, 32]
    assert len(panoptic_set.categories) == 133
    assert sum(category.isthing for category in panoptic_set.categories) == 80
    for record in panoptic_set.images:
        image = read_image(panoptic_set.image_path(record), record)
        label = read_label(panoptic_set, record)
        assert image.shape == (*label.shape, 3) == (record.height, record.width, 3)
        ids, counts = np.unique(label, return_counts=True)
        areas = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        assert all(areas[segment.id] == segment.area for segment in record.segments)
        assert areas.keys() - {segment.id for segment in record.segments} == {0}
        assert ids_to_rgb(label).shape == image.shape
