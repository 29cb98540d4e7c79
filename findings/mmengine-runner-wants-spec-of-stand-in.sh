#!/usr/bin/env bash
# Package: mmengine 0.10.7 with mmdet 3.3.0, mmcv-lite 2.1.0, torch 2.11.0 (CPU is enough), Python 3.11.
#
# Behaviour: mmdet 3.3.0 accepts mmcv-lite, but its models import the compiled mmcv._ext, which mmcv-lite has not. The
# usual answer, an empty module put into sys.modules under that name, lets the models import; yet mmengine's Runner then
# refuses to be made, for ANY model, with an ImportError on a missing __spec__. With a __spec__ on the module it works.
#
# Guess that missed: what can be imported is good enough, since the Runner's model here uses nothing of mmcv.
#
# Seen:
#   no module:                 import mmdet.models -> ModuleNotFoundError: No module named 'mmcv._ext'
#   a module without __spec__: import mmdet.models works, Runner -> ImportError (mmcv._ext.__spec__ is None)
#   a module with __spec__:    import mmdet.models works, Runner works
#
# Why it matters: Mask2Former needs no compiled operator on a CPU, so mmcv-lite is enough to train and test it where no
# mmcv wheel fits the torch version. The error comes late and from a check on batch normalisation.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile \
  torch==2.11.0 torchvision==0.26.0 mmengine==0.10.7 mmcv-lite==2.1.0 mmdet==3.3.0
cd "$folder"
cat > try.py <<'EOF'
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

way = sys.argv[1]
if way != "none":
    def missing(name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: None

    module = ModuleType("mmcv._ext")
    module.__getattr__ = missing
    if way == "spec":
        module.__spec__ = ModuleSpec("mmcv._ext", None)
    sys.modules["mmcv._ext"] = module

try:
    import mmdet.models  # noqa: F401
except ModuleNotFoundError as error:
    print(f"RESULT import mmdet.models -> {type(error).__name__}: {error}")
    raise SystemExit from None

from mmengine.model import BaseModel
from mmengine.runner import Runner


class Model(BaseModel):
    def forward(self, inputs, data_samples=None, mode="tensor"):
        return inputs


try:
    Runner(model=Model(), work_dir="work")
    print("RESULT import mmdet.models works, Runner works")
except ImportError as error:
    reason = "mmcv._ext.__spec__ is None"
    assert reason in str(error), error
    print(f"RESULT import mmdet.models works, Runner -> ImportError ({reason})")
EOF
said() { venv/bin/python -W ignore try.py "$1" 2>/dev/null | sed -n 's/^RESULT //p'; }
none="$(said none)" bare="$(said bare)" spec="$(said spec)"
echo "no module:                 $none"
echo "a module without __spec__: $bare"
echo "a module with __spec__:    $spec"
[[ "$none" == "import mmdet.models -> ModuleNotFoundError: No module named 'mmcv._ext'" ]]
[[ "$bare" == "import mmdet.models works, Runner -> ImportError (mmcv._ext.__spec__ is None)" ]]
[[ "$spec" == "import mmdet.models works, Runner works" ]]
