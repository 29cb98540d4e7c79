"""What TensorBoard shows of a training: further figures keep its curves, a training from the start drops them."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scaseg_cli.base.scalar_log import ScalarLog

if TYPE_CHECKING:
    from pathlib import Path


def _logged(folder: Path, name: str, steps: range, begin: int | None) -> None:
    time.sleep(1.0 - time.time() % 1.0)  # files of one second are read in the order of a counter's digits
    with contextlib.closing(ScalarLog(folder)) as log:
        if begin is not None:
            log.begin(begin)
        for step in steps:
            log.add({name: 10.0 * step}, step)


def _shown(folder: Path) -> dict[str, list[int]]:
    found = EventAccumulator(str(folder)).Reload()
    return {name: [event.step for event in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_curves_stay_until_a_training_begins_again(tmp_path: Path) -> None:
    _logged(tmp_path, "loss", range(1, 5), begin=0)
    _logged(tmp_path, "loss", range(3, 6), begin=2)  # resumed after step 2
    assert _shown(tmp_path) == {"loss": [1, 2, 3, 4, 5]}
    _logged(tmp_path, "selection/hPQ", range(2, 5, 2), begin=None)
    assert _shown(tmp_path) == {"loss": [1, 2, 3, 4, 5], "selection/hPQ": [2, 4]}
    before = set(tmp_path.iterdir())
    _logged(tmp_path, "loss", range(1, 2), begin=0)
    assert {name: steps for name, steps in _shown(tmp_path).items() if steps} == {"loss": [1]}
    assert before < set(tmp_path.iterdir())  # a refused training takes nothing away


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    log = ScalarLog(None)
    log.begin(0)
    log.add({"loss": 1.0}, 1)
    log.close()
    assert not list(tmp_path.iterdir())
