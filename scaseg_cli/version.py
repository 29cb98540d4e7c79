"""The version of scaseg."""

__version__ = "0.2.0.dev0"
