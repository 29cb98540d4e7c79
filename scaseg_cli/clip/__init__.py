"""The vision-language model that embeds class names and images in one space. It is always frozen."""

from scaseg_cli.clip.load import load_clip
from scaseg_cli.clip.model import ClipModel

__all__ = ["ClipModel", "load_clip"]
