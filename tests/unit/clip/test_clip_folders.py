"""CLIPs that bring their configuration: folders in open_clip's form, and repositories in the hub's cache."""

from __future__ import annotations

import importlib.util
import json
import shutil
from typing import TYPE_CHECKING, Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from scaseg_cli import hub
from scaseg_cli.clip import folders, load_clip
from scaseg_cli.doctor.weights import clip_findings
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.recipe.schema import Clip
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages.keys import outside_files

if TYPE_CHECKING:
    from pathlib import Path

_VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
_TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
# As open_clip's ViT-B-16-SigLIP, but small: another tokenizer, no causal mask, a bias of the logits.
_SIGLIP_TEXT = {
    "context_length": 6, "vocab_size": 32, "hf_tokenizer_name": "nobody/nothing", "width": 16, "heads": 2, "layers": 1,
    "tokenizer_kwargs": {"clean": "canonicalize"}, "no_causal_mask": True, "proj_bias": True, "pool_type": "last",
}  # fmt: skip
_WORDS = ["<pad>", "</s>", "<unk>", "a", "photo", "of", "red", "ring", "blue", "cat"]


def _write(folder: Path, config: dict[str, Any]) -> Path:
    """A folder with random weights, as open_clip builds and loads it."""
    folder.mkdir(parents=True)
    preprocess = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    torch.manual_seed(3)
    built = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    save_file(built.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return _write(tmp_path / "plain", {"embed_dim": 16, "quick_gelu": True, "vision_cfg": _VISION, "text_cfg": _TEXT})


@pytest.fixture
def siglip(tmp_path: Path) -> Path:
    found = _write(
        tmp_path / "siglip",
        {
            "embed_dim": 16, "init_logit_bias": -10, "custom_text": True, "vision_cfg": _VISION,
            "text_cfg": _SIGLIP_TEXT,
        },
    )  # fmt: skip
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(_WORDS)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(found / "tokenizer.json"))
    (found / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "eos_token": "</s>"})
    )
    return found


def _by_open_clip(folder: Path, texts: list[str]) -> torch.Tensor:
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    with torch.no_grad():
        return model.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(texts), normalize=True)


@pytest.mark.parametrize("kind", ["folder", "siglip"])
def test_a_folder_gives_what_open_clip_gives(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    clip = load_clip(Clip(model=f"local-dir:{folder}", checkpoint="own"))
    texts = ["a photo of a red ring", "blue cat"] if kind == "folder" else ["a red ring", "Blue cat."]
    torch.testing.assert_close(clip.encode_text(texts), _by_open_clip(folder, texts), atol=1e-6, rtol=1e-5)
    assert clip.mean_colour == pytest.approx((0.1, 0.2, 0.3))
    assert clip.encode_image(torch.rand(1, 3, 40, 50)).shape == (1, 16)


def test_a_prompt_too_long_for_a_tokenizer_of_transformers_is_an_error(siglip: Path) -> None:
    clip = load_clip(Clip(model=f"local-dir:{siglip}", checkpoint="own"))
    with pytest.raises(ScasegError, match=r"'a photo of a red ring' has 7 tokens, and the text encoder of .* reads 6"):
        clip.encode_text(["a photo of a red ring"])


def test_a_repository_in_the_cache_is_such_a_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "unreachable", lambda _: "there is no network")
    named = Clip(model="hf-hub:nobody/tiny", checkpoint="own")
    with pytest.raises(ScasegError, match="cannot be reached: there is no network") as caught:
        load_clip(named)
    assert "hf download nobody/tiny" in str(caught.value.hint)
    changes = ("clip.model=hf-hub:nobody/tiny", "clip.checkpoint=own")
    (finding,) = clip_findings(load_recipe("shapes-zps", changes), RunDir(tmp_path))
    assert (finding.state, finding.mend) == ("missing", "hf download nobody/tiny")
    repository = tmp_path / "hub" / "models--nobody--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    shutil.copytree(folder, repository / "snapshots" / "abc")
    assert load_clip(named).fingerprint == load_clip(Clip(model=f"local-dir:{folder}", checkpoint="own")).fingerprint
    (finding,) = clip_findings(load_recipe("shapes-zps", changes), RunDir(tmp_path))
    assert finding.state == "ready"


def test_a_missing_extra_is_named_by_the_command_and_before_it_by_the_doctor(
    siglip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        folders.importlib.util, "find_spec", lambda name: None if name == "transformers" else find(name)
    )
    with pytest.raises(ScasegError, match="needs transformers, which is not installed") as caught:
        load_clip(Clip(model=f"local-dir:{siglip}", checkpoint="own"))
    assert caught.value.hint == "pip install 'scaseg[siglip]'"
    recipe = load_recipe("shapes-zps", (f"clip.model=local-dir:{siglip}", "clip.checkpoint=own"))
    of_tokenizer, of_weights = clip_findings(recipe, RunDir(tmp_path))
    assert (of_tokenizer.state, of_tokenizer.mend) == ("missing", "pip install 'scaseg[siglip]'")
    assert of_weights.state == "ready"


@pytest.mark.parametrize(
    ("damage", "checkpoint", "says"),
    [
        ("config", "own", "has no open_clip_config.json"),
        ("weights", "own", "has no weights"),
        ("folder", "own", "does not exist"),
        ("content", "own", "is not a configuration of open_clip"),
        (None, "openai", "'openai' is no file, and local-dir:.* has no tags(.|\n)*clip.checkpoint=own"),
    ],
)
def test_what_is_missing_is_named(folder: Path, damage: str | None, checkpoint: str, says: str) -> None:
    if damage == "config":
        (folder / "open_clip_config.json").unlink()
    elif damage == "weights":
        (folder / "open_clip_model.safetensors").unlink()
    elif damage == "folder":
        shutil.rmtree(folder)
    elif damage == "content":
        (folder / "open_clip_config.json").write_text("[]")
    with pytest.raises(ScasegError, match=says):
        load_clip(Clip(model=f"local-dir:{folder}", checkpoint=checkpoint))


def test_a_folder_without_its_prefix_is_recognised(folder: Path) -> None:
    with pytest.raises(ScasegError, match=r"it is a folder with a configuration(.|\n)*clip\.model=local-dir:"):
        load_clip(Clip(model=str(folder), checkpoint="own"))


def test_a_changed_file_of_the_folder_makes_results_stale(folder: Path) -> None:
    recipe = load_recipe("shapes-zps", (f"clip.model=local-dir:{folder}", "clip.checkpoint=own"))
    for stage in ("embeddings", "base"):
        assert folder / "open_clip_model.safetensors" in outside_files(recipe, stage)
