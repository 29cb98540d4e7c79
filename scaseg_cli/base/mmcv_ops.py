"""Stand-ins for parts of the mm* packages: those that need a compiler, and those that are not used and slow to import.

mmcv-lite has the Python side of ``mmcv.ops`` but not the compiled ``mmcv._ext`` that it loads at import. Mask2Former
needs none of those operators: its deformable attention has a form in plain PyTorch, in place of which
`deformable_attention` runs. With a full mmcv, its compiled operator runs on CUDA.

Importing mmengine and mmdet also imports FSDP, ZeRO and plots of tracking errors. These load SymPy and matplotlib and
take a third of a command's start-up time. `leave_out` replaces them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from scaseg_cli.errors import ScasegError
from scaseg_cli.packages import hidden, quick_imports

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "mmcv._ext"
_UNUSED = (
    "mmdet.utils.mot_error_visualize",  # imports matplotlib.pyplot
    "mmdet.models.task_modules.tracking.kalman_filter",  # imports scipy.linalg
    "mmengine._strategy.fsdp",  # imports torch.distributed.fsdp, and with it SymPy, as do the two below
    "mmengine.model.wrappers.fully_sharded_distributed",
    "mmengine.optim.optimizer.zero_optimizer",
)


class _StandIn(ModuleType):
    """Provides every function and class by name; calling one raises an error."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_args: Any, **_kwargs: Any) -> NoReturn:
            raise self._error(name)

        return missing

    def _error(self, name: str) -> ScasegError:
        return ScasegError(f"scaseg does not load {self.__name__}.{name}", "Import mmdet before scaseg_cli.base.")


class _MissingOperators(_StandIn):
    def _error(self, name: str) -> ScasegError:
        return ScasegError(
            f"the compiled mmcv operator {name!r} is needed, but mmcv-lite has none",
            "Replace mmcv-lite by a full mmcv below 2.2 that is built for this torch.",
        )


def compiled() -> bool:
    """Whether mmcv's compiled operators are installed."""
    found = sys.modules.get(_NAME)
    if found is not None:
        return not isinstance(found, _MissingOperators)
    return importlib.util.find_spec(_NAME) is not None


def leave_out() -> None:
    """Replace modules that are not used here and slow to import, where they are not imported already."""
    for name in _UNUSED:
        sys.modules.setdefault(name, _StandIn(name))


# mm* import both if they are installed: for a tracker, for language models, for an optimizer. That takes seconds.
_SLOW = ("sklearn", "transformers")


def prepare_mmengine() -> None:
    """Import mmengine without what is slow to import; `install` does too."""
    with quick_imports(), hidden(*_SLOW):
        import mmengine.runner  # noqa: F401


def install() -> None:
    """Make ``import mmdet.models`` work, and import it; further calls do nothing."""
    with quick_imports(), hidden(*_SLOW), _later("scipy.optimize", "linear_sum_assignment"):
        if _NAME not in sys.modules and not compiled():
            _install_stand_in()
        import mmdet.models  # noqa: F401


def _install_stand_in() -> None:
    module = _MissingOperators(_NAME)
    module.__spec__ = ModuleSpec(_NAME, None)  # mmengine's Runner requires it
    sys.modules[_NAME] = module
    from mmcv.ops import multi_scale_deform_attn

    # On CUDA mmcv would call the compiled operator; this makes it use the PyTorch form there too.
    multi_scale_deform_attn.IS_CUDA_AVAILABLE = False


@contextmanager
def _later(module: str, function: str) -> Iterator[None]:
    """Let what is imported in the block have ``function`` without importing ``module``, until it is called."""
    if module in sys.modules:
        yield
        return

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(module), function)(*args, **kwargs)

    stand_in = ModuleType(module)
    setattr(stand_in, function, call)
    sys.modules[module] = stand_in
    try:
        yield
    finally:
        del sys.modules[module]
