"""Prompt templates by name or from a file, and class names in natural language."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from scaseg_cli.errors import ScasegError

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


def spoken_name(name: str) -> str:
    """Convert a class name for use in a prompt: "sky-other-merged" to "sky", "wall-brick" to "wall brick".

    Ours: the publication does not say whether the prompts keep COCO's suffixes. "-merged", "-other" and "-stuff"
    describe how the dataset was made and occur in no caption. Results keep the names of the data.
    """
    bare = re.sub(r"(-(merged|other|stuff))+$", "", name.strip())
    words = re.sub(r"[-_\s]+", " ", bare).strip()
    return "playing field" if words == "playingfield" else words


def fill(template: str, name: str) -> str:
    """Insert the class ``name`` into the template; other braces have no meaning."""
    return template.replace(SLOT, name)


def spoken_names(names: list[str]) -> list[str]:
    """`spoken_name` of each class.

    Raises:
        ScasegError: two classes get the same prompts, which nothing can tell apart, or a class gets an empty name.
    """
    spoken: dict[str, str] = {}
    for name in names:
        words = spoken_name(name)
        if not words or words in spoken:
            other = f"the same prompts as {spoken[words]!r}" if words else "an empty name in its prompts"
            raise ScasegError(f"the class {name!r} would get {other}", "Rename it in the annotations' categories.")
        spoken[words] = name
    return list(spoken)
