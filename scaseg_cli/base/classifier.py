"""The class projector P and the cosine classifier, shared by all stages.

Shapes: D visual width (decoder channels), C embedding width (CLIP), K number of classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg_cli.checkpoints import load_module, load_tensors
from scaseg_cli.embeddings.store import load_embeddings
from scaseg_cli.stages import require

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

BASE_KIND = "base model"
BASE_REMEDY = "Run `scaseg train-base` again with this recipe."
_IN_NETWORK = ".cls_embed."  # follows the host's name of the head


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
    """

    embeddings: Tensor

    def __init__(self, projector: ClassProjector, embeddings_KC: Tensor, tau: float) -> None:
        super().__init__()
        self.projector = projector
        self.tau = tau
        self.no_object = nn.Parameter(F.normalize(torch.randn(embeddings_KC.shape[1]), dim=0))
        # not saved: the class embeddings have their own file and hash
        self.register_buffer("embeddings", embeddings_KC.clone(), persistent=False)

    def project(self, v: Tensor) -> Tensor:
        """Project f = P(v): [..., D] -> [..., C]."""
        return self.projector(v)

    def forward(self, v: Tensor) -> Tensor:
        """Compute logits [..., K + 1] of visual embeddings [..., D]; the last column is no-object."""
        return self.logits_of_projected(self.project(v))

    def logits_of_projected(self, f: Tensor) -> Tensor:
        """Compute logits [..., K + 1] of projected embeddings [..., C], always in float32."""
        classes = torch.cat([self.embeddings, F.normalize(self.no_object, dim=0)[None]])
        with torch.autocast(f.device.type, enabled=False):
            return F.normalize(f.float(), dim=-1) @ classes.T / self.tau

    def over(self, embeddings_KC: Tensor) -> CosineClassifier:
        """Make a classifier over other classes with copies of this one's P and a_0."""
        projector = ClassProjector(self.projector.visual_dim, self.projector.embedding_dim)
        other = CosineClassifier(projector, embeddings_KC, self.tau)
        other.load_state_dict(self.state_dict())
        return other.to(self.no_object.device)


def load_classifier(recipe: Recipe, run: RunDir) -> CosineClassifier:
    """Load the base model's P and a_0 as a classifier over all classes, seen first, on the CPU.

    It imports no mm* package.

    Raises:
        ScasegError: the base model is missing, damaged, from another recipe or stage, or its keys do not match.
    """
    require(recipe, run, "base")
    tensors, _ = load_tensors(run.base_file, BASE_KIND, BASE_REMEDY)
    own = {name.partition(_IN_NETWORK)[2]: tensor for name, tensor in tensors.items() if _IN_NETWORK in name}
    vectors = load_embeddings(recipe, run).vectors_NC
    classifier = CosineClassifier(ClassProjector(recipe.base.channels, vectors.shape[1]), vectors, recipe.base.tau)
    load_module(classifier, own, run.base_file, BASE_REMEDY)
    return classifier
