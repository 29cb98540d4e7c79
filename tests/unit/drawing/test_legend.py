"""The legend, and names on segments with a legend."""

import numpy as np
import pytest
from PIL import Image

from scaseg_cli.drawing import tags
from scaseg_cli.drawing.class_styles import ClassStyle
from scaseg_cli.drawing.legend import draw_legend, legend_height
from scaseg_cli.drawing.regions import Region, draw_regions
from scaseg_cli.drawing.tags import name_regions

SEEN, UNSEEN = ClassStyle("cat", (220, 30, 30), False), ClassStyle("cow", (30, 30, 220), True)


def drawn(*styles: ClassStyle, width: int = 400, scale: int = 1) -> np.ndarray:
    picture = Image.new("RGB", (width, max(1, legend_height(styles, width, scale))), (255, 255, 255))
    draw_legend(picture, styles, (0, 0), width, scale)
    return np.asarray(picture).astype(int)


def rows_of(pixels: np.ndarray, colour: str) -> np.ndarray:
    """The rows in which a swatch of the colour is."""
    own, other = (0, 2) if colour == "red" else (2, 0)
    return np.flatnonzero((pixels[..., own] > pixels[..., other] + 100).any(1))


def test_unseen_classes_come_first_whatever_the_order() -> None:
    pixels = drawn(SEEN, UNSEEN)
    assert rows_of(pixels, "blue").max() < rows_of(pixels, "red").min()


def test_an_unseen_class_has_a_white_line_within_its_swatch() -> None:
    for style, colour, expected in ((SEEN, "red", False), (UNSEEN, "blue", True)):
        pixels = drawn(style)
        line = pixels[int(np.median(rows_of(pixels, colour)))]
        own = np.flatnonzero(np.abs(line - line[np.ptp(line, axis=1).argmax()]).max(1) == 0)
        assert (line[own[0] - 1] == 255).all() == expected
        assert (line[own[0] - (3 if expected else 1)] < 60).all()  # the dark line around it


def test_many_classes_take_several_lines_and_none_is_lost() -> None:
    many = [ClassStyle(f"class {i}", (220, 30, 30), False) for i in range(12)]
    assert legend_height(many, 400) > legend_height(many[:2], 400)
    assert legend_height([], 400) == 0
    assert legend_height(many, 800, 2) == 2 * legend_height(many, 400)
    pixels = drawn(*many)
    red = (pixels[..., 0] > pixels[..., 2] + 100).any(1)
    tops = np.flatnonzero(np.diff(red.astype(int)) == 1)
    inner = [pixels[top + 5, :, 0] > pixels[top + 5, :, 2] + 100 for top in tops]
    assert sum(int((np.diff(line.astype(int)) == 1).sum()) for line in inner) == 12


def test_a_name_longer_than_the_line_is_shortened() -> None:
    assert drawn(ClassStyle("a name " * 60, (220, 30, 30), True)).shape[1] == 400


@pytest.fixture
def words(monkeypatch) -> list[str]:
    """What is written on tags."""
    written: list[str] = []
    draw_tag = tags.draw_tag
    monkeypatch.setattr(tags, "draw_tag", lambda *given: written.append(given[2]) or draw_tag(*given))
    return written


def mask(top: int, left: int, side: int) -> np.ndarray:
    found = np.zeros((256, 256), bool)
    found[top : top + side, left : left + side] = True
    return found


def test_with_a_legend_small_segments_stay_bare_but_one_of_each_unseen_class(words) -> None:
    cell = Image.new("RGB", (256, 256))
    large, small = mask(0, 0, 100), [mask(200, 70 * place, 14) for place in range(3)]
    regions = [(large, SEEN, False), (small[0], SEEN, False), (small[1], UNSEEN, False), (small[2], UNSEEN, False)]
    name_regions(cell, regions, legend=True)
    assert sorted(words) == ["cat", "cow"]
    words.clear()
    name_regions(cell, regions)
    assert sorted(words) == ["cat", "cat", "cow", "cow"]


def test_with_a_legend_a_wrong_segment_without_room_for_its_name_has_the_cross_alone(words) -> None:
    cell = Image.new("RGB", (256, 256))
    style = ClassStyle("a name with no room", (220, 30, 30), False)
    name_regions(cell, [(mask(10, 10, 24), style, True), (mask(100, 100, 5), style, True)], legend=True)
    assert words == [""]


@pytest.mark.parametrize("thickness", [1, 2, 6, 9, 30])
def test_the_outline_of_a_thin_unseen_segment_leaves_something_of_it(thickness: int) -> None:
    image = np.full((256, 256, 3), 90, np.uint8)
    thin = np.zeros((256, 256), bool)
    thin[100 : 100 + thickness, 20:240] = True
    cell = np.asarray(draw_regions(image, [Region(thin, ClassStyle("", (30, 30, 220), True))])).astype(int)
    middle = cell[100 : 100 + thickness, 200]
    white, blue = (middle == 255).all(1).sum(), (middle[:, 2] > middle[:, 0] + 60).sum()
    assert white == min(thickness, 2 if thickness < 14 else 6)
    assert blue == {1: 0, 2: 0, 6: 2, 9: 5, 30: 22}[thickness]
