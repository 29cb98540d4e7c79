"""Mixed precision: what of a training step is computed in 16 bits, and what must not be.

Networks are, losses and all that is compared with CLIP's embeddings are not: a cosine divided by 0.07 has too few
digits in 16 bits to tell near classes apart, and Hungarian matching refuses a cost that is not a number.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaseg_cli.recipe.schema import Recipe


def check_precision(recipe: Recipe) -> None:
    """Go on only if the device computes in the precision that `base.amp` asks for.

    Raises:
        ScasegError: fp16 on the CPU, which has no loss scaling there; bf16 on a GPU that has none.
    """
    amp = recipe.base.amp
    if amp == "fp16" and recipe.gpus == 0:
        raise ScasegError("base.amp fp16 needs a GPU", "--set base.amp=bf16 computes in 16 bits on the CPU too.")
    if amp == "bf16" and recipe.gpus and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ScasegError("this GPU does not compute in bf16", "--set base.amp=fp16, or off")


class Bf16OptimWrapper(OptimWrapper):
    """Steps in bf16 on any device. It needs no loss scaling, unlike fp16: its exponents reach as far as float32's.

    Args:
        device: ``cpu`` or ``cuda``.
        **wrapper: what mmengine's `OptimWrapper` takes.
    """

    def __init__(self, device: str, **wrapper: Any) -> None:
        super().__init__(**wrapper)
        self.device = device

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """In what forward and loss run."""
        with super().optim_context(model), torch.autocast(self.device, torch.bfloat16):
            yield


def wrapper_type(amp: str, device: str) -> dict[str, Any]:
    """mmengine's configuration of the optimizer's wrapper for ``amp``: off, bf16 or fp16."""
    if amp == "bf16":
        return {"type": Bf16OptimWrapper, "device": device}
    if amp == "fp16":
        return {"type": "AmpOptimWrapper", "dtype": "float16"}
    return {"type": "OptimWrapper"}
