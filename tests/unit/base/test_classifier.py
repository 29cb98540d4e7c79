"""The cosine classifier against its definition."""

import math

import torch
import torch.nn.functional as F

from scaseg_cli.base.classifier import ClassProjector, CosineClassifier


def _classifier(num_classes=4, tau=0.07):
    torch.manual_seed(0)
    return CosineClassifier(ClassProjector(8, 5), F.normalize(torch.randn(num_classes, 5), dim=-1), tau)


def test_logits_are_cosines_over_tau_with_no_object_last():
    classifier, v = _classifier(), torch.randn(3, 8)
    logits = classifier(v).detach()
    assert logits.shape == (3, 5)
    for i in range(3):
        f = classifier.projector(v[i]).detach()
        for k, a in enumerate([*classifier.embeddings, classifier.no_object.detach()]):
            cosine = float(f @ a) / float(f.norm()) / float(a.norm())
            assert math.isclose(float(logits[i, k]), cosine / 0.07, rel_tol=1e-4, abs_tol=1e-4)


def test_class_embeddings_are_not_saved_with_it():
    assert set(_classifier().state_dict()) == {
        "no_object", "projector.0.weight", "projector.0.bias", "projector.2.weight", "projector.2.bias"
    }  # fmt: skip


def test_over_other_classes_keeps_the_projector():
    classifier, v = _classifier(), torch.randn(2, 8)
    more = torch.cat([classifier.embeddings, F.normalize(torch.randn(3, 5), dim=-1)])
    torch.testing.assert_close(classifier.over(more)(v)[:, [0, 1, 2, 3, 7]], classifier(v))
