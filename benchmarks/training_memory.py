"""Compute the memory of a training step of stage 1 on a GPU, without a GPU.

    python benchmarks/training_memory.py --size published

PyTorch's FakeTensorMode runs the real network on tensors that have a shape, a type and the device "cuda", but no
values. Every tensor is counted from its first to its last moment, at full size. Not counted are what kernels take for
themselves, such as a convolution's workspace, what the allocator loses between tensors, and the CUDA context.

Three things stand in for what needs values: queries are matched to segments in order, since only their number matters;
V2C is left out, whose CLIP pass keeps nothing for the backward pass (CLIP's weights are counted); and the backward pass
runs on fake CPU tensors, in float32, since autograd starts CUDA.
"""

from __future__ import annotations

import copy
import sys
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from base_step import NUM_SEEN, PER_GPU, RECIPES, make_batch, our_network
from measuring import Outcome, machine_of, prepare, run_benchmark
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from scaseg_cli.base import deformable_attention, head
from scaseg_cli.base.matching import Pairs
from scaseg_cli.clip.load import load_clip
from scaseg_cli.recipe import load_recipe

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from scaseg_cli.recipe.schema import Recipe

_GB = 1e9
_BLOCK = 512  # bytes; CUDA's allocator rounds up to it
_CROPS = {"small": (64,), "published": (512, 1024)}
_HALVES = {"off": None, "bf16": torch.bfloat16}


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages on a device that are alive while the block runs.

    Attributes:
        now: bytes that are alive.
        peak: the most that were.
    """

    def __init__(self, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device, self.now, self.peak = device, 0, 0
        self._known: set[int] = set()

    def hold(self, tensor: Tensor) -> None:
        """Count a tensor until its storage is freed; once, however many views of it there are."""
        storage = tensor.untyped_storage()
        place = storage._cdata
        if tensor.device.type != self.device or place in self._known:
            return
        size = -(-storage.nbytes() // _BLOCK) * _BLOCK
        self._known.add(place)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, place, size)

    def _drop(self, place: int, size: int) -> None:
        self._known.discard(place)
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it returns."""
        del types
        found = func(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self.hold, found)
        return found


class Memory(NamedTuple):
    """Bytes of a step.

    Attributes:
        kept: what the forward pass keeps for the backward pass, the images included.
        forward: the most that the forward pass holds besides the weights.
        backward: the same of the backward pass and the update, gradients and AdamW's moments included; 0: not run.
    """

    kept: int
    forward: int
    backward: int


class FakeStep:
    """A training step of a recipe's network, with random weights, on fake tensors.

    Args:
        recipe: the recipe.
        num_seen: number of seen classes.
        device: ``cuda``, or ``cpu`` with a backward pass.
    """

    def __init__(self, recipe: Recipe, num_seen: int, device: str) -> None:
        self.recipe, self.num_seen, self.device = recipe, num_seen, device
        self.network: Any = our_network(recipe, num_seen, "cpu", aligned=False).train()
        self._preprocessor: Any = copy.deepcopy(self.network.data_preprocessor)
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # a fake tensor cannot be put into a real one
        try:
            with self._mode:
                self.network._apply(self._fake)
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(overwrites)

    def _fake(self, tensor: Tensor) -> Tensor:
        return self._mode.from_tensor(tensor).to(self.device)

    def trained(self) -> list[torch.nn.Parameter]:
        """The parameters that are trained."""
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]

    def run(self, crop: int, images: int, half: torch.dtype | None) -> Memory:
        """Count a step on ``images`` views of ``crop`` pixels."""
        base = self.recipe.base.model_copy(update={"crop": crop})
        data = self._preprocessor(make_batch(base, images, self.num_seen), training=True)
        live = LiveBytes(self.device)
        with self._mode:
            inputs = self._fake(data["inputs"])
            samples = [
                one._replace(numbers=self._fake(one.numbers), labels=self._fake(one.labels))
                for one in data["data_samples"]
            ]
            for tensor in (*self.network.parameters(), *self.network.buffers()):
                live.hold(tensor)
            weights = live.now
            live.hold(inputs)
            with live:
                with _autocast(self.device, half):
                    losses = self.network(inputs=inputs, data_samples=samples, mode="loss")
                total = torch.stack(list(losses.values())).sum()
                kept, forward, backward = live.now - weights, live.peak - weights, 0
                if self.device == "cpu":
                    live.peak = live.now
                    optimizer = torch.optim.AdamW(self.trained(), fused=True)
                    total.backward()
                    optimizer.step()
                    backward = live.peak - weights
                    optimizer.zero_grad()
        return Memory(kept, forward, backward)


