"""Compiled operators of deformable attention that a user may have installed, and which of them is used.

None is a requirement. ``torch-ms-deform-attn`` is built from source by pip and runs on CPUs and GPUs. ``deformops`` and
mmcv's own operator run on GPUs, where nothing of scaseg has been tested yet.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

PLAIN = "plain PyTorch"


class Operator(NamedTuple):
    """A package with an operator.

    Attributes:
        package: its name, as pip knows it.
        module: what is imported.
        devices: the types of device that it is used on.
        tested: the types of device that scaseg was tested on with it.
    """

    package: str
    module: str
    devices: tuple[str, ...]
    tested: tuple[str, ...]


MMCV = Operator("mmcv", "mmcv._ext", ("cuda",), ())
TORCH_MS_DEFORM_ATTN = Operator("torch-ms-deform-attn", "torch_ms_deform_attn", ("cpu", "cuda"), ("cpu",))
DEFORMOPS = Operator("deformops", "deformops", ("cuda",), ())
OPERATORS = (MMCV, TORCH_MS_DEFORM_ATTN, DEFORMOPS)  # the first one that is installed is used


def installed() -> list[Operator]:
    """Return the operators that are installed, in the order in which they are considered."""
    return [one for one in OPERATORS if _is_installed(one)]


def _is_installed(operator: Operator) -> bool:
    spec = importlib.util.find_spec(operator.module)
    return spec is not None and spec.loader is not None  # the stand-in for mmcv's operators has no loader


def operator_for(device_type: str) -> Operator | None:
    """Return the operator that is used on this type of device, ``cpu`` or ``cuda``; None: the form in plain PyTorch."""
    return next((one for one in installed() if device_type in one.devices), None)


def function_for(device_type: str) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] | None:
    """Return the operator as a function of values, sizes, places and weights, all float32 or more, if there is one.

    MMCV calls its own operator, so none is returned for it.
    """
    operator = operator_for(device_type)
    return _FUNCTIONS[operator.package]() if operator is not None and operator.package in _FUNCTIONS else None


def _torch_ms_deform_attn() -> Callable[..., Tensor]:
    operator = importlib.import_module("torch_ms_deform_attn").ms_deform_attn

    def attend(values_BSMD: Tensor, sizes_L2: Tensor, places: Tensor, weights: Tensor) -> Tensor:
        found: Tensor = operator(values_BSMD, sizes_L2, _starts(sizes_L2), places, weights)
        return found

    return attend


def _deformops() -> Callable[..., Tensor]:
    operator = importlib.import_module("deformops.integrations._ops").run_msda

    def attend(values_BSMD: Tensor, sizes_L2: Tensor, places: Tensor, weights: Tensor) -> Tensor:
        found: Tensor = operator(values_BSMD, sizes_L2, _starts(sizes_L2), places, weights, chunk_step=128)
        return found

    return attend


def _starts(sizes_L2: Tensor) -> Tensor:
    """The first key of each level."""
    keys_L = sizes_L2.prod(1)
    return keys_L.cumsum(0) - keys_L


_FUNCTIONS = {TORCH_MS_DEFORM_ATTN.package: _torch_ms_deform_attn, DEFORMOPS.package: _deformops}
