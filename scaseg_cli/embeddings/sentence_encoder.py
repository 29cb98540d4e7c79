"""A sentence encoder: a BERT in a folder of sentence-transformers, run through transformers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from scaseg_cli.checkpoints import fingerprint_of, first_line, load_module, read_state_dict, shown
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json
from scaseg_cli.packages import is_packaged, packaged_file

if TYPE_CHECKING:
    from torch import Tensor, nn

PREFIX = "sentence:"
_REMEDY = (
    "Name a folder of sentence-transformers with a BERT, such as all-MiniLM-L6-v2: embeddings.encoder: sentence:FOLDER"
)
_POOLINGS = ("pooling_mode_mean_tokens", "pooling_mode_cls_token")
_SIZES = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings", "type_vocab_size",
)  # fmt: skip
_LARGEST = 2**20  # of a size; BERT's vocabulary has 30,522 words
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class SentenceEncoder:
    """A BERT whose token outputs are pooled to one unit vector per text; a `TextEncoder`.

    Attributes:
        dim: the width of its vectors.
        name: the encoder in messages.
        fingerprint: SHA-256 over weights, tokenizer and pooling.
    """

    def __init__(self, module: nn.Module, tokenizer: Any, by_mean: bool, longest: int, name: str, seal: bytes) -> None:
        """Wrap the parts.

        Args:
            module: transformers' BertModel with its weights loaded.
            tokenizer: the package tokenizers' Tokenizer.
            by_mean: whether the vector is the mean over all tokens; else it is the first token's.
            longest: the number of tokens that a text may have.
            name: the encoder in messages.
            seal: what determines the vectors besides the weights.
        """
        frozen: Any = module.float().eval().requires_grad_(False)
        self._module = frozen
        self._tokenizer, self._by_mean, self._longest = tokenizer, by_mean, longest
        self.name = name
        self.dim = int(frozen.config.hidden_size)
        weights = fingerprint_of(frozen.state_dict())
        self.fingerprint = hashlib.sha256(weights.encode() + seal + str(by_mean).encode()).hexdigest()

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> Tensor:
        """Encode ``texts`` to unit vectors, float32 [n, C], in one batch.

        Raises:
            ScasegError: a text has more tokens than the encoder reads.
        """
        found = self._tokenizer.encode_batch(texts)
        for text, tokens in zip(texts, found, strict=True):
            length = sum(tokens.attention_mask)
            if length > self._longest:
                raise ScasegError(
                    f"the prompt {text!r} has {length} tokens, and {self.name} reads {self._longest}",
                    "Shorten the class name or the template.",
                )
        ids_NT = torch.tensor([tokens.ids for tokens in found])
        mask_NT = torch.tensor([tokens.attention_mask for tokens in found])
        outputs_NTC = self._module(input_ids=ids_NT, attention_mask=mask_NT).last_hidden_state
        if self._by_mean:
            weights_NT1 = mask_NT[:, :, None].float()
            pooled_NC = (outputs_NTC * weights_NT1).sum(1) / weights_NT1.sum(1)
        else:
            pooled_NC = outputs_NTC[:, 0]
        return F.normalize(pooled_NC.float(), dim=1)


def load_sentence_encoder(encoder: str) -> SentenceEncoder:
    """Load the sentence encoder that ``embeddings.encoder`` names.

    Args:
        encoder: ``sentence:FOLDER``, or ``sentence:package://NAME`` of an installed package that carries the folder.

    Raises:
        ScasegError: transformers is not installed, or the folder lacks a file, holds a network other than a BERT or
            another pooling than the mean or the first token, or its weights do not fit.
    """
    folder = encoder_folder(encoder)
    try:
        from tokenizers import Tokenizer
        from transformers import BertConfig, BertModel
    except ImportError as error:
        raise ScasegError(
            f"embeddings.encoder {encoder} needs the package transformers, which is not installed",
            "pip install transformers tokenizers",
        ) from error
    pooling = _pooling(folder)
    settings = _settings(folder / "config.json")
    path = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), folder / _WEIGHTS[0])
    tensors = read_state_dict(path, _REMEDY)
    tensors = {name: t.float() for name, t in tensors.items() if name != "embeddings.position_ids"}  # a constant
    tokenizer_file = folder / "tokenizer.json"
    if not tokenizer_file.is_file():
        raise ScasegError(f"{tokenizer_file} does not exist", _REMEDY)
    try:
        with torch.random.fork_rng(devices=[]):
            module = BertModel(
                BertConfig(**settings), add_pooling_layer=any(name.startswith("pooler.") for name in tensors)
            )
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
    except Exception as error:  # both packages raise their own types
        raise ScasegError(
            f"{folder} does not describe a BERT and its tokenizer: {first_line(error)}", _REMEDY
        ) from error
    load_module(module, tensors, path, _REMEDY)
    tokenizer.no_truncation()  # it would drop the end of a prompt
    tokenizer.enable_padding(pad_id=settings["pad_token_id"])
    longest = min(_longest(folder), int(module.config.max_position_embeddings))
    seal = tokenizer_file.read_bytes()
    return SentenceEncoder(module, tokenizer, pooling == _POOLINGS[0], longest, folder.name or encoder, seal)


def encoder_folder(encoder: str) -> Path:
    """The folder that ``embeddings.encoder`` names.

    Raises:
        ScasegError: there is none, or the package is not installed.
    """
    reference = encoder.removeprefix(PREFIX)
    folder = packaged_file(reference, "modules.json").parent if is_packaged(reference) else Path(reference)
    if not folder.is_dir():
        raise ScasegError(f"the folder of embeddings.encoder {encoder} does not exist", _REMEDY)
    return folder


def _pooling(folder: Path) -> str:
    """The pooling of the folder's token outputs, one of `_POOLINGS`."""
    modules = _json(folder / "modules.json", list)
    kinds = [str(item.get("type", "")).rpartition(".")[2] if isinstance(item, dict) else "" for item in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        listed = ", ".join(shown(kind) for kind in kinds) or "nothing"
        raise ScasegError(f"{folder / 'modules.json'} lists {listed}; Transformer and Pooling are read", _REMEDY)
    where = folder / str(modules[1].get("path", "1_Pooling")) / "config.json"
    on = [key for key, value in _json(where, dict).items() if key.startswith("pooling_mode_") and value is True]
    if len(on) != 1 or on[0] not in _POOLINGS:
        raise ScasegError(
            f"{where} pools by {' and '.join(map(shown, on)) or 'nothing'}; mean and cls are read", _REMEDY
        )
    return str(on[0])


def _settings(path: Path) -> dict[str, Any]:
    """BERT's settings: its sizes and activation, and nothing else of the file."""
    config = _json(path, dict)
    if config.get("model_type") != "bert":
        raise ScasegError(
            f"{path} describes a network of the type {shown(config.get('model_type'))}, not bert", _REMEDY
        )
    sizes = {key: config.get(key) for key in _SIZES}
    wrong = [key for key, size in sizes.items() if type(size) is not int or not 0 < size <= _LARGEST]
    if wrong:
        raise ScasegError(f"{path} has no usable {wrong[0]}: {shown(config.get(wrong[0]))}", _REMEDY)
    epsilon, padding = config.get("layer_norm_eps", 1e-12), config.get("pad_token_id", 0)
    activation = config.get("hidden_act", "gelu")
    if not isinstance(epsilon, float) or not isinstance(padding, int) or not isinstance(activation, str):
        raise ScasegError(f"{path} has no usable layer_norm_eps, pad_token_id or hidden_act", _REMEDY)
    return {**sizes, "layer_norm_eps": epsilon, "pad_token_id": padding, "hidden_act": activation}


def _longest(folder: Path) -> int:
    path = folder / "sentence_bert_config.json"
    found = _json(path, dict).get("max_seq_length") if path.is_file() else None
    return found if isinstance(found, int) and found > 0 else 2**31


def _json(path: Path, kind: type) -> Any:
    content = read_json(path, "the sentence encoder's file", _REMEDY)
    if not isinstance(content, kind):
        raise ScasegError(f"{path} holds no {'object' if kind is dict else 'list'}", _REMEDY)
    return content
