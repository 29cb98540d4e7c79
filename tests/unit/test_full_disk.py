"""A disk that becomes full while a file is written: the old file is kept, and the error says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from full_disk import room_for

from scaseg_cli.checkpoints import load_state, load_tensors, save_state, save_tensors
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL, LARGE = torch.ones(10), torch.zeros(1_000_000)


def _save_state(path: Path, tensor: torch.Tensor) -> None:
    save_state(path, {"key": "k", "tensor": tensor})


def _save_tensors(path: Path, tensor: torch.Tensor) -> None:
    save_tensors(path, "kind", {"tensor": tensor})


def _load_state(path: Path) -> torch.Tensor:
    state = load_state(path, "k")
    assert state is not None
    return state["tensor"]


def _load_tensors(path: Path) -> torch.Tensor:
    return load_tensors(path, "kind", "")[0]["tensor"]


@pytest.mark.parametrize(
    ("save", "load"), [(_save_state, _load_state), (_save_tensors, _load_tensors)], ids=["progress", "result"]
)
def test_what_stood_there_stays_and_nothing_else_is_left(
    tmp_path: Path, save: Callable[[Path, torch.Tensor], None], load: Callable[[Path], torch.Tensor]
) -> None:
    path = tmp_path / "file"
    save(path, SMALL)
    with room_for(300_000), pytest.raises(ScasegError) as caught:
        save(path, LARGE)
    assert str(path) in caught.value.message
    assert "File too large" in caught.value.message
    assert "Free some space" in str(caught.value.hint)
    assert torch.equal(load(path), SMALL)
    assert list(tmp_path.iterdir()) == [path]
    save(path, LARGE)
    assert torch.equal(load(path), LARGE)


def test_what_cannot_be_saved_at_all_is_no_full_disk(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match=r"lambda|local"):
        save_state(tmp_path / "file", {"key": lambda: None})
    assert list(tmp_path.iterdir()) == []
