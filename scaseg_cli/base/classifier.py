"""The class projector P and the cosine classifier, shared by all stages.

Shapes: D visual width (decoder channels), C embedding width (CLIP), K number of classes.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg_cli.checkpoints import load_module, load_tensors
from scaseg_cli.embeddings.store import load_embeddings
from scaseg_cli.stages import require

if TYPE_CHECKING:
    from scaseg_cli.embeddings.synonym_vectors import SynonymVectors
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

BASE_KIND = "base model"
BASE_REMEDY = "Run `scaseg train-base` again with this recipe."
_IN_NETWORK = ".cls_embed."  # follows the host's name of the head
_CLASSES = ("embeddings", "names", "names_of_class")


class ClassProjector(nn.Sequential):
    """The class projector P: R^D -> R^C, an MLP D-D-C with ReLU (docs/method.md, Notation; a reading)."""

    visual_dim: int
    embedding_dim: int

    def __init__(self, visual_dim: int, embedding_dim: int) -> None:
        super().__init__(nn.Linear(visual_dim, visual_dim), nn.ReLU(inplace=True), nn.Linear(visual_dim, embedding_dim))
        self.visual_dim, self.embedding_dim = visual_dim, embedding_dim


class CosineClassifier(nn.Module):
    """Computes class logits cos(P(v), a_k) / tau; the last class is a learned no-object embedding a_0.

    Args:
        projector: the class projector P.
        embeddings_KC: unit semantic embeddings of the classes.
        tau: temperature.
        synonyms: the vectors of all names; a class's logit is then that of its best name (``embeddings.synonyms: max``,
            as FC-CLIP does), and ``embeddings`` serves the generator alone. None: the logit of a_k.
    """

    embeddings: Tensor
    names: Tensor | None  # [M, C]
    names_of_class: Tensor | None  # rows of `names`, [K, n]

    def __init__(
        self, projector: ClassProjector, embeddings_KC: Tensor, tau: float, synonyms: SynonymVectors | None = None
    ) -> None:
        super().__init__()
        self.projector = projector
        self.tau = tau
        self.no_object = nn.Parameter(F.normalize(torch.randn(embeddings_KC.shape[1]), dim=0))
        # not saved: the class embeddings have their own file and hash
        for name in _CLASSES:
            self.register_buffer(name, None, persistent=False)
        self._set_classes(embeddings_KC, synonyms)

    def _set_classes(self, embeddings_KC: Tensor, synonyms: SynonymVectors | None) -> None:
        device = self.no_object.device
        self.embeddings = embeddings_KC.clone().to(device)
        self.names = synonyms.vectors_MC.clone().to(device) if synonyms is not None else None
        self.names_of_class = synonyms.table().to(device) if synonyms is not None else None

    def classes(self) -> list[tuple[str, Tensor]]:
        """Return the tensors that define the classes, which `state_dict` lacks, by attribute."""
        return [(name, tensor) for name in _CLASSES if (tensor := getattr(self, name)) is not None]

    def project(self, v: Tensor) -> Tensor:
        """Project f = P(v): [..., D] -> [..., C]."""
        return self.projector(v)

    def forward(self, v: Tensor) -> Tensor:
        """Compute logits [..., K + 1] of visual embeddings [..., D]; the last column is no-object."""
        return self.logits_of_projected(self.project(v))

    def logits_of_projected(self, f: Tensor) -> Tensor:
        """Compute logits [..., K + 1] of projected embeddings [..., C], always in float32."""
        rows = self.embeddings if self.names is None else self.names
        rows = torch.cat([rows, F.normalize(self.no_object, dim=0)[None]])
        with torch.autocast(f.device.type, enabled=False):
            logits = F.normalize(f.float(), dim=-1) @ rows.T / self.tau
        if self.names_of_class is None:
            return logits
        best = logits[..., self.names_of_class].amax(-1)  # a name repeated in the table changes no maximum
        return torch.cat([best, logits[..., -1:]], dim=-1)

    def over(self, embeddings_KC: Tensor, synonyms: SynonymVectors | None = None) -> CosineClassifier:
        """Make a copy of this classifier over other classes."""
        other = copy.deepcopy(self)  # a new one would draw random weights
        other._set_classes(embeddings_KC, synonyms)
        return other


def load_classifier(recipe: Recipe, run: RunDir) -> CosineClassifier:
    """Load the base model's P and a_0 as a classifier over all classes, seen first, on the CPU.

    It imports no mm* package.

    Raises:
        ScasegError: the base model is missing, damaged, from another recipe or stage, or its keys do not match.
    """
    require(recipe, run, "base")
    tensors, _ = load_tensors(run.base_file, BASE_KIND, BASE_REMEDY)
    own = {name.partition(_IN_NETWORK)[2]: tensor for name, tensor in tensors.items() if _IN_NETWORK in name}
    found = load_embeddings(recipe, run)
    vectors = found.vectors_NC
    projector = ClassProjector(recipe.base.channels, vectors.shape[1])
    classifier = CosineClassifier(projector, vectors, recipe.base.tau, found.synonyms)
    load_module(classifier, own, run.base_file, BASE_REMEDY)
    return classifier