@contextmanager
def _autocast(device: str, half: torch.dtype | None) -> Iterator[None]:
    """`torch.autocast`, which on a machine without a GPU does nothing for "cuda"."""
    if half is None:
        yield
        return
    torch.set_autocast_enabled(device, True)
    torch.set_autocast_dtype(device, half)
    torch.autocast_increment_nesting()
    try:
        yield
    finally:
        torch.autocast_decrement_nesting()
        torch.clear_autocast_cache()
        torch.set_autocast_enabled(device, False)


def in_order(costs_LBQG: Tensor, num_segments: Sequence[int]) -> list[Pairs]:
    """Pair query i with segment i, in place of `matching.assigned`, which reads the costs."""
    layers, _, queries, _ = costs_LBQG.shape
    numbers = [min(number, queries) for number in num_segments]
    images = np.repeat(np.arange(len(numbers)), numbers)
    places = np.concatenate([np.arange(number) for number in numbers])
    return [Pairs(images, places, places)] * layers


def measure(options: argparse.Namespace) -> Outcome:
    """Compute the memory with and without 16 bits, for each crop."""
    prepare("cpu")
    deformable_attention.BySparseMatrix = deformable_attention.ByLevel  # type: ignore[misc, assignment]
    head.assigned = in_order  # type: ignore[attr-defined]  # imported there
    name, num_seen, crops = RECIPES[options.size], NUM_SEEN[options.size], _CROPS[options.size]
    random = ["base.backbone.checkpoint=null", *(["clip.checkpoint=null"] if name != "shapes-zps" else [])]
    recipe = load_recipe(name, (*random, "threads=null"))
    step = FakeStep(recipe, num_seen, "cuda")
    found = {(crop, amp): step.run(crop, PER_GPU, half) for crop in crops for amp, half in _HALVES.items()}
    one = step.run(crops[0], 1, None)
    on_cpu = FakeStep(recipe, num_seen, "cpu").run(crops[0], PER_GPU, None)
    trained = sum(parameter.numel() for parameter in step.trained())
    weights = sum(tensor.numel() * tensor.element_size() for tensor in step.network.parameters())
    figures: dict[str, float] = {}
    for (crop, amp), memory in found.items():
        title = f"{PER_GPU} images of {crop} px, amp {amp}"
        figures[f"{title}: kept for the backward pass, GB"] = memory.kept / _GB
        figures[f"{title}: most in the forward pass, GB"] = memory.forward / _GB
    return Outcome(
        benchmark="training_memory",
        device="cpu",
        size=options.size,
        ratio_of="kept with bf16 / without",
        ratio=found[crops[-1], "bf16"].kept / found[crops[-1], "off"].kept,
        goal=None,
        figures=figures
        | {
            f"1 image of {crops[0]} px, amp off: most in the forward pass, GB": one.forward / _GB,
            f"{PER_GPU} images of {crops[0]} px, amp off: most in backward pass and update, GB": on_cpu.backward / _GB,
            "weights, GB": weights / _GB,
            "gradients and AdamW's moments, GB": 3 * 4 * trained / _GB,
            "CLIP's weights, GB": _clip_bytes(recipe) / _GB,
        },
        notes=(
            f"Recipe {name}, deformable attention in plain PyTorch. Computed from the shapes of tensors; no GPU ran.",
            "The most in the forward pass is besides the weights, and in the backward pass with gradients and moments.",
        ),
        machine=machine_of("cpu"),
    )


def _clip_bytes(recipe: Recipe) -> int:
    return sum(p.numel() * p.element_size() for p in load_clip(recipe.clip)._module.parameters())


if __name__ == "__main__":
    sys.exit(run_benchmark("The memory of a training step, computed", ("cpu",), measure))
