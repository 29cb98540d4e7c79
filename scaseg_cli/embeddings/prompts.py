"""Prompt templates by name or from a file, and class names as a person would say them."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from scaseg_cli.errors import ScasegError

SLOT = "{}"

# CLIP's own plain prompt.
_SINGLE = ("a photo of a {}.",)
# The set that open-vocabulary segmentation calls ViLD's (VILD_PROMPT of OVSeg, ODISE and FC-CLIP, after ViLD's longer
# list of 63).
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
# What PADing and ZegFormer call "imagenet_select": seven that CLIP's authors chose on ImageNet, and one more.
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
_IMAGENET = "imagenet80"  # OpenAI's 80 for ImageNet, in open_clip itself
TEMPLATE_SETS = (*_LISTED, _IMAGENET)


def read_templates(name: str) -> tuple[str, ...]:
    """The templates that the recipe's ``embeddings.templates`` means, each with one ``{}`` for the class name.

    Args:
        name: one of `TEMPLATE_SETS`, else a file with one template a line; empty lines do not count.

    Raises:
        ScasegError: neither a set nor a file; a line without exactly one ``{}``; no template at all.
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
        (f"Did you mean {near[0]!r}? " if near else "") + f"The sets: {', '.join(TEMPLATE_SETS)}.",
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
                f"{path}, line {number}: {line.strip()!r} holds {SLOT} {slots} times",
                f"Each line is one template with {SLOT} once, where the class name goes: a photo of a {SLOT}.",
            )
        templates.append(line.strip())
    if not templates:
        raise ScasegError(f"{path} holds no template", f"One a line, for example: a photo of a {SLOT}.")
    return tuple(templates)


def spoken_name(name: str) -> str:
    """A class name as it goes into a prompt: "sky-other-merged" is "sky", "wall-brick" is "wall brick".

    Ours: what was published does not say whether COCO's suffixes went into the prompts. They are marks of how the
    data set was made ("-merged", "-other", "-stuff"), which no caption holds. Names in results stay the data's own.
    """
    bare = re.sub(r"(-(merged|other|stuff))+$", "", name.strip())
    words = re.sub(r"[-_\s]+", " ", bare).strip()
    return "playing field" if words == "playingfield" else words


def fill(template: str, name: str) -> str:
    """The prompt of the class ``name``; braces elsewhere mean nothing."""
    return template.replace(SLOT, name)


def spoken_names(names: list[str]) -> list[str]:
    """`spoken_name` of each class.

    Raises:
        ScasegError: two classes would get the same prompts, or one would get none; no network can tell them apart.
    """
    spoken: dict[str, str] = {}
    for name in names:
        words = spoken_name(name)
        if not words or words in spoken:
            other = f"the same prompts as {spoken[words]!r}" if words else "an empty name in its prompts"
            raise ScasegError(f"the class {name!r} would get {other}", "Rename it in the annotations' categories.")
        spoken[words] = name
    return list(spoken)
