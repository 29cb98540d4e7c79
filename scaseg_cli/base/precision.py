"""Mixed precision: which parts of a training step use 16 bits.

Networks do; losses and comparisons with CLIP's embeddings do not. A cosine divided by 0.07 has too few digits in 16
bits to separate similar classes, and Hungarian matching rejects costs that are not finite.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from scaseg_cli.base import mmcv_ops
from scaseg_cli.errors import ScasegError

mmcv_ops.prepare_mmengine()

from mmengine.optim import AmpOptimWrapper, DefaultOptimWrapperConstructor, OptimWrapper  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaseg_cli.recipe.schema import Recipe


def check_precision(recipe: Recipe) -> None:
    """Check that the device supports the precision of `base.amp`.

    Raises:
        ScasegError: fp16 on the CPU, where loss scaling is unavailable, or bf16 on a GPU without it.
    """
    amp = recipe.base.amp
    if amp == "fp16" and recipe.gpus == 0:
        raise ScasegError("base.amp fp16 needs a GPU", "Use --set base.amp=bf16, which also works on the CPU.")
    if amp == "bf16" and recipe.gpus and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ScasegError("this GPU does not support bf16", "Use --set base.amp=fp16, or off.")


class _Unread:
    """Clips gradients without reading their norm, for which the host would wait; mmengine reads it for its logs."""

    def _clip_grad(self) -> None:
        groups = self.optimizer.param_groups  # type: ignore[attr-defined]
        parameters = [p for group in groups for p in group["params"] if p.requires_grad and p.grad is not None]
        if parameters:
            self.clip_func(parameters, **self.clip_grad_kwargs)  # type: ignore[attr-defined]


class PlainOptimWrapper(_Unread, OptimWrapper):
    """Optimizer steps in float32."""


class Fp16OptimWrapper(_Unread, AmpOptimWrapper):
    """Optimizer steps in fp16 with loss scaling, whose scale the host reads."""


class Bf16OptimWrapper(PlainOptimWrapper):
    """Optimizer steps in bf16 on any device. bf16 has the exponent range of float32 and needs no loss scaling.

    Args:
        device: ``cpu`` or ``cuda``.
        **wrapper: arguments of mmengine's `OptimWrapper`.
    """

    def __init__(self, device: str, **wrapper: Any) -> None:
        super().__init__(**wrapper)
        self.device = device

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of forward pass and loss."""
        with super().optim_context(model), torch.autocast(self.device, torch.bfloat16):
            yield


class MergedGroups(DefaultOptimWrapperConstructor):
    """Puts parameters with the same rate and decay into one group, which an optimizer updates at once.

    mmengine makes a group of each parameter. A step then takes as many calls, and as many launches on a GPU.
    """

    def add_params(self, params: list[dict[str, Any]], module: nn.Module, prefix: str = "", **given: Any) -> None:
        """Add the groups of ``module``; they are merged after those of the whole network."""
        super().add_params(params, module, prefix, **given)
        if prefix:
            return
        merged: dict[tuple[Any, ...], dict[str, Any]] = {}
        for group in params:
            options = tuple(sorted((name, value) for name, value in group.items() if name != "params"))
            merged.setdefault(options, {**group, "params": []})["params"] += group["params"]
        params[:] = merged.values()


def half_precision(amp: str) -> torch.dtype | None:
    """The type of 16 bits that ``amp`` means; None if it is off."""
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(amp)


def wrapper_type(amp: str, device: str) -> dict[str, Any]:
    """mmengine's configuration of the optimizer wrapper for ``amp``: off, bf16 or fp16."""
    if amp == "bf16":
        return {"type": Bf16OptimWrapper, "device": device}
    if amp == "fp16":
        return {"type": Fp16OptimWrapper, "dtype": "float16"}
    return {"type": PlainOptimWrapper}
