"""Reads a Mask2Former that was trained elsewhere, with the names of our network.

Checkpoints of MMDetection and MMSegmentation have these names, below the head's. Those of Detectron2's Mask2Former have
others, which `_DETECTRON` maps. The class head is left out: ours classifies by class embeddings.
"""

from __future__ import annotations

import pickle
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from scaseg_cli.checkpoints import plain_state, shown, unreadable
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from pathlib import Path

REMEDY = "Set base.init to a checkpoint of MMDetection's, MMSegmentation's or Detectron2's Mask2Former, or to null."
_HEADS = ("panoptic_head.", "decode_head.")  # MMDetection's, MMSegmentation's
_DETECTRON_HEAD = "sem_seg_head."
_CLASS_HEAD = re.compile(r"head\.cls_embed\.|.*\.class_embed\.")
UNUSED = re.compile(r"criterion\.|.*\.empty_weight$|.*num_batches_tracked$|pixel_(mean|std)$|data_preprocessor\.")
# Detectron2's names (Mask2Former's pixel_decoder/msdeformattn.py and mask2former_transformer_decoder.py, Detectron2's
# ResNet) and ours, in the order in which they are tried.
_DETECTRON = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"backbone\.stem\.conv1\.norm\.(.+)", r"backbone.bn1.\1"),
        (r"backbone\.stem\.conv1\.(.+)", r"backbone.conv1.\1"),
        (r"backbone\.res([2-5])\.(\d+)\.shortcut\.norm\.(.+)", r"backbone.layer<\1>.\2.downsample.1.\3"),
        (r"backbone\.res([2-5])\.(\d+)\.shortcut\.(.+)", r"backbone.layer<\1>.\2.downsample.0.\3"),
        (r"backbone\.res([2-5])\.(\d+)\.conv([1-3])\.norm\.(.+)", r"backbone.layer<\1>.\2.bn\3.\4"),
        (r"backbone\.res([2-5])\.(\d+)\.conv([1-3])\.(.+)", r"backbone.layer<\1>.\2.conv\3.\4"),
        (r"pixel_decoder\.input_proj\.(\d+)\.0\.(.+)", r"head.pixel_decoder.input_convs.\1.conv.\2"),
        (r"pixel_decoder\.input_proj\.(\d+)\.1\.(.+)", r"head.pixel_decoder.input_convs.\1.gn.\2"),
        (r"pixel_decoder\.transformer\.level_embed", "head.pixel_decoder.level_encoding.weight"),
        (
            r"pixel_decoder\.transformer\.encoder\.layers\.(\d+)\.self_attn\.(.+)",
            r"head.pixel_decoder.encoder.layers.\1.self_attn.\2",
        ),
        (
            r"pixel_decoder\.transformer\.encoder\.layers\.(\d+)\.linear1\.(.+)",
            r"head.pixel_decoder.encoder.layers.\1.ffn.layers.0.0.\2",
        ),
        (
            r"pixel_decoder\.transformer\.encoder\.layers\.(\d+)\.linear2\.(.+)",
            r"head.pixel_decoder.encoder.layers.\1.ffn.layers.1.\2",
        ),
        (
            r"pixel_decoder\.transformer\.encoder\.layers\.(\d+)\.norm1\.(.+)",
            r"head.pixel_decoder.encoder.layers.\1.norms.0.\2",
        ),
        (
            r"pixel_decoder\.transformer\.encoder\.layers\.(\d+)\.norm2\.(.+)",
            r"head.pixel_decoder.encoder.layers.\1.norms.1.\2",
        ),
        (r"pixel_decoder\.mask_features\.(.+)", r"head.pixel_decoder.mask_feature.\1"),
        (r"pixel_decoder\.adapter_1\.norm\.(.+)", r"head.pixel_decoder.lateral_convs.0.gn.\1"),
        (r"pixel_decoder\.adapter_1\.(.+)", r"head.pixel_decoder.lateral_convs.0.conv.\1"),
        (r"pixel_decoder\.layer_1\.norm\.(.+)", r"head.pixel_decoder.output_convs.0.gn.\1"),
        (r"pixel_decoder\.layer_1\.(.+)", r"head.pixel_decoder.output_convs.0.conv.\1"),
        (
            r"predictor\.transformer_cross_attention_layers\.(\d+)\.multihead_attn\.(.+)",
            r"head.transformer_decoder.layers.\1.cross_attn.attn.\2",
        ),
        (
            r"predictor\.transformer_cross_attention_layers\.(\d+)\.norm\.(.+)",
            r"head.transformer_decoder.layers.\1.norms.0.\2",
        ),
        (
            r"predictor\.transformer_self_attention_layers\.(\d+)\.self_attn\.(.+)",
            r"head.transformer_decoder.layers.\1.self_attn.attn.\2",
        ),
        (
            r"predictor\.transformer_self_attention_layers\.(\d+)\.norm\.(.+)",
            r"head.transformer_decoder.layers.\1.norms.1.\2",
        ),
        (
            r"predictor\.transformer_ffn_layers\.(\d+)\.linear1\.(.+)",
            r"head.transformer_decoder.layers.\1.ffn.layers.0.0.\2",
        ),
        (
            r"predictor\.transformer_ffn_layers\.(\d+)\.linear2\.(.+)",
            r"head.transformer_decoder.layers.\1.ffn.layers.1.\2",
        ),
        (r"predictor\.transformer_ffn_layers\.(\d+)\.norm\.(.+)", r"head.transformer_decoder.layers.\1.norms.2.\2"),
        (r"predictor\.decoder_norm\.(.+)", r"head.transformer_decoder.post_norm.\1"),
        (r"predictor\.(?:query_feat|static_query)\.(.+)", r"head.query_feat.\1"),
        (r"predictor\.(query_embed|level_embed)\.(.+)", r"head.\1.\2"),
        (r"predictor\.mask_embed\.layers\.(\d+)\.(.+)", r"head.mask_embed.<\1>.\2"),
    )
]


