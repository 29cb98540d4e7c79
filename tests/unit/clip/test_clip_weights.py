import json
import time

import pytest
import torch
from safetensors.torch import save_file

from scaseg_cli.clip import load_clip
from scaseg_cli.clip.tags import cached_tag, tag_by_hand
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.schema import Clip


@pytest.fixture
def state(vit):
    """Weights of tiny-vit that differ from its random ones."""
    generator = torch.Generator().manual_seed(1)
    return {
        name: tensor + 0.1 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in vit._module.state_dict().items()
    }


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Empty caches, and a hub at a port where nobody listens: a machine without a network."""
    from huggingface_hub import constants

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


def _load(path, model="tiny-vit"):
    return load_clip(Clip(model=model, checkpoint=str(path)))


def _image_tower(clip):
    return clip.encode_image(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(2)))


def test_every_kind_of_file_gives_the_same_model(state, vit, tmp_path):
    save_file(state, tmp_path / "weights.safetensors")
    torch.save(state, tmp_path / "weights.pt")
    wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "training.pt")
    clips = [_load(tmp_path / name) for name in ("weights.safetensors", "weights.pt", "training.pt")]
    assert len({clip.fingerprint for clip in clips}) == 1
    assert clips[0].fingerprint != vit.fingerprint
    for name, tensor in clips[0]._module.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_half_precision_files_are_computed_in_single(state, tmp_path):
    torch.save({name: tensor.half() for name, tensor in state.items()}, tmp_path / "half.pt")
    clip = _load(tmp_path / "half.pt")
    assert {p.dtype for p in clip._module.parameters()} == {torch.float32}
    assert torch.equal(clip._module.text_projection, state["text_projection"].half().float())


class _Node(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def _archive(state):
    """A TorchScript module that holds ``state`` under its dotted names, as OpenAI's ViT-B-16.pt does."""
    root = _Node()
    for name, tensor in state.items():
        *folders, last = name.split(".")
        node = root
        for folder in folders:
            if folder not in node._modules:
                node.add_module(folder, _Node())
            node = node._modules[folder]
        node.register_buffer(last, tensor)
    return torch.jit.script(root)


def test_openais_archives_load_with_their_activation(state, tmp_path):
    beside = {"input_resolution": 32, "context_length": 16, "vocab_size": 49408}
    everything = state | {name: torch.tensor(number) for name, number in beside.items()}
    _archive(everything).save(str(tmp_path / "archive.pt"))
    torch.save(state, tmp_path / "plain.pt")
    archive, plain = _load(tmp_path / "archive.pt"), _load(tmp_path / "plain.pt")
    assert archive.fingerprint == plain.fingerprint
    assert (_image_tower(archive) - _image_tower(plain)).abs().max() > 1e-5  # quick GELU against GELU


