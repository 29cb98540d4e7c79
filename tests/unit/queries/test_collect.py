"""Reading beside the network, and joining shards: nothing of either changes what is computed."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from scaseg_cli.checkpoints import save_state
from scaseg_cli.data.label_tally import LabelTally
from scaseg_cli.errors import ScasegError
from scaseg_cli.queries import collect
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from pathlib import Path

NUM_IMAGES = 7


class Reader:
    """In place of `QueryReader`: a view's embeddings are its position, and what happens is written down."""

    def __init__(self) -> None:
        self.views = SimpleNamespace(__len__=None)
        self.happened: list[tuple[str, list[int]]] = []
        self.loaded = threading.Semaphore(0)

    def load(self, keys: list[Any]) -> dict[str, Any]:
        self.happened.append(("load", [position for _, position in keys]))
        self.loaded.release()
        return {"keys": keys}

    def match(self, batch: dict[str, Any], keys: list[Any], word: str) -> Any:
        assert batch["keys"] == keys
        self.happened.append((word, [position for _, position in keys]))
        rows = torch.tensor([[float(position)] for _, position in keys])
        return rows, torch.zeros(len(keys), dtype=torch.int64), rows.repeat(2, 1)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    made = Reader()

    class Views:
        differing = dict.fromkeys(range(NUM_IMAGES), (0, 0))

        def __len__(self) -> int:
            return NUM_IMAGES

    made.views = Views()  # type: ignore[assignment]
    monkeypatch.setattr(collect, "QueryReader", lambda *_: made)
    monkeypatch.setattr(collect, "load_segmentor", lambda *_: None)
    monkeypatch.setattr(collect, "stage_key", lambda *_: "key")
    return made


def test_live_views_of_the_next_step_are_read_while_the_network_runs(tmp_path: Path, reader: Reader) -> None:
    recipe = load_recipe("shapes-zps", ("cat.live=true", "cat.live_images=2"))
    batch = collect.live_batches(recipe, RunDir(tmp_path))
    first = batch(0)[0]
    for _ in range(2):  # its own views, and those of the next step, for which nothing asked
        assert reader.loaded.acquire(timeout=20)
    batch(1)
    assert reader.loaded.acquire(timeout=20)
    loads = [positions for what, positions in reader.happened if what == "load"]
    assert loads == [[0, 1], [2, 3], [4, 5]]
    assert torch.equal(batch(0)[0], first)  # any other step is read when it is asked for
    alone = collect.live_batches(recipe, RunDir(tmp_path))
    assert [alone(step)[0].tolist() for step in (1, 2)] == [[[2.0], [3.0]], [[4.0], [5.0]]]


def shard(file: Path, start: int, stop: int, key: str = "key") -> None:
    rows = torch.arange(start, stop, dtype=torch.float32)[:, None].repeat(1, 3)
    counts = torch.from_numpy(np.ones_like(LabelTally().counts))
    columns = {"matched": rows, "classes": torch.arange(start, stop), "null": rows[: stop - start - 1] + 0.5}
    save_state(file, {"key": key, **columns, "labels": counts})


def test_shards_are_joined_in_order(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.pt" for number in range(3)]
    for file, (start, stop) in zip(files, [(0, 4), (4, 5), (5, 9)], strict=True):
        shard(file, start, stop)
    (matched, classes, null), tally = collect._joined(files, "key")
    assert matched[:, 0].tolist() == classes.tolist() == list(range(9))
    assert null[:, 2].tolist() == [0.5, 1.5, 2.5, 5.5, 6.5, 7.5]
    assert (tally.counts == 3).all()
    files[1].unlink()
    with pytest.raises(ScasegError, match="was written but is not here"):
        collect._joined(files, "key")
