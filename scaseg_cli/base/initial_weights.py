"""Starts stage 1 from a Mask2Former that was trained elsewhere (`base.init`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch

from scaseg_cli.base.foreign_checkpoint import REMEDY, UNUSED, ForeignCheckpoint
from scaseg_cli.base.timm_backbone import TimmBackbone
from scaseg_cli.checkpoints import shown
from scaseg_cli.data.class_names import key_of, names_in
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import say
from scaseg_cli.results.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from scaseg_cli.base.aligned_network import AlignedNetwork
    from scaseg_cli.recipe.base_section import Base

_PARTS = {
    "backbone": ("backbone.",),
    "pixel decoder": ("head.pixel_decoder.",),
    "decoder": ("head.transformer_decoder.",),
    "queries": ("head.query_embed.", "head.query_feat.", "head.level_embed."),
    "mask head": ("head.mask_embed.",),
}


def load_initial(network: AlignedNetwork, base: Base, checkpoint: ForeignCheckpoint) -> Table:
    """Load what a checkpoint has into a new network, and return the table of what was taken.

    A part that the checkpoint lacks, or a backbone of another kind, keeps the weights that the network has.

    Raises:
        ScasegError: the checkpoint's sizes are not the recipe's, or a part of it is incomplete; names the keys to set.
    """
    prefix = next(name for name, module in network.named_children() if module is network.head)
    own = {
        re.sub(rf"^{prefix}\.", "head.", name): tensor
        for name, tensor in network.state_dict().items()
        if not name.startswith("v2c.")
    }
    _check_sizes(checkpoint, base, isinstance(network.backbone, TimmBackbone))
    table = _empty_table(checkpoint)
    for part, starts in _PARTS.items():
        names = [name for name in own if name.startswith(starts) and not UNUSED.match(name)]
        there = [name for name in checkpoint.tensors if name.startswith(starts)]
        common = set(names) & set(there)
        if not common:
            reason = "not in the file" if not there else "the file has another network"
            table.rows.append({"part": part, "taken": 0, "of": len(names), "note": f"{reason}; as without base.init"})
            continue
        _check_part(checkpoint, part, names, there, own)
        with torch.no_grad():
            for name in names:
                own[name].copy_(checkpoint.tensors[name])
        table.rows.append({"part": part, "taken": len(names), "of": len(names), "note": None})
    of_class_head = sum(name.startswith("head.cls_embed.") for name in own)
    table.rows.append(
        {
            "part": "class head",
            "taken": 0,
            "of": of_class_head,
            "note": "new: class projector and no-object embedding, in place of the file's linear layer",
        }
    )
    if checkpoint.unknown:
        more = f" and {len(checkpoint.unknown) - 3} more" if len(checkpoint.unknown) > 3 else ""
        table.notes.append(f"Not used of the file: {', '.join(map(shown, checkpoint.unknown[:3]))}{more}.")
    return table


def _empty_table(checkpoint: ForeignCheckpoint) -> Table:
    columns = [
        Column("part", "part"),
        Column("taken", "tensors taken", "count"),
        Column("of", "of", "count"),
        Column("note", "note"),
    ]
    return Table(f"base.init: {checkpoint.path.name}, {checkpoint.library}'s names", columns, [], [])


def _check_part(
    checkpoint: ForeignCheckpoint, part: str, names: Sequence[str], there: Sequence[str], own: Mapping[str, Tensor]
) -> None:
    tensors = checkpoint.tensors
    problems = {
        "lacks": sorted(set(names) - set(there)),
        "has unexpected": sorted(set(there) - set(own)),
        "has other shapes or types for": sorted(
            name
            for name in set(names) & set(there)
            if tensors[name].shape != own[name].shape or not tensors[name].is_floating_point()
        ),
    }
    for what, found in problems.items():
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise ScasegError(
                f"{checkpoint.path} {what} {', '.join(map(shown, found[:3]))}{more}, of the {part}",
                f"Set base's keys as the file was trained, or: {REMEDY}",
            )


def _check_sizes(checkpoint: ForeignCheckpoint, base: Base, of_timm: bool) -> None:
    """Compare the sizes in a checkpoint with the recipe's, by key, before names and shapes are compared."""
    found = _sizes(checkpoint.tensors)
    wanted = base.model_dump()
    differing: dict[str, tuple[Any, Any]] = {}
    for key, value in found.items():
        section, _, name = key.rpartition(".")
        if section and of_timm:
            continue
        here = wanted[section][name] if section else wanted[name]
        if here != value:
            differing[f"base.{key}"] = (value, here)
    if differing:
        said = ", ".join(f"{key} {value} ({here} in the recipe)" for key, (value, here) in differing.items())
        settings = " ".join(f"--set {key}={value}" for key, (value, _) in differing.items())
        raise ScasegError(f"{checkpoint.path} has other sizes than the recipe: {said}", f"Use {settings}")


