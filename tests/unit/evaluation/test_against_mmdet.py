"""Comparison with two reference implementations in MMDetection: Mask2Former's fusion and panopticapi's counts."""

from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from scaseg_cli.base import mmcv_ops
from scaseg_cli.measures.fusion import FusionRule, MaskSet
from scaseg_cli.measures.panoptic_quality import PanopticQuality

torch = pytest.importorskip("torch")
NUM_THINGS, NUM_STUFF = 3, 3
NUM_CLASSES = NUM_THINGS + NUM_STUFF


@pytest.fixture(scope="module", autouse=True)
def operators():
    mmcv_ops.install()


def smooth_logits(rng, num_queries, side):
    """Return mask logits whose edges cross, like those of a network."""
    y, x = np.mgrid[:side, :side] / side
    a, b, c = rng.normal(size=(3, num_queries, 1, 1)) * 6
    return (a * (x - 0.5) + b * (y - 0.5) + c / 3 + rng.normal(size=(num_queries, side, side)) / 2).astype(np.float32)


def test_fusion_equals_mmdet():
    from mmdet.models.seg_heads.panoptic_fusion_heads import MaskFormerFusionHead

    thresholds = {"object_mask_thr": 0.3, "iou_thr": 0.4, "filter_low_score": True}
    head = MaskFormerFusionHead(NUM_THINGS, NUM_STUFF, test_cfg=thresholds)
    rule = FusionRule(np.arange(NUM_CLASSES) < NUM_THINGS, 0.3, 0.4)
    rng = np.random.default_rng(0)
    num_segments = num_empty = 0
    for _ in range(40):
        logits = torch.from_numpy(rng.normal(size=(9, NUM_CLASSES + 1)).astype(np.float32) * 2)
        masks = torch.from_numpy(smooth_logits(rng, 9, 24))
        expected = head.panoptic_postprocess(logits, masks).sem_seg[0].numpy()
        scores, labels = logits.softmax(-1).max(-1)
        found = MaskSet(masks.sigmoid().numpy()).fuse(scores.numpy(), labels.numpy(), rule)
        class_of_id = np.concatenate([[NUM_CLASSES], found.class_ids])
        # mmdet numbers the things that it keeps, and gives all stuff of a class the number 0
        is_thing = class_of_id < NUM_THINGS
        mmdet_ids = class_of_id + 1000 * np.cumsum(is_thing) * is_thing
        drawn = mmdet_ids[found.segment_map_HW]
        # mmdet also numbers a thing that keeps no pixel above one half: compare the segments, not their numbers
        assert (drawn % 1000).tolist() == (expected % 1000).tolist()
        pairs = set(zip(drawn.ravel().tolist(), expected.ravel().tolist(), strict=True))
        assert len(pairs) == len(np.unique(drawn)) == len(np.unique(expected))
        num_segments += len(found.ids)
        num_empty += not len(found.ids)
    assert num_segments > 40


def write_png(folder, name, map_HW):
    """Write a map of segment ids in COCO's encoding and return the file name."""
    rgb = np.stack([map_HW % 256, map_HW // 256 % 256, map_HW // 65536], axis=-1).astype(np.uint8)
    Image.fromarray(rgb).save(folder / name)
    return name


def test_counts_equal_panopticapi(tmp_path, monkeypatch):
    from mmdet.evaluation.functional import panoptic_utils

    class Counts(defaultdict):
        """The counts that mmdet's copy of panopticapi adds to; panopticapi itself is on no package registry."""

        def __init__(self):
            super().__init__(lambda: SimpleNamespace(tp=0, fp=0, fn=0, iou=0.0))

    def to_ids(rgb):
        channels = rgb.astype(np.uint32)
        return channels[..., 0] + 256 * channels[..., 1] + 65536 * channels[..., 2]

    monkeypatch.setattr(panoptic_utils, "PQStat", Counts)
    monkeypatch.setattr(panoptic_utils, "rgb2id", to_ids)
    rng = np.random.default_rng(1)
    quality, pairs = PanopticQuality(4), []
    for i in range(40):
        label = rng.integers(0, 5, (6, 6)).repeat(4, axis=0).repeat(4, axis=1) * 70_001
        shifted = np.roll(label, rng.integers(0, 3), axis=rng.integers(0, 2))
        prediction = np.where(rng.random(label.shape) < 0.1, 0, shifted)
        sides = []
        for name, drawn in (("label", label), ("prediction", prediction)):
            ids, areas = np.unique(drawn[drawn > 0], return_counts=True)
            file_name = write_png(tmp_path, f"{name}{i}.png", drawn)
            classes = ids % 4 if rng.random() < 0.8 else rng.integers(0, 4, len(ids))
            crowd = (rng.random(len(ids)) < 0.2) & (name == "label")
            rows = zip(ids.tolist(), areas.tolist(), classes.tolist(), crowd.tolist(), strict=True)
            infos = [{"id": s, "area": a, "category_id": c, "iscrowd": int(k)} for s, a, c, k in rows]
            sides.append((drawn, ids, classes, crowd, {"image_id": i, "file_name": file_name, "segments_info": infos}))
        truth, guess = sides
        quality.add(*truth[:4], *guess[:3])
        pairs.append((truth[4], guess[4]))
    expected = panoptic_utils.pq_compute_single_core(0, pairs, str(tmp_path), str(tmp_path), dict.fromkeys(range(4)))
    for class_id in range(4):
        counts = expected[class_id]
        found = (quality.tp[class_id], quality.fp[class_id], quality.fn[class_id])
        assert found == (counts.tp, counts.fp, counts.fn)
        assert min(found) > 0
        assert abs(quality.iou_sum[class_id] - counts.iou) < 1e-9
