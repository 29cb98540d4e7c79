"""A stand-in for mmcv's compiled operators, so that mmdet and mmseg import without a compiler.

mmcv-lite has the Python side of ``mmcv.ops`` but not the compiled ``mmcv._ext`` that it loads at import. Mask2Former
needs none of those operators: its deformable attention has a pure PyTorch form, which is taken here on every device.
Where a full mmcv is installed nothing is replaced and its compiled operators run.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "mmcv._ext"


class _MissingOperators(ModuleType):
    """Has every operator by name; calling one says what is missing and what to install."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def operator(*_args: Any, **_kwargs: Any) -> NoReturn:
            raise ScasegError(
                f"the compiled mmcv operator {name!r} is needed and mmcv-lite has none",
                "Install a full mmcv below 2.2 built for this torch in place of mmcv-lite.",
            )

        return operator


def compiled() -> bool:
    """Whether mmcv's compiled operators are installed."""
    found = sys.modules.get(_NAME)
    if found is not None:
        return not isinstance(found, _MissingOperators)
    return importlib.util.find_spec(_NAME) is not None


def install() -> None:
    """Make ``import mmdet.models`` work, and do it; the second time nothing is left to do."""
    if _NAME not in sys.modules and not compiled():
        _install_stand_in()
    with _hidden("sklearn"):  # which mmdet takes for a tracker if it is there, and which takes a second to load
        import mmdet.models  # noqa: F401


def _install_stand_in() -> None:
    module = _MissingOperators(_NAME)
    module.__spec__ = ModuleSpec(_NAME, None)  # mmengine's Runner looks for it
    sys.modules[_NAME] = module
    from mmcv.ops import multi_scale_deform_attn

    # On CUDA mmcv would call the compiled operator; without it the PyTorch form serves there too.
    multi_scale_deform_attn.IS_CUDA_AVAILABLE = False


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """While the block runs, ``package`` cannot be imported, unless it has been already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
