"""The stand-in for mmcv's compiled operators."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from scaseg_cli.base import mmcv_ops
from scaseg_cli.errors import ScasegError


@pytest.mark.skipif(mmcv_ops.compiled(), reason="a full mmcv is installed")
def test_an_operator_says_what_is_missing_when_it_is_called():
    mmcv_ops.install()
    from mmcv.ops import nms_rotated  # imports without a compiler

    assert callable(nms_rotated)
    with pytest.raises(ScasegError, match=r"nms_rotated.*\n.*full mmcv"):
        sys.modules["mmcv._ext"].nms_rotated()


@pytest.mark.skipif(mmcv_ops.compiled(), reason="a full mmcv is installed")
def test_the_stand_in_has_a_spec_for_mmengines_look_ups():
    mmcv_ops.install()
    assert sys.modules["mmcv._ext"].__spec__.name == "mmcv._ext"


def test_installing_twice_changes_nothing():
    mmcv_ops.install()
    first = sys.modules.get("mmcv._ext")
    mmcv_ops.install()
    assert sys.modules.get("mmcv._ext") is first


def test_what_the_network_does_not_need_is_not_loaded_with_it():
    program = """
import sys
from scaseg_cli.base import network
print("mmdet.models" in sys.modules, "sklearn" in sys.modules)
slow = ("matplotlib.pyplot", "scipy.optimize", "sympy", "torch.distributed.fsdp")
print([name for name in slow if name in sys.modules])
from sklearn.manifold import TSNE
print(TSNE.__name__)
from mmengine.model import MMFullyShardedDataParallel
try:
    MMFullyShardedDataParallel()
except Exception as error:
    print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    left_out = "mmengine.model.wrappers.fully_sharded_distributed.MMFullyShardedDataParallel"
    assert done.stdout == f"True False\n[]\nTSNE\nscaseg does not load {left_out}\n"


@pytest.mark.parametrize("module", ["base.train", "base.validation", "doctor.machine", "evaluation.score"])
def test_no_part_of_training_waits_for_transformers(module: str) -> None:
    program = f"""
import sys, scaseg_cli.{module}
print("mmengine" in sys.modules, [name for name in ("transformers", "sympy", "torch._dynamo") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout in ("True []\n", "False []\n")


def test_every_module_prepares_mmengine_before_it_imports_it() -> None:
    """What imports mmengine.hooks, .model, .optim or .runner first also imports transformers, which takes seconds."""
    early = []
    for path in sorted(Path(mmcv_ops.__file__).parent.rglob("*.py")):
        is_prepared = "standalone" in path.parts or path.name == "mmcv_ops.py"
        for node in ast.parse(path.read_bytes()).body:
            is_prepared |= ast.unparse(node).startswith("mmcv_ops.")
            if isinstance(node, ast.ImportFrom) and node.module and not is_prepared:
                is_prepared |= node.module in ("scaseg_cli.base.head", "scaseg_cli.base.aligned_network")
                is_light = node.module in ("mmengine.config", "mmengine.logging")
                if node.module.startswith(("mmcv", "mmdet", "mmengine", "mmseg")) and not is_light:
                    early.append(f"{path.name}: {node.module}")
    assert not early
