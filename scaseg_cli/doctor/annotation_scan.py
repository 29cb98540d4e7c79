"""A quick scan of a panoptic annotation file of any size, which searches for marks instead of parsing."""

from __future__ import annotations

import json
import mmap
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_CATEGORIES_AT_MOST = 4_000_000  # bytes; a longer list of categories is not read
_ENDS = 64  # bytes at each end that must contain the outermost brace


@dataclass(frozen=True)
class AnnotationScan:
    """What a scan of an annotation file found.

    Attributes:
        annotations: number of images with segments.
        category_names: names of the categories, in the file's order; empty if they cannot be read.
        problem: why this is not a complete panoptic annotation file; None: no problem found.
    """

    annotations: int = 0
    category_names: tuple[str, ...] = ()
    problem: str | None = None


def scan_annotations(path: Path) -> AnnotationScan:
    """Scan the file at ``path``; the result is cached until the file changes.

    Raises:
        OSError: the file cannot be read.
    """
    status = path.stat()
    return _searched(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _searched(path: Path, size: int, modified: int) -> AnnotationScan:
    del modified  # an argument only so that a changed file misses the cache
    if not size:
        return AnnotationScan(problem="is empty")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _scan(content)


def _scan(content: mmap.mmap) -> AnnotationScan:
    if not content[:_ENDS].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return AnnotationScan(problem="is not JSON")
    if not content[-_ENDS:].rstrip().endswith(b"}"):
        return AnnotationScan(problem="is truncated")
    annotations = _count(content, b'"segments_info"')
    if not annotations:
        return AnnotationScan(
            problem="has no panoptic annotations (no segments_info); is it another kind of annotation file?"
        )
    return AnnotationScan(annotations, _category_names(content))


def _count(content: mmap.mmap, mark: bytes) -> int:
    found, place = 0, content.find(mark)
    while place >= 0:
        found, place = found + 1, content.find(mark, place + len(mark))
    return found


def _category_names(content: mmap.mmap) -> tuple[str, ...]:
    key = content.find(b'"categories"')
    begin = content.find(b"[", key) if key >= 0 else -1
    if begin < 0:
        return ()
    text = content[begin : begin + _CATEGORIES_AT_MOST].decode("utf-8", errors="replace")
    try:
        items: Any = json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return ()
    return tuple(str(item["name"]) for item in items if isinstance(item, dict) and "name" in item)
