"""CLIP's and the backbone's weights: shipped, in a cache, in a file, or still to be fetched; and CLIP's prompts."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg_cli.doctor.finding import Finding, missing, ready, warning
from scaseg_cli.downloads import by_hand

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_OR_FETCHED = "a run fetches them where there is a network"


def clip_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Whether CLIP is one that is known, and its weights are here."""
    from scaseg_cli.clip.load import SHAPES_CLIP, model_name
    from scaseg_cli.clip.tags import cached_tag, tag_by_hand

    what, checkpoint = "CLIP weights", recipe.clip.checkpoint
    name = model_name(recipe.clip)
    if checkpoint is None:
        return [warning(what, f"{name} with random weights", "For real ones: --set clip.checkpoint=openai")]
    if name == SHAPES_CLIP and checkpoint == SHAPES_CLIP:
        from scaseg_cli.shapes.clip import CHECKPOINT

        return [file_finding(what, CHECKPOINT, "Install scaseg again: the file comes with it.", "shipped")]
    if name == SHAPES_CLIP or Path(checkpoint).is_file():
        return [file_finding(what, Path(checkpoint), "Give the file: --set clip.checkpoint=PATH")]
    found = cached_tag(name, checkpoint)
    if found is not None:
        return [file_finding(what, found, f"Delete it, then {tag_by_hand(name, checkpoint)}", f"{name} {checkpoint}")]
    mend = f"{tag_by_hand(name, checkpoint)}\nor give a file: --set clip.checkpoint=PATH"
    return [missing(what, f"{name} {checkpoint!r} is not on this machine; {_OR_FETCHED}", mend)]


def prompt_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Whether the text templates are a known set, or a file that can be read."""
    from scaseg_cli.embeddings.prompts import read_templates

    name = recipe.embeddings.templates
    return [ready("prompts", f"{name}: {len(read_templates(name))} templates")]


def backbone_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Whether the backbone's pre-trained weights are here."""
    from scaseg_cli.base.backbone_weights import REMEDY, SHIPPED_BACKBONE, SHIPPED_FILE, TORCHVISION, torchvision_file

    what, checkpoint = "backbone weights", recipe.base.backbone.checkpoint
    if checkpoint is None:
        mend = "For ImageNet's: --set base.backbone.checkpoint=torchvision://resnet50"
        return [warning(what, "random weights", mend)]
    if checkpoint == SHIPPED_BACKBONE:
        return [file_finding(what, SHIPPED_FILE, "Install scaseg again: the file comes with it.", "shipped")]
    if not checkpoint.startswith(TORCHVISION):
        return [file_finding(what, Path(checkpoint), REMEDY)]
    path, url = torchvision_file(checkpoint)
    fetch = by_hand(url, path)
    if path.is_file():
        return [file_finding(what, path, f"Delete it, then {fetch}", checkpoint)]
    mend = f"{fetch}\nor give a file: --set base.backbone.checkpoint=PATH"
    return [missing(what, f"{checkpoint} is not in {path.parent}; {_OR_FETCHED}", mend)]


def file_finding(what: str, path: Path, mend: str, label: str = "") -> Finding:
    """A weight file: there and whole, as far as can be told without reading it through."""
    named = f"{label}: {path}" if label else str(path)
    if not path.is_file():
        return missing(what, f"{named} does not exist", mend)
    problem = weights_problem(path)
    if problem is not None:
        return missing(what, f"{named} {problem}", mend)
    return ready(what, f"{named}, {path.stat().st_size / 1e6:.0f} MB")


def weights_problem(path: Path) -> str | None:
    """Why a file can be no weights, by its size, its beginning and its end; None: it may be."""
    try:
        with open(path, "rb") as file:
            begin = file.read(9)
            if not begin:
                return "is empty"
            if begin.startswith(b"PK"):
                return None if zipfile.is_zipfile(path) else "is cut short"
            if begin[8:] == b"{":
                return _safetensors_problem(file.read(int.from_bytes(begin[:8], "little") - 1), path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if begin.startswith(b"\x80") else "holds no weights"  # \x80: a pickle, as torch once wrote


def _safetensors_problem(rest: bytes, path: Path) -> str | None:
    """The header says where the last tensor ends, and that is the end of the file."""
    try:
        header = json.loads(b"{" + rest)
        end = max(item["data_offsets"][1] for name, item in header.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError, AttributeError):
        return "is cut short"
    return None if 8 + 1 + len(rest) + end == path.stat().st_size else "is cut short"