def test_the_configuration_beside_a_file_says_activation_and_statistics(state, tmp_path):
    save_file(state, tmp_path / "weights.safetensors")
    plain = _load(tmp_path / "weights.safetensors")
    config = {"model_cfg": {"quick_gelu": True}, "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    quick = _load(tmp_path / "weights.safetensors")
    assert quick.mean_colour == pytest.approx((0.1, 0.2, 0.3))
    assert (quick.encode_text(["a cat"]) - plain.encode_text(["a cat"])).abs().max() > 1e-5


@pytest.mark.usefixtures("nowhere")
def test_a_tag_is_found_in_the_old_cache_and_brings_its_activation(state, tmp_path, monkeypatch):
    from open_clip import pretrained

    tag = pretrained._pcfg("https://example.org/tiny.pt", "nobody/tiny/", quick_gelu=True, std=(0.5, 0.5, 0.5))
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-vit", {"published": tag})
    file = tmp_path / "home" / ".cache" / "clip" / "tiny.pt"
    file.parent.mkdir(parents=True)
    torch.save(state, file)
    tagged, plain = _load("published"), _load(file)
    assert tagged.fingerprint == plain.fingerprint
    assert tagged._std.flatten().tolist() == [0.5] * 3
    assert (tagged.encode_text(["a cat"]) - plain.encode_text(["a cat"])).abs().max() > 1e-5


@pytest.mark.usefixtures("nowhere")
def test_a_tag_is_found_in_the_hubs_cache(state, tmp_path, monkeypatch):
    from open_clip import pretrained

    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-vit", {"published": pretrained._pcfg(hf_hub="nobody/tiny/")})
    repository = tmp_path / "hub" / "models--nobody--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    save_file(state, repository / "snapshots" / "abc" / "open_clip_model.safetensors")
    assert torch.equal(_load("published")._module.text_projection, state["text_projection"])


@pytest.mark.usefixtures("nowhere")
def test_a_missing_network_is_reported_at_once_with_a_hint():
    started = time.monotonic()
    with pytest.raises(ScasegError, match="'openai' of ViT-B-16 are not on this machine") as caught:
        load_clip(Clip(model="ViT-B/16", checkpoint="openai"))
    for part in ("-o ~/.cache/clip/ViT-B-16.pt https://", "--set clip.checkpoint=PATH", "scaseg doctor"):
        assert part in caught.value.hint
    assert time.monotonic() - started < 8


@pytest.mark.usefixtures("nowhere")
def test_a_tag_without_an_address_of_its_own_is_fetched_from_the_hub(monkeypatch):
    from open_clip import pretrained

    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-vit", {"published": pretrained._pcfg(hf_hub="nobody/tiny/")})
    assert cached_tag("tiny-vit", "published") is None
    command = tag_by_hand("tiny-vit", "published")
    assert "nobody/tiny/resolve/main/open_clip_model.safetensors" in command
    assert command.endswith("--set clip.checkpoint=open_clip_model.safetensors")


@pytest.mark.usefixtures("nowhere")
def test_a_model_whose_tokenizer_is_elsewhere_is_an_error_of_one_line():
    with pytest.raises(ScasegError, match="open_clip cannot build the model 'tiny-elsewhere': ") as caught:
        load_clip(Clip(model="tiny-elsewhere", checkpoint=None))
    assert "\n" not in caught.value.message


def test_an_unknown_model_names_the_nearest():
    with pytest.raises(ScasegError, match="open_clip has no model 'ViT-B-61'") as caught:
        load_clip(Clip(model="ViT-B-61"))
    assert "ViT-B-16" in caught.value.hint
    with pytest.raises(ScasegError) as caught:
        load_clip(Clip(model="shape-clip"))
    assert "shapes-clip" in caught.value.hint


def test_an_unknown_tag_lists_the_models_own():
    with pytest.raises(ScasegError, match="'opanai' is neither a file nor a tag of ViT-B-16") as caught:
        load_clip(Clip(model="ViT-B-16", checkpoint="opanai"))
    assert "openai, laion400m_e31" in caught.value.hint


@pytest.mark.parametrize("name", ["cut.pt", "cut.safetensors", "text.pt", "empty.pt"])
def test_a_damaged_file_is_named(state, tmp_path, name):
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(state, path)
    whole = path.read_bytes()
    path.write_bytes({"text.pt": b"hello", "empty.pt": b""}.get(name, whole[: len(whole) // 2]))
    with pytest.raises(ScasegError, match=f"{name} cannot be read as weights"):
        _load(path)


def test_a_file_with_code_in_it_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(ScasegError, match="cannot be read as weights"):
        _load(tmp_path / "module.pt")


def test_a_file_without_a_state_dict_is_refused(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(ScasegError, match=r"list\.pt holds no state dict"):
        _load(tmp_path / "list.pt")


def test_weights_of_another_model_name_the_keys(state, tmp_path):
    torch.save({k: v for k, v in state.items() if k != "text_projection"}, tmp_path / "less.pt")
    with pytest.raises(ScasegError, match=r"less\.pt lacks text_projection"):
        _load(tmp_path / "less.pt")
    torch.save({**state, "extra.weight": torch.zeros(1)}, tmp_path / "more.pt")
    with pytest.raises(ScasegError, match=r"more\.pt has unexpected extra\.weight"):
        _load(tmp_path / "more.pt")
    grid = {"visual.positional_embedding": torch.zeros(17, 32)}  # of 64 pixels: not stretched to fit
    torch.save({**state, **grid}, tmp_path / "large.pt")
    with pytest.raises(ScasegError, match=r"large\.pt has other shapes for visual\.positional_embedding"):
        _load(tmp_path / "large.pt")


def test_loading_leaves_the_root_logger_alone(tmp_path, state):
    import logging

    before = (list(logging.root.handlers), logging.root.manager.disable)
    torch.save(state, tmp_path / "weights.pt")
    _load(tmp_path / "weights.pt")
    assert (list(logging.root.handlers), logging.root.manager.disable) == before


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ([], "is not a configuration of open_clip"),
        ({"preprocess_cfg": [1]}, "is not a configuration of open_clip"),
        ({"model_cfg": "ViT"}, "is not a configuration of open_clip"),
        ({"preprocess_cfg": {"mean": 5}}, r"preprocess_cfg\.mean that is not three numbers"),
        ({"preprocess_cfg": {"std": [1, 2, "x"]}}, r"preprocess_cfg\.std that is not three numbers"),
    ],
)
def test_an_odd_configuration_beside_a_file_is_named(state, tmp_path, config, said):
    save_file(state, tmp_path / "weights.safetensors")
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ScasegError, match=rf"open_clip_config\.json .*{said}"):
        _load(tmp_path / "weights.safetensors")


def test_keys_of_another_family_do_not_confuse_the_conversion(state, tmp_path):
    torch.save({**state, "image_encoder.model.patch_emb.0.block.conv.weight": torch.ones(1)}, tmp_path / "odd.pt")
    with pytest.raises(ScasegError, match=r"odd\.pt "):
        _load(tmp_path / "odd.pt")


def test_openais_plain_state_dict_is_recognised_by_its_scalars(state, tmp_path):
    scalars = {"input_resolution": torch.tensor(32), "context_length": torch.tensor(77), "vocab_size": torch.tensor(9)}
    torch.save({**state, **scalars}, tmp_path / "openai.pt")
    torch.save(state, tmp_path / "other.pt")
    openai, other = _load(tmp_path / "openai.pt"), _load(tmp_path / "other.pt")
    assert openai.fingerprint == other.fingerprint
    assert not torch.equal(_image_tower(openai), _image_tower(other))  # QuickGELU in place of GELU
    config = {"model_cfg": {"quick_gelu": True}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    assert torch.equal(_image_tower(_load(tmp_path / "other.pt")), _image_tower(openai))
