"""Backbone weights from a user's file: which are accepted and which rejected."""

from pathlib import Path

import pytest
import torch

from scaseg_cli import hub
from scaseg_cli.base.backbone_weights import read_backbone, torchvision_file
from scaseg_cli.base.backbones import build_backbone
from scaseg_cli.base.network import load_backbone
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe


def _backbone():
    return build_backbone(load_recipe("shapes-zps").base.backbone)


def test_a_wrapped_classifier_checkpoint_gives_its_body(tmp_path: Path) -> None:
    source, target = _backbone(), _backbone()
    with torch.no_grad():
        source.conv1.weight.fill_(0.5)
    state = {f"module.{name}": tensor for name, tensor in source.state_dict().items()}
    path = tmp_path / "resnet.pth"
    torch.save({"state_dict": {**state, "module.fc.weight": torch.zeros(3, 4)}}, path)
    load_backbone(target, str(path))
    assert torch.equal(target.conv1.weight, source.conv1.weight)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as weights"),
        (b"not weights at all", "cannot be read as weights"),
        ([1, 2], "holds no state dict"),
        ({"conv1.weight": torch.zeros(1)}, "lacks"),
    ],
)
def test_a_file_that_does_not_serve_is_named_with_the_remedy(content: object, said: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ScasegError, match=rf"wrong\.pth {said}(.|\n)*base\.backbone\.checkpoint=PATH"):
        load_backbone(_backbone(), str(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScasegError, match=r"gone\.pth does not exist"):
        load_backbone(_backbone(), str(tmp_path / "gone.pth"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torchvision's, on a machine without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(hub, "unreachable", lambda _: "there is no network")
    return tmp_path / "hub" / "checkpoints"


def test_torchvisions_weights_are_taken_from_its_cache(cache: Path) -> None:
    path, _ = torchvision_file("torchvision://resnet18")
    assert path.parent == cache
    cache.mkdir(parents=True)
    torch.save({"conv1.weight": torch.full((1,), 7.0)}, path)
    where, weights = read_backbone("torchvision://resnet18")
    assert where == path
    assert weights["conv1.weight"].item() == 7.0


def test_a_damaged_file_in_the_cache_is_named(cache: Path) -> None:
    path, _ = torchvision_file("torchvision://resnet18")
    cache.mkdir(parents=True)
    path.write_bytes(b"PK cut short")
    with pytest.raises(ScasegError, match=r"resnet18-\w+\.pth cannot be read as weights(.|\n)*Delete it"):
        read_backbone("torchvision://resnet18")


@pytest.mark.usefixtures("cache")
def test_without_a_network_the_error_says_what_to_fetch_and_where_to_put_it() -> None:
    path, url = torchvision_file("torchvision://resnet50")
    with pytest.raises(ScasegError) as caught:
        read_backbone("torchvision://resnet50")
    assert f"are not on this machine ({path}), and {url} cannot be reached: there is no network" in caught.value.message
    assert caught.value.hint is not None
    for part in (f"-o {path} {url}", "--set base.backbone.checkpoint=PATH", "scaseg doctor"):
        assert part in caught.value.hint


def test_a_name_that_torchvision_does_not_know() -> None:
    with pytest.raises(ScasegError, match="torchvision has no ImageNet weights named 'resnet5'"):
        read_backbone("torchvision://resnet5")