def _sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """The keys of the recipe's base section that the shapes in a checkpoint determine."""
    found: dict[str, int] = {}
    queries = tensors.get("head.query_feat.weight")
    if queries is not None and queries.ndim == 2:
        found |= {"num_queries": queries.shape[0], "channels": queries.shape[1]}
    for key, start in (
        ("decoder_layers", r"head\.transformer_decoder\.layers\.(\d+)\."),
        ("pixel_decoder_layers", r"head\.pixel_decoder\.encoder\.layers\.(\d+)\."),
    ):
        numbers = {int(match[1]) for name in tensors if (match := re.match(start, name))}
        found |= {key: len(numbers)} if numbers else {}
    shapes = {
        "feedforward": "head.transformer_decoder.layers.0.ffn.layers.0.0.weight",
        "pixel_feedforward": "head.pixel_decoder.encoder.layers.0.ffn.layers.0.0.weight",
        "backbone.width": "backbone.conv1.weight",
    }
    found |= {key: tensors[name].shape[0] for key, name in shapes.items() if name in tensors}
    return found | _depth(tensors)


def _depth(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """The depth of a ResNet, by the number of its blocks and their kind."""
    blocks = len({match[1] for name in tensors if (match := re.match(r"backbone\.(layer\d\.\d+)\.", name))})
    is_wide = "backbone.layer1.0.conv3.weight" in tensors
    depth = {(8, False): 18, (16, False): 34, (16, True): 50, (33, True): 101}.get((blocks, is_wide))
    return {} if depth is None else {"backbone.depth": depth}


def has_backbone(checkpoint: ForeignCheckpoint, network: AlignedNetwork) -> bool:
    """Whether the checkpoint has the weights of the network's backbone."""
    return any(f"backbone.{name}" in checkpoint.tensors for name, _ in network.backbone.named_parameters())


def tell_initial(table: Table, checkpoint: ForeignCheckpoint, unseen: Sequence[str]) -> None:
    """Say what was taken, and warn if the checkpoint was trained on unseen classes, or may have been.

    Args:
        table: what `load_initial` returned.
        checkpoint: the checkpoint.
        unseen: the unseen classes as the data names them.
    """
    for row in table.rows:
        note = f" ({row['note']})" if row["note"] else ""
        say(f"base.init: {row['part']}: {row['taken']} of {row['of']} tensors{note}")
    if checkpoint.classes is not None:
        known = {key_of(name) for whole in checkpoint.classes for name in names_in(whole)}
        leaked = [whole for whole in unseen if known & {key_of(name) for name in names_in(whole)}]
        if leaked:
            table.notes.append(f"Trained on unseen classes: {', '.join(leaked)}. Results are not zero-shot.")
            say(f"warning: {checkpoint.path} was trained on {len(leaked)} unseen classes: {', '.join(leaked[:5])}")
    elif checkpoint.num_classes is not None:
        table.notes.append(
            f"The file does not name the {checkpoint.num_classes} classes that it was trained on. If unseen classes "
            "were among them, results are not zero-shot."
        )
        say(f"warning: {table.notes[-1]}")
