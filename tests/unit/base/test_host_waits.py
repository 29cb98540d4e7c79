"""Where a training step makes the host wait for the device: at the matching, and nowhere else.

On a CPU nothing waits, but what would is the same: reading a tensor as a number, a list or an array, moving it to the
host, and operations whose result's size depends on values. All of them are recorded, with the function that calls them.
"""

from __future__ import annotations

import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from base_world import base, fresh_network, stripes
from mmengine.optim import build_optim_wrapper
from torch.utils._python_dispatch import TorchDispatchMode

import scaseg_cli
from scaseg_cli.base import deformable_attention
from scaseg_cli.base.dataset import collate
from scaseg_cli.base.runner import _optimizer
from scaseg_cli.tasks import ZPS, ZSS, Task

if TYPE_CHECKING:
    from collections.abc import Callable

READING = ("cpu", "numpy", "tolist", "item", "__bool__", "__int__", "__float__", "__index__")
OF_UNKNOWN_SIZE = ("nonzero", "masked_select", "_unique2", "unique_dim", "_local_scalar_dense", "equal")
# What reads and indexes only what was made on the host (sizes of images, subsets, pairs), or reads on a CPU alone.
ON_HOST = {"random_subset", "_tokens", "utils.py:stack_batch", "_at_smallest"}


class Waits(TorchDispatchMode):
    """Counts what would wait, by the function of scaseg that is nearest, or by that of the library."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def note(self) -> None:
        """Count one wait of whoever calls."""
        between = ("_dynamo", "_compile", Path(__file__).name)
        frames = [one for one in traceback.extract_stack() if not any(part in one.filename for part in between)]
        own = [frame for frame in frames if Path(scaseg_cli.__file__).parent in Path(frame.filename).parents]
        frame = next((one for one in reversed(own) if one.name not in ("loss", "encode_image")), frames[-1])
        self.found[frame.name if own else f"{Path(frame.filename).name}:{frame.name}"] += 1

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        if name in OF_UNKNOWN_SIZE or any(one is not None and one.dtype is torch.bool for one in indices):
            self.note()
        return function(*args, **(kwargs or {}))


def _waits_of(step: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    with monkeypatch.context() as patched, Waits() as waits:
        for name in READING:
            original = getattr(torch.Tensor, name)

            def noting(tensor: Any, *args: Any, original: Any = original) -> Any:
                waits.note()
                return original(tensor, *args)

            patched.setattr(torch.Tensor, name, noting)
        step()
    return waits.found


@pytest.mark.parametrize("enhancement", ["multiply", "minus"])
@pytest.mark.parametrize("task", [ZPS, ZSS], ids=lambda task: task.name)
def test_a_step_waits_for_its_matching_alone(task: Task, enhancement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deformable_attention, "BySparseMatrix", deformable_attention.ByLevel)  # the form for a GPU
    section = base(pixel_decoder_layers=2, v2c=base().v2c.model_copy(update={"enhancement": enhancement}))
    network = fresh_network(task, section)
    wrapper = build_optim_wrapper(network, _optimizer(section, "cpu"))
    batch = collate([stripes(task, 1, 0, 1, 2), stripes(task, 2, 3, 0, size=(48, 64))])
    network.train_step(batch, wrapper)  # the first fills the bank and makes the optimizer's state
    found = _waits_of(lambda: network.train_step(batch, wrapper), monkeypatch)
    assert found.pop("assigned") <= 2  # once to the host, once as an array
    assert set(found) <= ON_HOST


def test_a_wait_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.arange(4.0)
    for step in (
        lambda: values.sum().item(),
        lambda: values[values > 1],
        lambda: values.nonzero(),
        lambda: bool(values[0]),
    ):
        assert sum(_waits_of(step, monkeypatch).values()) >= 1
    assert not _waits_of(lambda: values[torch.tensor([1, 2])] + 1, monkeypatch)
