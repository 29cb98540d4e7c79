import pytest
import torch
from torch.nn import functional as F

from scaseg_cli.clip import load_clip
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.schema import Clip


def test_embeddings_are_unit_frozen_and_of_the_stated_width(vit, resnet):
    for clip in (vit, resnet):
        for vectors in (clip.encode_text(["a cat", "a dog", "sky"]), clip.encode_image(torch.rand(3, 3, 32, 32))):
            assert vectors.shape == (3, clip.dim)
            assert vectors.dtype == torch.float32
            assert not vectors.requires_grad
            assert vectors.norm(dim=1) == pytest.approx(torch.ones(3), abs=1e-6)
        assert not clip._module.training
        assert not any(p.requires_grad for p in clip._module.parameters())


def test_the_whole_image_is_seen_without_cropping(vit):
    """The colour of the far left of a wide image must matter: a centre crop would not see it."""
    image = torch.full((1, 3, 32, 160), 0.5)
    other = image.clone()
    other[..., :32] = 0.9
    assert (vit.encode_image(image) - vit.encode_image(other)).abs().max() > 1e-3


def test_images_are_resized_and_normalised_with_the_models_own_numbers(vit):
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    images = torch.rand(2, 3, 50, 41, generator=torch.Generator().manual_seed(0))
    small = F.interpolate(images, (32, 32), mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = (torch.tensor(v)[:, None, None] for v in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    expected = vit._module.encode_image((small - mean) / std, normalize=True)
    assert vit.encode_image(images) == pytest.approx(expected, abs=1e-6)
    assert vit.mean_colour == pytest.approx(OPENAI_DATASET_MEAN)
    assert vit.image_size == 32


def test_the_mean_colour_is_zero_after_normalisation(vit):
    image = torch.tensor(vit.mean_colour)[None, :, None, None].expand(1, 3, 32, 32)
    expected = vit._module.encode_image(torch.zeros(1, 3, 32, 32), normalize=True)
    assert vit.encode_image(image) == pytest.approx(expected, abs=1e-5)


def test_autocast_outside_does_not_change_the_targets(resnet):
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = resnet.encode_image(images)
    assert torch.equal(inside, resnet.encode_image(images))


@pytest.mark.parametrize("images", [torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(3, 8, 8)])
def test_a_wrong_kind_of_image_is_refused(vit, images):
    with pytest.raises(ValueError, match="images must be float"):
        vit.encode_image(images)


def test_random_weights_are_the_same_each_time_and_leave_the_callers_stream_alone(vit):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = load_clip(Clip(model="tiny-vit", checkpoint=None))
    assert torch.equal(torch.rand(3), expected)
    assert again.fingerprint == vit.fingerprint


def test_the_fingerprint_tells_weights_apart_but_not_layouts(vit, resnet):
    changed = load_clip(Clip(model="tiny-vit", checkpoint=None))
    with torch.no_grad():
        changed._module.text_projection[0, 0] += 1e-3
    assert len(vit.fingerprint) == 64
    assert len({vit.fingerprint, resnet.fingerprint, changed.fingerprint}) == 3
    plain = load_clip(Clip(model="tiny-resnet", checkpoint=None))
    plain._module.to(memory_format=torch.contiguous_format)
    assert plain.fingerprint == resnet.fingerprint


def test_a_prompt_that_would_be_truncated_is_an_error(vit):
    assert vit.encode_text(["one " * 14]).shape == (1, vit.dim)
    with pytest.raises(ScasegError, match="has 17 tokens, and the text encoder of tiny-vit reads 16"):
        vit.encode_text(["short", "one " * 15])


def test_the_embedded_worlds_clip_names_its_own_colours():
    clip = load_clip(Clip(model="shapes-clip", checkpoint="shapes-clip"))
    assert (clip.dim, clip.image_size) == (64, 64)
    texts = clip.encode_text(["a photo of a red plain.", "a photo of a blue plain."])
    red, blue = torch.zeros(2, 3, 90, 70)
    red[0], blue[2] = 0.9, 0.9
    assert (clip.encode_image(torch.stack([red, blue])) @ texts.T).argmax(1).tolist() == [0, 1]


def test_the_embedded_worlds_clip_has_no_other_tag():
    with pytest.raises(ScasegError, match="'openai' is not a file"):
        load_clip(Clip(model="shapes-clip", checkpoint="openai"))
    trained, random = (load_clip(Clip(model="shapes-clip", checkpoint=c)) for c in ("shapes-clip", None))
    assert trained.fingerprint != random.fingerprint
