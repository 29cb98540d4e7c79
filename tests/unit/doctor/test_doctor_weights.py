"""Weights of CLIP and of the backbone: shipped, in a cache, in a file, damaged, or missing."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from scaseg_cli.doctor.finding import Finding
from scaseg_cli.doctor.weights import (
    backbone_findings,
    clip_findings,
    encoder_findings,
    prompt_findings,
    weights_problem,
)
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

RUN = RunDir(Path("runs/x"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches."""
    from huggingface_hub import constants

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def _clip(*changes: str, name: str = "coco-zps") -> Finding:
    (finding,) = clip_findings(load_recipe(name, changes), RUN)
    return finding


def _backbone(*changes: str, name: str = "coco-zps") -> Finding:
    (finding,) = backbone_findings(load_recipe(name, changes), RUN)
    return finding


def test_a_tag_that_is_not_here_says_what_to_fetch_and_where_to_put_it() -> None:
    finding = _clip()
    assert finding.state == "missing"
    assert "ViT-B-16 'openai' is not on this machine" in finding.found
    assert finding.mend is not None
    fetch, give = finding.mend.splitlines()
    assert fetch.startswith("curl -fL --create-dirs -o ~/.cache/clip/ViT-B-16.pt https://")
    assert give == "or name a file: --set clip.checkpoint=PATH"


def test_a_tag_in_the_cache_is_ready_where_the_command_puts_it(home: Path) -> None:
    file = home / ".cache" / "clip" / "ViT-B-16.pt"
    file.parent.mkdir(parents=True)
    torch.save({"a": torch.zeros(3)}, file)
    assert (_clip().state, str(file) in _clip().found) == ("ready", True)
    file.write_bytes(file.read_bytes()[:-30])
    assert (_clip().state, _clip().found.endswith("is truncated")) == ("missing", True)
    assert "Delete it, then curl" in (_clip().mend or "")


def test_clip_from_a_file(home: Path) -> None:
    torch.save({"a": torch.zeros(3)}, home / "mine.pt")
    assert _clip("clip.checkpoint=mine.pt").state == "ready"


def test_clips_of_other_kinds() -> None:
    assert _clip("clip.checkpoint=null").state == "warning"
    assert _clip(name="shapes-zps").state == "ready"
    assert _clip("clip.checkpoint=gone.safetensors", name="shapes-zps").state == "missing"
    for change, said in (("clip.model=ViT-B-61", "has no model"), ("clip.checkpoint=gone.pt", "neither a file nor")):
        with pytest.raises(ScasegError, match=said):  # which becomes the row
            _clip(change)


def test_a_file_of_vectors_must_have_the_data_s_classes(home: Path) -> None:
    where = "data.annotations.json"
    categories = [{"id": place, "name": name, "isthing": 1} for place, name in enumerate(("a bus", "sky"))]
    (home / where).write_text(json.dumps({"annotations": [{"segments_info": []}], "categories": categories}))
    (home / "words.txt").write_text("a 1 0\nbus 0 1\n")
    changes = ("base.v2c.enabled=false", "data.root=.", f"data.train.annotations={where}")
    recipe = load_recipe("coco-zps", ("embeddings.vectors=words.txt", *changes))
    with pytest.raises(ScasegError, match=r"words\.txt has no vector for 'sky'"):
        encoder_findings(recipe, RUN)
    (home / "words.txt").write_text("a 1 0\nbus 0 1\nsky 1 1\n")
    (finding,) = encoder_findings(recipe, RUN)
    assert (finding.state, finding.found) == ("ready", "words.txt: 2 numbers per name; it has all 2 classes")
    (home / where).unlink()
    assert encoder_findings(recipe, RUN)[0].found == "words.txt: 2 numbers per name"


def test_prompts(home: Path) -> None:
    assert prompt_findings(load_recipe("coco-zps"), RUN)[0].found == "padding8: 8 templates"
    (home / "mine.txt").write_text("a photo of a {}\na {}\n")
    assert prompt_findings(load_recipe("coco-zps", ("embeddings.templates=mine.txt",)), RUN)[0].found.startswith(
        "mine.txt: 2"
    )
    with pytest.raises(ScasegError, match="neither a file nor a set"):  # which becomes the row
        prompt_findings(load_recipe("coco-zps", ("embeddings.templates=vld",)), RUN)


def test_a_backbone_that_is_not_here_says_what_to_fetch_and_where_to_put_it(home: Path) -> None:
    finding = _backbone()
    assert finding.state == "missing"
    assert str(home / ".cache" / "torch" / "hub" / "checkpoints") in finding.found
    assert finding.mend is not None
    assert finding.mend.startswith("curl -fL --create-dirs -o ~/.cache/torch/hub/checkpoints/resnet50-")
    assert finding.mend.endswith("--set base.backbone.checkpoint=PATH")


def test_a_backbone_in_the_cache_is_ready_where_the_command_puts_it(home: Path) -> None:
    place = (_backbone().mend or "").split()[4].replace("~", str(home))
    Path(place).parent.mkdir(parents=True)
    torch.save({"conv1.weight": torch.zeros(3)}, place)
    assert (_backbone().state, place in _backbone().found) == ("ready", True)


def test_backbones_of_other_kinds(home: Path) -> None:
    assert _backbone("base.backbone.checkpoint=null").state == "warning"
    assert _backbone(name="shapes-zps").state == "ready"
    assert _backbone("base.backbone.checkpoint=gone.pth").state == "missing"
    save_file({"a": torch.zeros(3)}, home / "mine.safetensors")
    assert _backbone("base.backbone.checkpoint=mine.safetensors").state == "ready"
    with pytest.raises(ScasegError, match="no ImageNet weights named 'resnet5'"):
        _backbone("base.backbone.checkpoint=torchvision://resnet5")


def test_whole_files_may_be_weights(home: Path) -> None:
    state = {"a": torch.zeros(300), "b": torch.ones(2, 3)}
    save_file(state, home / "a.safetensors")
    torch.save(state, home / "a.pt")
    torch.save(state, home / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "a.pt", "old.pt"):
        assert weights_problem(home / name) is None, name


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
@pytest.mark.parametrize("kept", [0, 5, 40, 700])
def test_cut_files_are_told(name: str, kept: int, home: Path) -> None:
    state = {"a": torch.zeros(300)}
    (save_file if name.endswith("safetensors") else torch.save)(state, home / name)
    (home / name).write_bytes((home / name).read_bytes()[:kept])
    assert weights_problem(home / name) in ("is empty", "is truncated", "is not a weight file")


def test_what_is_no_weights_at_all(home: Path) -> None:
    (home / "page.html").write_text("<html>404: Not Found</html>")
    assert weights_problem(home / "page.html") == "is not a weight file"
    (home / "list.safetensors").write_bytes((3).to_bytes(8, "little") + b"{1}")
    assert weights_problem(home / "list.safetensors") == "is truncated"
