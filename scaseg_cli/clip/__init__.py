"""The vision-language model: class names and images into one space. Frozen; never trained here."""

from scaseg_cli.clip.load import load_clip
from scaseg_cli.clip.model import ClipModel

__all__ = ["ClipModel", "load_clip"]
