"""Looking through every label map of a set once: COCO train has 118,287, so in as many processes as there are cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from scaseg_cli.data.decode import opened
from scaseg_cli.data.label_maps import count_values, read_map
from scaseg_cli.data.prefetch import num_cores
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from scaseg_cli.data.map_pairs import Pair

_CHUNK = 50  # label maps a piece of work: less than a tenth of a second at COCO's size, so that Ctrl-C ends it soon
_A_PROCESS = 2000  # label maps for which one more process is worth its start


class MapContent(NamedTuple):
    """What one label map holds: its size in pixels, and how many pixels have each of its values."""

    width: int
    height: int
    counts: dict[int, int]


def scan_label_maps(
    images_dir: Path, labels_dir: Path, pairs: Sequence[Pair], description: str, processes: int | None = None
) -> list[MapContent | ScasegError]:
    """What each label map holds, in the order of ``pairs``; where it or its image is wrong, the error.

    Args:
        images_dir: the images' folder; of an image the size alone is read.
        labels_dir: the label maps' folder.
        pairs: their file names.
        description: of the progress bar.
        processes: None: as many as pay on this machine. They change nothing in what comes back.

    Raises:
        ScasegError: one of several processes was ended from outside.
    """
    if processes is None:
        processes = max(1, min(num_cores(), len(pairs) // _A_PROCESS))
    chunks = [pairs[first : first + _CHUNK] for first in range(0, len(pairs), _CHUNK)]
    with _mapping(processes) as spread:
        scanned = spread(partial(_scan_chunk, images_dir, labels_dir), chunks)
        return list(track(chain.from_iterable(scanned), description, len(pairs)))


def _scan_chunk(images_dir: Path, labels_dir: Path, pairs: Sequence[Pair]) -> list[MapContent | ScasegError]:
    return [_scan_map(images_dir / pair.image, labels_dir / pair.label) for pair in pairs]


def _scan_map(image_path: Path, label_path: Path) -> MapContent | ScasegError:
    try:
        with opened(image_path, "image") as image:
            width, height = image.size
        values_HW = read_map(label_path, (width, height), f"its image {image_path}")
    except ScasegError as error:  # not the last one, perhaps: all are reported together
        return error
    return MapContent(width, height, count_values(values_HW))


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterable[list[MapContent | ScasegError]]]]:
    """Python's ``map``, or one that spreads the work over processes until the block ends, however it ends."""
    if processes == 1:
        yield map
        return
    # spawn and not fork: this process may have threads, such as the progress bar's.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        yield pool.map
    except BrokenProcessPool as error:
        raise ScasegError(
            "a process that scanned through the label maps was ended from outside",
            "The machine may be short of memory: run it again.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Ctrl-C is the parent's to handle; and where the parent is killed, nobody else would end this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
