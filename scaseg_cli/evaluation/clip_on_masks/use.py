"""CLIP on masks: the class probabilities of a query, combined with what CLIP's image tower sees under its mask.

Shapes: B images, Q queries, N classes, C embedding width, H W pixels of the network's input.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from scaseg_cli.clip.load import load_clip
from scaseg_cli.clip.regions import MaskView, region_embeddings
from scaseg_cli.embeddings.store import check_encoder, load_embeddings
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.base.segmentor import Encoded
    from scaseg_cli.clip.model import ClipModel
    from scaseg_cli.clip.regions import Region
    from scaseg_cli.recipe.schema import Evaluation, Recipe
    from scaseg_cli.run_dir import RunDir


class ClipUse(NamedTuple):
    """How CLIP on masks takes part.

    Attributes:
        view: how CLIP sees a mask.
        seen, unseen: exponents of CLIP's probability in the geometric mean for seen and unseen classes; with both 1
            CLIP classifies alone.
    """

    view: MaskView
    seen: float
    unseen: float

    @classmethod
    def from_state(cls, state: Sequence[Any] | None) -> ClipUse | None:
        """Rebuild it from the lists that a file has in place of tuples."""
        return None if state is None else cls(MaskView(*state[0]), *state[1:])


ALONE = 1.0, 1.0


def view_of(config: Evaluation) -> MaskView | None:
    """How the recipe lets CLIP see a mask; None if it does not."""
    if config.clip_on_masks == "none":
        return None
    return MaskView(config.clip_on_masks, config.clip_fill, config.clip_box)


def without_clip(recipe: Recipe) -> Recipe:
    """The recipe with CLIP on masks off; no stage before the evaluation depends on it."""
    return recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"clip_on_masks": "none"})})


def combined(probabilities_KN1: Tensor, clip_logits_KN: Tensor, use: ClipUse, num_seen: int) -> Tensor:
    """Combine the probabilities of queries [K, N + 1] with CLIP's; no-object, the last one, keeps its own.

    Among classes, p is proportional to p_classifier ** (1 - w) * p_clip ** w, with w of seen or of unseen classes, as
    in FC-CLIP (Yu et al., NeurIPS 2023, "Geometric Ensemble"; its released weights are 0.4 and 0.8).

    Args:
        probabilities_KN1: the classifier's.
        clip_logits_KN: CLIP's, at its own temperature.
        use: the exponents.
        num_seen: number of seen classes, which come first.
    """
    weights_N = torch.full_like(clip_logits_KN[0], use.unseen)
    weights_N[:num_seen] = use.seen
    nothing_K1 = probabilities_KN1[:, -1:]
    own_KN = probabilities_KN1[:, :-1] / (1.0 - nothing_K1)
    own_KN = own_KN.clamp_min(torch.finfo(own_KN.dtype).tiny).log()
    mixed_KN = (1.0 - weights_N) * own_KN + weights_N * clip_logits_KN.log_softmax(1)
    return torch.cat([mixed_KN.softmax(1) * (1.0 - nothing_K1), nothing_K1], dim=1)


@dataclass
class ClipOnMasks:
    """A run's frozen CLIP, loaded when the first mask is looked at."""

    recipe: Recipe
    run: RunDir
    device: torch.device

    @cached_property
    def clip(self) -> ClipModel:
        """The CLIP of the recipe on the device.

        Raises:
            ScasegError: its weights cannot be read, or did not make the run's class embeddings.
        """
        if self.recipe.embeddings.vectors is not None or self.recipe.embeddings.encoder != "clip":
            raise ScasegError(
                "CLIP on masks compares with CLIP's class embeddings, and this recipe has others",
                "Leave embeddings.vectors and embeddings.encoder out, or set evaluation.clip_on_masks to none.",
            )
        clip = load_clip(self.recipe.clip).to(self.device)
        check_encoder(load_embeddings(self.recipe, self.run), clip)
        return clip


