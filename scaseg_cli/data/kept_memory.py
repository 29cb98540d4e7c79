"""Makes glibc keep the memory of one image for the next one."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_LARGEST = 32 * 2**20  # bytes: the most that glibc accepts as M_MMAP_THRESHOLD


def keep_freed_memory() -> None:
    """Make glibc keep freed memory, at most 64 MiB, for further arrays; other allocators are left as they are.

    By default the pixels of each decoded image are new pages, which the system clears one by one. That takes as long
    as decoding an image of 640 x 480 pixels. glibc takes these thresholds by itself once an array of 32 MiB was freed;
    mallopt(3) describes them.
    """
    with suppress(TypeError, OSError, AttributeError):  # no C library by this name, or one without mallopt
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGEST)  # arrays up to this size are from the heap
        mallopt(_TRIM_THRESHOLD, 2 * _LARGEST)  # the free end of the heap is returned beyond this size
