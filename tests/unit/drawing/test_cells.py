"""What a cell of a sheet shows."""

import numpy as np
import pytest

from scaseg_cli.drawing.class_styles import ClassStyle
from scaseg_cli.drawing.regions import CELL, Region, draw_image, draw_regions
from scaseg_cli.drawing.sheet import Sheet, SheetRow, draw_sheet

GREY = np.full((64, 64, 3), 90, np.uint8)
SEEN, UNSEEN = ClassStyle("red square", (220, 30, 30), False), ClassStyle("blue ring", (30, 30, 220), True)


def square(top: int, side: int = 30) -> np.ndarray:
    mask = np.zeros((64, 64), bool)
    mask[top : top + side, top : top + side] = True
    return mask


def test_a_small_image_is_enlarged_by_a_whole_factor_without_new_colours():
    image = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    cell = np.asarray(draw_image(image))
    assert cell.shape == (160, 256, 3)
    assert (cell[::4, ::4] == image).all()
    assert (cell[3::4, 3::4] == image).all()


def test_a_large_image_is_made_to_fit():
    assert draw_image(np.zeros((480, 640, 3), np.uint8)).size == (CELL, 192)
    assert draw_image(np.zeros((4000, 2, 3), np.uint8)).size == (1, CELL)


def test_an_unseen_segment_has_a_white_outline_and_a_seen_one_has_not():
    seen, unseen = (np.asarray(draw_regions(GREY, [Region(square(20), style)])).astype(int) for style in (SEEN, UNSEEN))
    top, left = 4 * 20, 4 * 20 + 3
    assert (unseen[top, left + 20] == 255).all()
    assert (seen[top, left + 20] < 60).all()


def test_a_segment_has_its_colour_and_nothing_is_grey():
    drawn = np.asarray(draw_regions(GREY, [Region(square(20), SEEN)])).astype(int)
    red, green, blue = drawn[4 * 20 + 10, 4 * 20 + 10]
    assert red > green + 80
    assert red > blue + 80
    outside = drawn[:70]
    assert (outside.max(-1) == outside.min(-1)).all()
    assert len(np.unique(outside)) == 2


def test_without_a_segment_the_photograph_shows_paled_with_thin_lines():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image[:, :, 0] |= 128
    drawn = np.asarray(draw_regions(image, [Region(square(60, 2), SEEN)])).astype(int)[:200]
    shown = np.asarray(draw_image(image)).astype(int)[:200]
    between = drawn - (0.45 * shown + 125)
    assert np.quantile(np.abs(between), 0.85) < 1  # the photograph in its colours, paled
    lines = (np.abs(between) > 20).mean()
    assert 0.05 < lines < 0.12


def test_a_seen_object_on_unseen_stuff_is_not_outlined_as_unseen():
    whole, inside = np.ones((64, 64), bool), square(20)
    regions = [Region(whole & ~inside, UNSEEN), Region(inside, SEEN)]
    drawn = np.asarray(draw_regions(GREY, regions)).astype(int)
    assert (drawn[2, 130] == 255).all()  # around the stuff
    around = np.zeros(drawn.shape[:2], bool)
    around[76:204, 76:204], around[80:200, 80:200] = True, False
    assert (drawn[around] == 255).all(-1).mean() < 0.2  # not around the object, where the stuff's name may be
    below = np.zeros((64, 64), bool)
    below[40:, 20:50] = True
    row = np.asarray(draw_regions(GREY, [Region(whole & ~below, UNSEEN), Region(below, SEEN)]))[
        4 * 50, 4 * 20 - 6 : 4 * 20
    ]
    assert (row.max(-1) < 255).all()  # not around one that leaves the image at one side
    corner = square(0)
    for isthing, outlined in ((True, True), (False, False)):
        ground = ClassStyle("blue ground", (30, 30, 220), True, isthing)
        drawn = np.asarray(draw_regions(GREY, [Region(whole & ~corner, ground), Region(corner, SEEN)]))
        assert (drawn[4 * 30 + 1, 40] == 255).all() == outlined  # stuff is not outlined along a seen thing
    plain = ClassStyle("red plain", (220, 30, 30), False, False)
    drawn = np.asarray(draw_regions(GREY, [Region(whole & ~corner, ground), Region(corner, plain)]))
    assert (drawn[4 * 30 + 1, 40] == 255).all()  # but along other stuff


def test_a_wrong_segment_is_marked_in_red_on_its_name():
    right, wrong = (
        np.asarray(draw_regions(GREY, [Region(square(20), UNSEEN, wrong)])).astype(int) for wrong in (False, True)
    )

    def num_red(cell: np.ndarray) -> int:
        return int(((cell[..., 0] > 150) & (cell[..., 1:].max(-1) < 60)).sum())

    assert num_red(right) == 0
    assert num_red(wrong) > 20


def test_names_of_neighbours_do_not_cover_each_other():
    """Two small adjacent segments each get a complete tag, both white."""
    masks = [np.zeros((64, 64), bool) for _ in range(2)]
    masks[0][30:34, 28:32], masks[1][30:34, 32:36] = True, True

    def num_white(*regions: Region) -> int:
        return int((np.asarray(draw_regions(GREY, regions)) == 255).all(-1).sum())

    both = [Region(mask, UNSEEN) for mask in masks]
    assert num_white(*both) > 1.8 * num_white(both[0])  # overlapping tags would have 1.3 times as much


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (700, 9)])
def test_any_size_and_any_name_is_drawn(shape):
    style = ClassStyle("a name\nthat is far too long for any cell " * 5, (0, 0, 0), True)
    cell = draw_regions(np.zeros((*shape, 3), np.uint8), [Region(np.ones(shape, bool), style, True)])
    sheet = draw_sheet(
        Sheet("title", ["note " * 100], [("image", "remark " * 50)], [SheetRow(["caption " * 90], [cell])], [style])
    )
    assert max(cell.size) <= CELL
    assert sheet.height > cell.height