@dataclass
class Regions:
    """The masks of a batch, and what CLIP has seen of them so far.

    Attributes:
        on_masks: the CLIP.
        images: the images of the batch, uint8 RGB, of any size.
        encoded: the images after the segmentor. CLIP sees image and masks at the size of the segmentor's input.
    """

    on_masks: ClipOnMasks
    images: Sequence[NDArray[np.uint8]]
    encoded: Sequence[Encoded]
    _seen: dict[MaskView, tuple[Tensor, Tensor]] = field(default_factory=dict)  # which [B, Q], and their embeddings

    def embeddings(self, view: MaskView, wanted_BQ: Tensor) -> Tensor:
        """CLIP's unit embeddings of the wanted queries [B, Q, C]; 0 of others, and where a mask has no pixel."""
        clip, shape = self.on_masks.clip, tuple(wanted_BQ.shape)
        if view not in self._seen:
            self._seen[view] = torch.zeros(shape, dtype=torch.bool), torch.zeros(*shape, clip.dim)
        done_BQ, f_BQC = self._seen[view]
        missing_BQ = wanted_BQ & ~done_BQ
        if bool(missing_BQ.any()):
            queries = [own_Q.nonzero()[:, 0] for own_Q in missing_BQ]
            regions = [self._region(place, own) for place, own in enumerate(queries) if len(own)]
            f_BQC[missing_BQ] = torch.cat(region_embeddings(clip, view, regions))
            done_BQ |= missing_BQ
        return f_BQC * wanted_BQ[..., None]

    def _region(self, place: int, queries: Tensor) -> Region:
        image, encoded = self.images[place], self.encoded[place]
        height, width = encoded.inside
        if image.shape[:2] != (height, width):
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        return image, (encoded.logits(queries) > 0).cpu().numpy()


def may_be_objects(probabilities_BQN1: Tensor) -> Tensor:
    """Which queries CLIP looks at, bool [B, Q]: those with a class that is more probable than no-object."""
    return probabilities_BQN1[..., :-1].amax(-1) > probabilities_BQN1[..., -1]


def with_clip(
    members: Sequence[tuple[CosineClassifier, ClipUse | None]],
    probabilities: Sequence[Tensor],
    regions: Regions | None,
    num_seen: int,
) -> list[Tensor]:
    """Combine the probabilities [B, Q, N + 1] of each member that uses CLIP with CLIP's; others stay as they are.

    A query keeps its own probabilities if no-object is its most probable entry, or if its mask has no pixel.

    Args:
        members: classifiers, which give the class embeddings, and their use of CLIP.
        probabilities: of each member.
        regions: the batch's masks; None only if no member uses CLIP.
        num_seen: number of seen classes.
    """
    wanted: dict[MaskView, Tensor] = {}
    for (_, use), p_BQN1 in zip(members, probabilities, strict=True):
        if use is not None:
            clear_BQ = may_be_objects(p_BQN1).cpu()
            wanted[use.view] = wanted[use.view] | clear_BQ if use.view in wanted else clear_BQ
    if wanted and regions is None:
        raise ValueError("CLIP on masks needs the batch's images and masks")
    found = []
    for (classifier, use), p_BQN1 in zip(members, probabilities, strict=True):
        if use is None or regions is None:
            found.append(p_BQN1)
            continue
        f_BQC = regions.embeddings(use.view, wanted[use.view]).to(p_BQN1.device)
        chosen_BQ = may_be_objects(p_BQN1) & f_BQC.any(-1)
        cosines_KN = classifier.logits_of_projected(f_BQC[chosen_BQ])[:, :-1] * classifier.tau
        mixed_BQN1 = p_BQN1.clone()
        mixed_BQN1[chosen_BQ] = combined(p_BQN1[chosen_BQ], cosines_KN * regions.on_masks.clip.scale, use, num_seen)
        found.append(mixed_BQN1)
    return found
