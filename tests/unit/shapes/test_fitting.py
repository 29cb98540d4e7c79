"""The training loop: an interrupted run ends with the same weights as an uninterrupted one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from scaseg_cli.errors import ScasegError
from scaseg_cli.shapes.fitting import fit, seeded_module

ITERATIONS = 230


def _module() -> nn.Module:
    return seeded_module(lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)), 0)


def _loss(module: nn.Module, stop_at: int | None = None) -> Callable[[int], Tensor]:
    def at(step: int) -> Tensor:
        if step == stop_at:
            raise KeyboardInterrupt
        inputs = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        return (module(inputs)[:, 0] - inputs.sum(1)).square().mean()

    return at


def _fit(module: nn.Module, progress: Path, stop_at: int | None = None, key: str = "a") -> None:
    fit(
        module,
        _loss(module, stop_at),
        iterations=ITERATIONS,
        learning_rate=1e-2,
        progress=progress,
        key=key,
        description="test",
    )


def test_it_learns_and_an_interrupted_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, cut = _module(), _module()
    _fit(whole, tmp_path / "whole")
    assert _loss(whole)(ITERATIONS).item() < 0.2 * _loss(_module().eval())(ITERATIONS).item()
    with pytest.raises(KeyboardInterrupt):
        _fit(cut, tmp_path / "cut", stop_at=217)
    resumed = _module()
    _fit(resumed, tmp_path / "cut", stop_at=199)  # steps before 200 are not repeated
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_progress_of_another_training_is_not_taken_up(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _fit(_module(), tmp_path / "cut", stop_at=217)
    with pytest.raises(KeyboardInterrupt):
        _fit(_module(), tmp_path / "cut", stop_at=0, key="b")


def test_weights_depend_on_the_seed_alone_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = _module()[0].weight
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, _module()[0].weight)


def test_a_place_that_cannot_be_written_is_found_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ScasegError, match="cannot write"):
        _fit(_module(), tmp_path / "file" / "progress", stop_at=0)
