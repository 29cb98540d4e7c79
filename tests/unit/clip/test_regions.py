"""CLIP's embeddings of masks against slow references: one mask at a time, one pixel or cell at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scaseg_cli.clip import load_clip
from scaseg_cli.clip.dense import dense_tower
from scaseg_cli.clip.regions import MaskView, crop_of, region_embeddings
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.schema import Clip

if TYPE_CHECKING:
    from scaseg_cli.clip.model import ClipModel

LOOKS = [MaskView("crops"), MaskView("crops", "none", 2.0), MaskView("crops", "mean", 1.0), MaskView("pooled")]


@pytest.fixture(scope="module")
def towers(_tiny_models) -> dict[str, ClipModel]:
    return {name: load_clip(Clip(model=f"tiny-{name}", checkpoint=None)) for name in ("vit", "resnet", "convnext")}


def _scene(number: int, size: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An image and random rectangles as masks, the second one empty, one at the edge, one with a hole."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (*size, 3), np.uint8)
    masks = np.zeros((number, *size), bool)
    for mask in masks:
        top, left = (int(random.integers(0, side - 4)) for side in size)
        mask[top : top + int(random.integers(3, 20)), left : left + int(random.integers(3, 20))] = True
    masks[0, :6, -9:] = True
    masks[1] = False
    masks[2, 5:25, 5:25], masks[2, 10:12, 10:12] = True, False
    return image, masks


def _slow_crop(image: np.ndarray, mask: np.ndarray, view: MaskView, colour: tuple[float, ...]) -> np.ndarray:
    places = [(y, x) for y in range(mask.shape[0]) for x in range(mask.shape[1]) if mask[y, x]]
    tops, lefts = [y for y, _ in places], [x for _, x in places]
    low, high = (min(tops), min(lefts)), (max(tops) + 1, max(lefts) + 1)
    side = round(view.box * max(high[0] - low[0], high[1] - low[1]))
    corner = [(low[axis] + high[axis] - side) // 2 for axis in (0, 1)]
    square = np.zeros((side, side, 3), np.uint8)
    for y in range(side):
        for x in range(side):
            at = corner[0] + y, corner[1] + x
            is_inside = 0 <= at[0] < mask.shape[0] and 0 <= at[1] < mask.shape[1]
            shows = is_inside and (view.fill == "none" or mask[at])
            square[y, x] = image[at] if shows else [round(255 * value) for value in colour]
    return square


@pytest.mark.parametrize("view", LOOKS[:3], ids=str)
def test_a_crop_is_the_square_around_the_mask(view: MaskView) -> None:
    image, masks = _scene(6, (40, 56))
    colour = 0.5, 0.25, 0.1
    for mask in masks[[0, 2, 3, 4, 5]]:
        found = crop_of(image, mask, view, colour)
        assert found is not None
        assert np.array_equal(found, _slow_crop(image, mask, view, colour))
    assert crop_of(image, masks[1], view, colour) is None


@pytest.mark.parametrize("view", LOOKS, ids=str)
@pytest.mark.parametrize("name", ["vit", "resnet"])
def test_many_masks_are_embedded_as_one_at_a_time(towers: dict[str, ClipModel], name: str, view: MaskView) -> None:
    clip, scenes = towers[name], [_scene(35, (40, 56)), _scene(4, (64, 33), seed=1)]
    together = region_embeddings(clip, view, scenes)
    assert [tuple(f_KC.shape) for f_KC in together] == [(35, clip.dim), (4, clip.dim)]
    for (image, masks), f_KC in zip(scenes, together, strict=True):
        for mask, f_C in zip(masks, f_KC, strict=True):
            if not mask.any():
                assert not f_C.any()
                continue
            alone = region_embeddings(clip, view, [(image, mask[None])])[0][0]
            torch.testing.assert_close(f_C, alone, rtol=1e-4, atol=1e-5)
            if view.method == "crops":
                square = torch.from_numpy(_slow_crop(image, mask, view, clip.mean_colour)).permute(2, 0, 1)[None] / 255
                torch.testing.assert_close(f_C, clip.encode_image(square)[0], rtol=1e-4, atol=1e-5)
        assert float(f_KC.norm(dim=1).max()) == pytest.approx(1.0, abs=1e-5)


def _normalised(clip: ClipModel, image: np.ndarray) -> torch.Tensor:
    pixels = clip.resized(torch.from_numpy(image).permute(2, 0, 1)[None] / 255.0)
    return (pixels - clip._mean) / clip._std


@pytest.mark.parametrize("name", ["vit", "resnet"])
def test_pooling_is_a_mean_over_cells_of_what_each_cell_says(towers: dict[str, ClipModel], name: str) -> None:
    clip, (image, masks) = towers[name], _scene(4, (64, 64))
    visual, pixels = clip._module.visual, _normalised(clip, image)
    with torch.no_grad():
        if name == "resnet":
            maps = visual.layer4(visual.layer3(visual.layer2(visual.layer1(visual.stem(pixels)))))
            says = [visual.attnpool.c_proj(visual.attnpool.v_proj(cell)) for cell in maps[0].flatten(1).T]
        else:
            seen: list[torch.Tensor] = []
            last = visual.transformer.resblocks[-1]
            hook = last.ln_1.register_forward_hook(lambda _, __, out: seen.append(out))
            visual(pixels)
            hook.remove()
            width = seen[0].shape[-1]
            says = []
            for token in seen[0][0, 1:]:  # without the class token
                value = last.attn.in_proj_weight[2 * width :] @ token + last.attn.in_proj_bias[2 * width :]
                says.append(visual.ln_post(last.attn.out_proj(value)) @ visual.proj)
    side = round(len(says) ** 0.5)
    cell = 64 // side
    for mask in masks[[0, 2, 3]]:
        total = torch.zeros(clip.dim)
        for place, said in enumerate(says):
            y, x = divmod(place, side)
            total += float(mask[y * cell : (y + 1) * cell, x * cell : (x + 1) * cell].mean()) * said
        found = region_embeddings(clip, MaskView("pooled"), [(image, mask[None])])[0][0]
        torch.testing.assert_close(found, F.normalize(total, dim=0), rtol=1e-4, atol=1e-5)


def test_a_convnext_pooled_over_everything_is_its_image_embedding(towers: dict[str, ClipModel]) -> None:
    clip, (image, masks) = towers["convnext"], _scene(4, (64, 64))
    everything = region_embeddings(clip, MaskView("pooled"), [(image, np.ones((1, 64, 64), bool))])[0][0]
    whole = clip.encode_image(torch.from_numpy(image).permute(2, 0, 1)[None] / 255.0)[0]
    torch.testing.assert_close(everything, whole, rtol=1e-4, atol=1e-5)
    part = region_embeddings(clip, MaskView("pooled"), [(image, masks[2:3])])[0][0]
    assert not torch.allclose(part, whole, atol=1e-3)


def test_another_tower_is_refused_with_what_to_do() -> None:
    with pytest.raises(ScasegError, match="image tower of odd") as caught:
        dense_tower(nn.Linear(2, 2), "odd")
    assert "crops" in (caught.value.hint or "")
