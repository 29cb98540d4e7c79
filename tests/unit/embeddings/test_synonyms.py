"""A class of several names, from its vectors to the classifier (`data.names`, `embeddings.names` and `.synonyms`)."""

import pytest
import torch
import torch.nn.functional as F

from scaseg_cli.base.classifier import ClassProjector, CosineClassifier
from scaseg_cli.embeddings import embed_classes, load_embeddings
from scaseg_cli.embeddings.encode import Naming, encode_classes
from scaseg_cli.embeddings.synonym_vectors import SynonymVectors
from scaseg_cli.evaluation.candidates import Candidate, CandidateSet
from scaseg_cli.prediction.vocabulary import NameVectors, vocabulary_of
from scaseg_cli.split.classes import ClassList, SplitClass, write_classes

TEMPLATES = ("a {}.", "the {}")
CLASSES = ["ring, circle, hoop", "red-other-merged", "blue|azure"]
COUNTS = (3, 1, 2)


def _vectors(clip, *names):
    """One name after another, by the definition."""
    rows = [torch.stack([clip.encode_text([t.format(name)])[0] for t in TEMPLATES]).mean(0) for name in names]
    return F.normalize(torch.stack(rows), dim=1)


def test_each_name_has_a_vector_and_a_class_their_mean(clip):
    found = encode_classes(clip, CLASSES, TEMPLATES, 4)
    assert found.counts == COUNTS
    expected = _vectors(clip, "ring", "circle", "hoop", "red", "blue", "azure")
    torch.testing.assert_close(found.vectors_MC, expected, atol=1e-6, rtol=0)
    means = found.means()
    torch.testing.assert_close(means[0], F.normalize(expected[:3].mean(0), dim=0), atol=1e-6, rtol=0)
    assert torch.equal(means[1], found.vectors_MC[3])  # one name: its own vector, to the last bit


def test_first_and_raw_names(clip):
    first = encode_classes(clip, CLASSES, TEMPLATES, 4, Naming("first"))
    assert first.counts == (1, 1, 1)
    torch.testing.assert_close(first.means(), _vectors(clip, "ring", "red", "blue"), atol=1e-6, rtol=0)
    raw = encode_classes(clip, CLASSES, TEMPLATES, 4, Naming(wording="raw"))
    assert torch.equal(
        raw.vectors_MC[[0, 1, 2, 4, 5]], encode_classes(clip, CLASSES, TEMPLATES, 6).vectors_MC[[0, 1, 2, 4, 5]]
    )
    torch.testing.assert_close(raw.vectors_MC[3:4], _vectors(clip, "red-other-merged"), atol=1e-6, rtol=0)


def test_vectors_and_counts_must_agree():
    with pytest.raises(ValueError, match="5 vectors for classes of"):
        SynonymVectors(torch.eye(5), (3, 1))


def _classifier(synonyms: SynonymVectors | None, means=None) -> CosineClassifier:
    torch.manual_seed(0)
    means = synonyms.means() if means is None else means
    return CosineClassifier(ClassProjector(8, means.shape[1]), means, 0.07, synonyms)


@pytest.fixture(scope="module")
def synonyms():
    torch.manual_seed(1)
    return SynonymVectors(F.normalize(torch.randn(6, 5), dim=1), COUNTS)


def test_the_logit_of_a_class_is_that_of_its_best_name(synonyms):
    classifier, v = _classifier(synonyms), torch.randn(2, 7, 8)
    each = CosineClassifier(classifier.projector, synonyms.vectors_MC, 0.07)
    each.no_object = classifier.no_object
    names = each(v)
    expected = [names[..., :3].amax(-1), names[..., 3], names[..., 4:6].amax(-1), names[..., 6]]
    torch.testing.assert_close(classifier(v), torch.stack(expected, -1))
    classifier(v)[..., 0].sum().backward()
    assert float(classifier.projector[0].weight.grad.abs().sum()) > 0


def test_copies_and_other_processes_have_the_same_names(synonyms):
    classifier, v = _classifier(synonyms).requires_grad_(False), torch.randn(2, 7, 8)
    plain = _classifier(None, synonyms.means())
    plain.load_state_dict(classifier.state_dict())
    candidates = CandidateSet()
    candidates.add([Candidate("max", classifier), Candidate("mean", plain)], ())
    assert len(candidates.classifiers) == 2
    again = CandidateSet.from_state(candidates.as_state())
    for one, other in zip(candidates.probabilities(v, 2), again.probabilities(v, 2), strict=True):
        assert torch.equal(one, other)
    over = classifier.over(synonyms.means()[[2, 0]], synonyms.of([2, 0]))
    torch.testing.assert_close(over(v), classifier(v)[..., [2, 0, 3]])
    assert torch.equal(classifier.over(synonyms.means())(v), plain(v))


@pytest.fixture
def named(run):
    """A run whose split has classes of several names."""
    classes = ClassList(tuple(SplitClass(name, k + 1, True, seen=k < 2) for k, name in enumerate(CLASSES)))
    write_classes(run, "zps", classes)
    return run


@pytest.mark.parametrize("how", ["mean", "max"])
def test_the_stage_keeps_what_the_classifiers_need(recipe, named, clip, how, monkeypatch):
    monkeypatch.setattr("scaseg_cli.embeddings.embed.require", lambda *_: None)
    section = recipe.embeddings.model_copy(update={"synonyms": how})
    recipe = recipe.model_copy(update={"embeddings": section})
    report = embed_classes(recipe, named)
    found, expected = load_embeddings(recipe, named), encode_classes(clip, CLASSES, ("a photo of a {}.",), 256)
    assert torch.equal(found.vectors_NC, expected.means())
    assert any("Classes with several names: 2, with 6 names in all" in note for note in report.tables[0].notes)
    seen_SC, seen = found.first(2)
    assert len(seen_SC) == 2
    # "gong|bell" is new; "circle" is one of the run's names
    vectors_KC, names = NameVectors(recipe, named).of(vocabulary_of(named, (["gong|bell", "circle"], [])))
    assert torch.equal(vectors_KC[0], found.vectors_NC[0])
    new = encode_classes(clip, ["gong, bell"], ("a photo of a {}.",), 256)
    assert torch.equal(vectors_KC[1:], new.means())
    if how == "mean":
        assert found.synonyms is seen is names is None
    else:
        assert (found.synonyms.counts, seen.counts, names.counts) == (COUNTS, COUNTS[:2], (3, 2))
        assert torch.equal(names.vectors_MC, torch.cat([expected.vectors_MC[:3], new.vectors_MC]))
