"""Fusing masks block by block gives the same result as fusing them at once."""

import numpy as np
import pytest

from scaseg_cli.measures.fusion import FusionRule, MaskSet, fuse_in_blocks


def masks_of(rng: np.random.Generator, num_queries: int, height: int, width: int) -> np.ndarray:
    """Blobs, so that some queries win and others lose parts of their masks."""
    coarse = rng.normal(0, 3, (num_queries, -(-height // 4), -(-width // 4)))
    whole = np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2)[:, :height, :width]
    return (1 / (1 + np.exp(-whole))).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 5, 8, 21, 40])
def test_blocks_of_any_height_give_the_same(rows):
    rng, kinds = np.random.default_rng(rows), []
    rule = FusionRule(np.array([True, True, False, False]), 0.3, 0.03)
    for num_queries in (1, 9, 140):
        masks = masks_of(rng, num_queries, 21, 13)
        scores = rng.random(num_queries).astype(np.float32)
        labels = rng.integers(0, 5, num_queries)
        blocks = (masks[:, top : top + rows] for top in range(0, 21, rows))
        found, expected = fuse_in_blocks(scores, labels, blocks, rule), MaskSet(masks).fuse(scores, labels, rule)
        for part, wanted in zip(found, expected, strict=True):
            assert part.dtype == wanted.dtype
            assert part.tolist() == wanted.tolist()
        kinds.append(len(expected.ids))
    assert max(kinds) > 3


def test_where_no_query_is_kept_the_map_is_void():
    rule = FusionRule(np.array([True]), 0.9, 0.5)
    found = fuse_in_blocks(np.array([0.5]), np.array([0]), [np.ones((1, 2, 3)), np.ones((1, 1, 3))], rule)
    assert found.segment_map_HW.tolist() == [[0, 0, 0]] * 3
    assert len(found.ids) == 0
