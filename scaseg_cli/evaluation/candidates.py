"""The candidates that one pass of the network scores, of all runs; equal candidates are scored once.

Shapes: B images, Q queries, D visual width, N classes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scaseg_cli.base.classifier import ClassProjector, CosineClassifier
from scaseg_cli.evaluation.clip_on_masks.use import ClipUse, with_clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from scaseg_cli.evaluation.clip_on_masks.use import Regions
    from scaseg_cli.evaluation.inference import Rule


@dataclass(frozen=True)
class Candidate:
    """A named classifier, with the increment that is added to its unseen logits.

    Attributes:
        name: unique within its run.
        classifier: over all N classes, seen first.
        increment: added to every unseen logit.
        clip: how CLIP on masks takes part; None: not at all.
    """

    name: str
    classifier: CosineClassifier
    increment: float = 0.0
    clip: ClipUse | None = None


@dataclass(frozen=True)
class ScoredEntry:
    """What is scored: a classifier's index in the `CandidateSet`, unseen logits' increment, rule, and use of CLIP."""

    classifier: int
    increment: float
    rule: Rule
    clip: ClipUse | None = None


@dataclass
class CandidateSet:
    """All candidates that are scored together, without duplicates.

    Attributes:
        classifiers: distinct classifiers.
        entries: distinct combinations of classifier, increment and rule.
    """

    classifiers: list[CosineClassifier] = field(default_factory=list)
    entries: list[ScoredEntry] = field(default_factory=list)
    _places: dict[str | ScoredEntry, int] = field(default_factory=dict)  # indices: classifiers by digest, entries

    def add(self, candidates: Sequence[Candidate], rule: Rule) -> dict[str, int]:
        """Add a run's candidates and return the index of each one's entry, by name.

        Raises:
            ValueError: two of them have the same name.
        """
        if len({candidate.name for candidate in candidates}) < len(candidates):
            raise ValueError(f"two candidates have the same name: {[candidate.name for candidate in candidates]}")
        places = {}
        classifiers = {id(candidate.classifier): candidate.classifier for candidate in candidates}  # hash each one once
        place_of = {key: self._place_of(classifier) for key, classifier in classifiers.items()}
        for candidate in candidates:
            entry = ScoredEntry(place_of[id(candidate.classifier)], candidate.increment, rule, candidate.clip)
            if entry not in self._places:
                self._places[entry] = len(self.entries)
                self.entries.append(entry)
            places[candidate.name] = self._places[entry]
        return places

    def _place_of(self, classifier: CosineClassifier) -> int:
        digest = _digest(classifier)
        if digest not in self._places:
            self._places[digest] = len(self.classifiers)
            self.classifiers.append(classifier)
        return self._places[digest]

    @property
    def rules(self) -> list[Rule]:
        """The rule of each entry."""
        return [entry.rule for entry in self.entries]

    def probabilities(self, visual_BQD: Tensor, num_seen: int, regions: Regions | None = None) -> list[Tensor]:
        """Return the class probabilities [B, Q, N + 1] of each entry, no-object last.

        Args:
            visual_BQD: visual embeddings.
            num_seen: number of seen classes.
            regions: the batch's masks; needed by entries that use CLIP.
        """
        logits = [classifier(visual_BQD) for classifier in self.classifiers]
        own = [_probabilities(logits[entry.classifier], entry.increment, num_seen) for entry in self.entries]
        members = [(self.classifiers[entry.classifier], entry.clip) for entry in self.entries]
        return with_clip(members, own, regions, num_seen)

    def as_state(self) -> dict[str, Any]:
        """Return tensors, numbers and lists only, from which `from_state` rebuilds the set in another process."""
        classifiers = [
            {"tensors": dict(c.state_dict()), "classes": dict(c.classes()), "tau": c.tau} for c in self.classifiers
        ]
        entries = [[entry.classifier, entry.increment, list(entry.rule), _listed(entry.clip)] for entry in self.entries]
        return {"classifiers": classifiers, "entries": entries}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> CandidateSet:
        """Rebuild the set from the return value of `as_state`."""
        classifiers = [_classifier(**item) for item in state["classifiers"]]
        entries = [
            ScoredEntry(place, increment, tuple(rule), ClipUse.from_state(clip))
            for place, increment, rule, clip in state["entries"]
        ]
        return cls(classifiers, entries)


def probabilities_of(candidate: Candidate, visual_BQD: Tensor, num_seen: int, regions: Regions | None = None) -> Tensor:
    """Return the class probabilities [B, Q, N + 1] of one candidate, no-object last; see `CandidateSet`."""
    own = _probabilities(candidate.classifier(visual_BQD), candidate.increment, num_seen)
    return with_clip([(candidate.classifier, candidate.clip)], [own], regions, num_seen)[0]


def _probabilities(logits_BQN1: Tensor, increment: float, num_seen: int) -> Tensor:
    raised = logits_BQN1.clone()
    raised[..., num_seen:-1] += increment
    return raised.softmax(-1)


def _listed(use: ClipUse | None) -> list[object] | None:
    return None if use is None else [list(use.view), use.seen, use.unseen]


def _digest(classifier: CosineClassifier) -> str:
    """A hash of everything that the logits depend on."""
    found = hashlib.sha256(repr(classifier.tau).encode())
    for name, tensor in [*sorted(classifier.state_dict().items()), *classifier.classes()]:
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _classifier(tensors: dict[str, Tensor], classes: dict[str, Tensor], tau: float) -> CosineClassifier:
    embedding_dim, visual_dim = tensors["projector.2.weight"].shape
    classifier = CosineClassifier(ClassProjector(visual_dim, embedding_dim), classes["embeddings"], tau)
    for name, tensor in classes.items():
        setattr(classifier, name, tensor)
    classifier.load_state_dict(tensors)
    return classifier.requires_grad_(False).eval()
