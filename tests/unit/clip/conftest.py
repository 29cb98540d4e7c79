"""A tiny open_clip model of each kind, under a name of its own in open_clip's registry."""

import json

import pytest

from scaseg_cli.clip import load_clip
from scaseg_cli.recipe.schema import Clip

_TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
_VISION = {
    "tiny-vit": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "tiny-convnext": {
        "image_size": 64,
        "timm_model_name": "convnext_atto",
        "timm_model_pretrained": False,
        "timm_pool": "",
        "timm_proj": "linear",
    },
    "tiny-resnet": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
}


@pytest.fixture(scope="session", autouse=True)
def _tiny_models(tmp_path_factory):
    import open_clip

    folder = tmp_path_factory.mktemp("models")
    for name, vision in _VISION.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps({"embed_dim": 16, "vision_cfg": vision, "text_cfg": _TEXT}))
        open_clip.add_model_config(path)
    path = folder / "tiny-elsewhere.json"
    text = _TEXT | {"hf_tokenizer_name": "nobody/nothing"}
    path.write_text(json.dumps({"embed_dim": 16, "vision_cfg": _VISION["tiny-vit"], "text_cfg": text}))
    open_clip.add_model_config(path)


@pytest.fixture(scope="session")
def vit(_tiny_models):
    return load_clip(Clip(model="tiny-vit", checkpoint=None))


@pytest.fixture(scope="session")
def resnet(_tiny_models):
    return load_clip(Clip(model="tiny-resnet", checkpoint=None))
