"""An exported class head has the logits of ours, with increments, and with classes of several names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.classifier import ClassProjector, CosineClassifier
from scaseg_cli.embeddings.synonym_vectors import SynonymVectors
from scaseg_cli.evaluation.candidates import Candidate, probabilities_of
from scaseg_cli.packing.host_files import class_head


@pytest.mark.parametrize("counts", [None, (1, 3, 2, 1)])
def test_it_gives_our_probabilities_in_another_order(counts: tuple[int, ...] | None) -> None:
    mmcv_ops.install()
    from scaseg_cli.base.standalone.scaseg_parts import CosineClassHead

    torch.manual_seed(0)
    names = F.normalize(torch.randn(7, 6), dim=1)
    synonyms = None if counts is None else SynonymVectors(names, counts)
    vectors = names[:4] if synonyms is None else synonyms.means()
    candidate = Candidate("inductive", CosineClassifier(ClassProjector(8, 6), vectors, 0.07, synonyms).eval(), 1.5)
    model: Any = SimpleNamespace(candidate=candidate, vocabulary=SimpleNamespace(num_seen=2))
    order = [3, 0, 2, 1]
    weights, config = class_head(model, order)
    assert config.pop("type") == "CosineClassHead"
    head = CosineClassHead(**config)
    head.load_state_dict(weights)
    queries = torch.randn(1, 5, 8)
    wanted = probabilities_of(candidate, queries, 2)[..., [*order, 4]]
    torch.testing.assert_close(head(queries).softmax(-1), wanted, atol=1e-6, rtol=1e-5)
