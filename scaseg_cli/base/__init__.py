"""Stage 1: Mask2Former with the class projector, the cosine classifier and the V2C alignment."""

from scaseg_cli.base import mmcv_ops

mmcv_ops.leave_out()  # before any module here imports mmengine
