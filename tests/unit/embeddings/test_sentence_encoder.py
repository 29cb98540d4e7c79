"""Sentence encoders: a small BERT in a folder of sentence-transformers, against transformers itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from scaseg_cli.embeddings import embed_classes, load_embeddings
from scaseg_cli.embeddings.sentence_encoder import load_sentence_encoder
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "photo", "of", "red", "ring", "blue", "cross", ".", "##s"]
SIZES = {
    "vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 32, "type_vocab_size": 2, "hidden_act": "gelu",
    "layer_norm_eps": 1e-12, "pad_token_id": 0,
}  # fmt: skip
TEXTS = ["a photo of a red ring.", "blue cross"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as sentence-transformers writes it, with a BERT of random weights."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import BertWordPieceTokenizer

    path = tmp_path_factory.mktemp("sentence")
    torch.manual_seed(0)
    bert = transformers.BertModel(transformers.BertConfig(**SIZES))
    save_file(bert.state_dict(), str(path / "model.safetensors"))
    (path / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = BertWordPieceTokenizer(str(path / "vocab.txt"))
    tokenizer.enable_truncation(4)  # files often have one; it must not shorten a prompt
    tokenizer.save(str(path / "tokenizer.json"))
    _write(path, "config.json", {**SIZES, "model_type": "bert"})
    kinds = ["Transformer", "Pooling", "Normalize"]
    modules = [
        {"idx": i, "path": f"{i}_{kind}" if i else "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    _write(path, "modules.json", modules)
    _pool(path, "mean_tokens")
    _write(path, "sentence_bert_config.json", {"max_seq_length": 16})
    return path


def _write(folder: Path, name: str, content: object) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def _pool(folder: Path, mode: str) -> None:
    modes = {f"pooling_mode_{name}": name == mode for name in ("cls_token", "mean_tokens", "max_tokens")}
    _write(folder, "1_Pooling/config.json", {"word_embedding_dimension": 16, **modes})


def _expected(folder: Path, text: str, mode: str) -> torch.Tensor:
    """One text at a time, without padding."""
    import transformers
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    torch.manual_seed(0)
    bert = transformers.BertModel(transformers.BertConfig(**SIZES)).eval()
    with torch.no_grad():
        outputs = bert(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0]
    vector = outputs[0] if mode == "cls_token" else outputs.mean(0)
    return vector / vector.norm()


@pytest.mark.parametrize("mode", ["mean_tokens", "cls_token"])
def test_vectors_are_pooled_outputs_whatever_the_padding(mode: str, folder: Path) -> None:
    _pool(folder, mode)
    found = load_sentence_encoder(f"sentence:{folder}").encode_text(TEXTS)
    _pool(folder, "mean_tokens")
    for vector, text in zip(found, TEXTS, strict=True):
        assert (vector - _expected(folder, text, mode)).abs().max() < 1e-6


def test_a_prompt_that_is_too_long_is_refused_and_not_cut(folder: Path) -> None:
    with pytest.raises(ScasegError, match=r"has 22 tokens, and .* reads 16"):
        load_sentence_encoder(f"sentence:{folder}").encode_text(["red " * 20])


def test_the_fingerprint_is_of_weights_tokenizer_and_pooling(folder: Path) -> None:
    first = load_sentence_encoder(f"sentence:{folder}").fingerprint
    assert load_sentence_encoder(f"sentence:{folder}").fingerprint == first
    _pool(folder, "cls_token")
    assert load_sentence_encoder(f"sentence:{folder}").fingerprint != first
    _pool(folder, "mean_tokens")


def test_the_stage_names_what_made_the_vectors(recipe, run, classes, folder: Path) -> None:
    changes = ("base.v2c.enabled=false", f"embeddings.encoder=sentence:{folder}", "embeddings.templates=single")
    recipe = load_recipe("shapes-zps", changes)
    row = embed_classes(recipe, run).tables[0].rows[0]
    assert (row["model"], row["checkpoint"], row["dim"]) == (f"sentence:{folder}", None, 16)
    assert load_embeddings(recipe, run).vectors_NC.shape == (len(classes), 16)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", {**SIZES, "model_type": "mpnet"}, "a network of the type mpnet, not bert"),
        ("config.json", {**SIZES, "model_type": "bert", "hidden_size": "16"}, "no usable hidden_size: 16"),
        ("config.json", {**SIZES, "model_type": "bert", "hidden_size": 32}, "other shapes"),
        ("modules.json", [{"type": "x.Transformer"}, {"type": "x.Dense"}], "lists Transformer, Dense"),
        ("modules.json", {}, "holds no list"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pools by pooling_mode_max_tokens"),
        ("config.json", None, "does not exist"),
        ("model.safetensors", None, "does not exist"),
        ("tokenizer.json", None, "does not exist"),
    ],
)
def test_a_folder_that_does_not_serve_says_why(name: str, content: object, said: str, folder: Path, tmp_path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(folder)).parent.mkdir(exist_ok=True)
            (tmp_path / path.relative_to(folder)).write_bytes(path.read_bytes())
    if content is None:
        (tmp_path / name).unlink()
    else:
        _write(tmp_path, name, content)
    with pytest.raises(ScasegError, match=said):
        load_sentence_encoder(f"sentence:{tmp_path}")


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(ScasegError, match=r"the folder of embeddings\.encoder sentence:gone does not exist"):
        load_sentence_encoder("sentence:gone")