class ForeignCheckpoint(NamedTuple):
    """A Mask2Former that was trained elsewhere.

    Attributes:
        path: its file.
        library: whose names it has.
        tensors: weights by our names, the head's below ``head.``.
        num_classes: of its class head, without no-object; None if it has none.
        classes: the classes that it names; None if it names none.
        unknown: names that have no counterpart here.
    """

    path: Path
    library: str
    tensors: dict[str, Tensor]
    num_classes: int | None
    classes: tuple[str, ...] | None
    unknown: list[str]


def read_foreign(path: Path) -> ForeignCheckpoint:
    """Read a checkpoint, without running what is in it.

    Raises:
        ScasegError: the file is missing, damaged, or not of a Mask2Former.
    """
    content = _content(path)
    classes = _classes(content.get("meta"))
    model = content.get("model")
    state = plain_state(
        {name: _as_tensor(value) for name, value in model.items()} if isinstance(model, dict) else content, path, REMEDY
    )
    state = {name: tensor for name, tensor in state.items() if not UNUSED.match(name)}
    library = "Detectron2" if any(name.startswith(_DETECTRON_HEAD) for name in state) else "MMDetection"
    if library == "MMDetection" and any(name.startswith(_HEADS[1]) for name in state):
        library = "MMSegmentation"
    rename = _from_detectron if library == "Detectron2" else _from_mm
    tensors: dict[str, Tensor] = {}
    unknown: list[str] = []
    num_classes = None
    for name, tensor in state.items():
        own = rename(name)
        if own is None:
            unknown.append(name)
        elif _CLASS_HEAD.match(own):
            num_classes = len(tensor) - 1 if own.endswith("bias") else num_classes
        else:
            tensors[own] = tensor
    if not any(name.startswith("head.") for name in tensors):
        first = shown(next(iter(state), "nothing"))
        raise ScasegError(f"{path} is no Mask2Former: it begins with {first}, and no name is of its head", REMEDY)
    return ForeignCheckpoint(path, library, tensors, num_classes, classes, unknown)


def _content(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ScasegError(f"{path} does not exist", REMEDY)
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        elif path.suffix == ".pkl":
            with open(path, "rb") as file:
                content = _ArraysOnly(file, encoding="latin1").load()
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises many types in torch and safetensors
        hint = REMEDY
        if "Weights only load failed" in str(error):
            hint = (
                "It holds Python objects besides weights, which scaseg does not load. If you trust it, save the "
                f"weights: python -c \"import torch; torch.save({{'state_dict': torch.load('{path}', "
                "weights_only=False)['state_dict']}, 'weights.pth')\""
            )
        raise unreadable(path, error, hint) from error
    if not isinstance(content, dict):
        raise ScasegError(f"{path} holds a {type(content).__name__}, not a checkpoint", REMEDY)
    return content


class _ArraysOnly(pickle.Unpickler):
    """Reads the pickles in which Detectron2's model zoo publishes weights: dicts of NumPy arrays, and nothing else."""

    _KNOWN = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"), ("numpy", "dtype"), ("collections", "OrderedDict"), ("_codecs", "encode"),
        }
    )  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no array")
        return super().find_class(module, name)


def _as_tensor(value: Any) -> Any:
    return torch.from_numpy(value) if type(value).__module__ == "numpy" and hasattr(value, "dtype") else value


def _classes(meta: Any) -> tuple[str, ...] | None:
    """The classes that MMDetection's checkpoints name, of version 3 or 2."""
    if not isinstance(meta, dict):
        return None
    found = meta.get("dataset_meta", meta)
    names = found.get("classes", found.get("CLASSES")) if isinstance(found, dict) else None
    return tuple(map(str, names)) if isinstance(names, list | tuple) and names else None


def _from_mm(name: str) -> str | None:
    for prefix in _HEADS:
        if name.startswith(prefix):
            return f"head.{name.removeprefix(prefix)}"
    return name if name.startswith("backbone.") else None


def _from_detectron(name: str) -> str | None:
    name = name.removeprefix(_DETECTRON_HEAD)
    if name.startswith("predictor.class_embed."):
        return f"head.cls_embed.{name.rpartition('.')[2]}"
    for pattern, own in _DETECTRON:
        if found := pattern.fullmatch(name):
            mapped = found.expand(own)
            # Detectron2 counts a ResNet's stages from 2, and an MLP's layers without its activations
            offset = {"backbone.layer": lambda n: n - 1, "head.mask_embed.": lambda n: 2 * n}
            start = next((start for start in offset if mapped.startswith(start)), None)
            if start is None:
                return mapped
            return re.sub(r"<(\d+)>", lambda number: str(offset[start](int(number[1]))), mapped)  # noqa: B023
    return None
