"""A segmentor with its classifier as an ONNX graph, checked against the network itself.

Shapes: Q queries, K classes, H W the input, h w pixels of the mask logits.
"""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from scaseg_cli.base.aligned_network import normalised
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.candidates import probabilities_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scaseg_cli.prediction.model import Model

INPUT, OUTPUTS = "image", ("class_probabilities", "mask_logits")
OPSET = 17  # 16 is the first with GridSample
DIVISOR = 32  # of the input's sides
_INSTALL = "pip install 'scaseg[export]'"


class SegmentorGraph(nn.Module):
    """The network and a classifier as one function of pixels."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.segmentor.network
        self.classifier = model.candidate.classifier
        self._candidate, self._num_seen = model.candidate, model.vocabulary.num_seen

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Turn an image, uint8 RGB [1, 3, H, W], into class probabilities [1, Q, K + 1] and mask logits [1, Q, h, w].

        No-object is the last class. The increment of unseen classes is applied.
        """
        visual, mask_logits = self.network.encode(normalised(self.network, image))
        return probabilities_of(self._candidate, visual, self._num_seen), mask_logits


def check_size(size: tuple[int, int]) -> None:
    """Check the size of an exported input.

    Raises:
        ScasegError: a side is not a positive multiple of 32.
    """
    if any(side < DIVISOR or side % DIVISOR for side in size):
        raise ScasegError(
            f"--size {size[0]}x{size[1]} does not fit: both sides are multiples of {DIVISOR}",
            f"Use --size {'x'.join(str(max(DIVISOR, -(-side // DIVISOR) * DIVISOR)) for side in size)}",
        )


def check_packages() -> None:
    """Check that onnx and onnxruntime are installed.

    Raises:
        ScasegError: they are not.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ScasegError(f"an ONNX file needs the package {error.name}, which is not installed", _INSTALL) from error


def write_onnx(path: Path, model: Model, size: tuple[int, int], facts: Mapping[str, Any]) -> dict[str, float]:
    """Write the graph, and compare what it computes with the network, both on the CPU.

    Args:
        path: the file.
        model: the segmentor with the classifier over its vocabulary, on the CPU.
        size: H, W of the input.
        facts: what the file says about itself, as values of JSON.

    Returns:
        The largest difference of class probabilities and of mask probabilities, on an image of noise.
    """
    import onnx

    graph = SegmentorGraph(model).eval()
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, *size), dtype=np.uint8))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # sizes become constants, as they should; the exporter is not torch's newest
        torch.onnx.export(
            graph, (image,), str(path), dynamo=False, opset_version=OPSET, input_names=[INPUT],
            output_names=list(OUTPUTS),
        )  # fmt: skip
        wanted = graph(image)
    content = onnx.load(str(path))
    for key, value in facts.items():
        content.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    onnx.save(content, str(path))
    found = run_onnx(path, image.numpy())
    probabilities, masks = (torch.from_numpy(one) for one in found)
    return {
        "class_probabilities": float((probabilities - wanted[0]).abs().max()),
        "mask_probabilities": float((masks.sigmoid() - wanted[1].sigmoid()).abs().max()),
    }


def run_onnx(path: Path, image: np.ndarray) -> list[np.ndarray]:
    """Run an exported file with onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(list(OUTPUTS), {INPUT: image})
    return found
