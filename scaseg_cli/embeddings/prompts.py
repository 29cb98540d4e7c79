"""Prompt templates by name or from a file, and the names that go into them."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scaseg_cli.data.class_names import Choice, names_in, spoken_name
from scaseg_cli.errors import ScasegError
from scaseg_cli.packages import prepare_open_clip

if TYPE_CHECKING:
    from collections.abc import Sequence

Wording = Literal["spoken", "raw"]  # the recipe's embeddings.names

SLOT = "{}"

# CLIP's default prompt.
_SINGLE = ("a photo of a {}.",)
# The set known as ViLD's in open-vocabulary segmentation (VILD_PROMPT in OVSeg, ODISE and FC-CLIP; ViLD's own list
# has 63).
_VILD = (
    "a photo of a {}.",
    "This is a photo of a {}",
    "There is a {} in the scene",
    "There is the {} in the scene",
    "a photo of a {} in the scene",
    "a photo of a small {}.",
    "a photo of a medium {}.",
    "a photo of a large {}.",
    "This is a photo of a small {}.",
    "This is a photo of a medium {}.",
    "This is a photo of a large {}.",
    "There is a small {} in the scene.",
    "There is a medium {} in the scene.",
    "There is a large {} in the scene.",
)
# "imagenet_select" in PADing and ZegFormer: seven templates that CLIP's authors chose on ImageNet, and one more.
_PADING8 = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
    "A photo of a {} in the scene",
)
# ZegCLIP's prompts for COCO-Stuff and Pascal Context.
_ZEGCLIP15 = (
    "a photo of a {}.",
    "a photo of a small {}.",
    "a photo of a medium {}.",
    "a photo of a large {}.",
    "This is a photo of a {}.",
    "This is a photo of a small {}.",
    "This is a photo of a medium {}.",
    "This is a photo of a large {}.",
    "a {} in the scene.",
    "a photo of a {} in the scene.",
    "There is a {} in the scene.",
    "There is the {} in the scene.",
    "This is a {} in the scene.",
    "This is the {} in the scene.",
    "This is one {} in the scene.",
)
_LISTED = {"single": _SINGLE, "vild": _VILD, "padding8": _PADING8, "zegclip15": _ZEGCLIP15}
_IMAGENET = "imagenet80"  # OpenAI's 80 templates for ImageNet, from open_clip
TEMPLATE_SETS = (*_LISTED, _IMAGENET)


def read_templates(name: str) -> tuple[str, ...]:
    """Read the templates of the recipe's ``embeddings.templates``, each with one ``{}`` for the class name.

    Args:
        name: one of `TEMPLATE_SETS`, or a file with one template per line; empty lines are ignored.

    Raises:
        ScasegError: ``name`` is neither a set nor a file, a line lacks or repeats ``{}``, or there is no template.
    """
    if name in _LISTED:
        return _LISTED[name]
    if name == _IMAGENET:
        prepare_open_clip()
        import open_clip

        return tuple(template(SLOT) for template in open_clip.OPENAI_IMAGENET_TEMPLATES)
    path = Path(name)
    if path.is_file():
        return _templates_in(path)
    near = difflib.get_close_matches(name, TEMPLATE_SETS, n=1)
    raise ScasegError(
        f"embeddings.templates {name!r} is neither a file nor a set of templates",
        (f"Did you mean {near[0]!r}? " if near else "") + f"Name a file or one of the sets {', '.join(TEMPLATE_SETS)}.",
    )


def _templates_in(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ScasegError(f"the templates {path} cannot be read as text: {error}") from error
    templates = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if (slots := line.count(SLOT)) != 1:
            raise ScasegError(
                f"{path}, line {number}: {line.strip()!r} contains {SLOT} {slots} times",
                f"Write one template per line, with one {SLOT} for the class name: a photo of a {SLOT}.",
            )
        templates.append(line.strip())
    if not templates:
        raise ScasegError(f"{path} contains no template", f"Write one per line, for example: a photo of a {SLOT}.")
    return tuple(templates)


def fill(template: str, name: str) -> str:
    """Insert the class ``name`` into the template; other braces have no meaning."""
    return template.replace(SLOT, name)


def prompt_names(classes: Sequence[str], choice: Choice = "all", wording: Wording = "spoken") -> list[tuple[str, ...]]:
    """Return the names of each class as they go into prompts.

    Args:
        classes: the class names of the data.
        choice: the recipe's ``data.names``: the first name of a class, or all.
        wording: the recipe's ``embeddings.names``: `spoken_name`, or the names as they are.

    Raises:
        ScasegError: two classes get the same prompts, which nothing can tell apart, or a class gets an empty name.
    """
    found: dict[frozenset[str], str] = {}
    names = []
    for text in classes:
        plain = names_in(text, choice)
        words = tuple(dict.fromkeys(filter(None, map(spoken_name, plain)))) if wording == "spoken" else plain
        if not words or frozenset(words) in found:
            other = f"the same prompts as {found[frozenset(words)]!r}" if words else "an empty name in its prompts"
            raise ScasegError(f"the class {text!r} would get {other}", "Rename it in the data's list of classes.")
        found[frozenset(words)] = text
        names.append(words)
    return names
