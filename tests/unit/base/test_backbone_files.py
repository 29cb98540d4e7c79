"""Backbone weights from a user's own file: what is taken, and what is refused."""

from pathlib import Path

import pytest
import torch

from scaseg_cli.base.network import build_backbone, load_backbone
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
