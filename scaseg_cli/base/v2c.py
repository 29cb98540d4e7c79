"""V2C, the vision-to-CLIP alignment: pulls the token of an image's queries towards CLIP's token of that image.

docs/method.md, Stage 1. Shapes: B images, Q queries, C embedding width, G segments, T tokens in the bank, H W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from scaseg_cli.clip.model import ClipModel
    from scaseg_cli.recipe.base_section import V2C


class SegmentMap(NamedTuple):
    """The segments of a view without padding.

    Attributes:
        numbers: 1 + the index of each pixel's segment, 0 without one [H, W].
        total: how many segments there are.
    """

    numbers: Tensor
    total: int


def image_tokens(f_BQC: Tensor, matched_BQ: Tensor, enhancement: str, gamma: float) -> Tensor:
    """Compute the image tokens g, each the mean of an image's projected queries with matched queries enhanced.

    Args:
        f_BQC: projected query embeddings.
        matched_BQ: bool, whether a query is matched to a segment.
        enhancement: ``multiply``: matched queries have weight gamma in the mean; ``plus`` and ``minus``: their mean is
            added to the sum, or subtracted from it, gamma - 1 times, and no query's weight falls below 0;
            ``literal_plus`` and ``literal_minus``: gamma is added to every entry of a matched query, or subtracted.
        gamma: enhancement factor; 1 gives the plain mean for all but the literal forms.

    Returns:
        g [B, C].
    """
    matched_BQ1 = matched_BQ[:, :, None].to(f_BQC.dtype)
    if enhancement.startswith("literal"):
        return f_BQC.mean(1) + (gamma if enhancement == "literal_plus" else -gamma) * matched_BQ1.mean(1)
    change = gamma - 1.0
    if enhancement == "multiply":
        weights_BQ1 = 1.0 + change * matched_BQ1
    else:
        number_B11 = matched_BQ1.sum(1, keepdim=True).clamp(min=1.0)
        weights_BQ1 = (1.0 + (change if enhancement == "plus" else -change) * matched_BQ1 / number_B11).clamp(min=0.0)
        # `minus` would leave nothing of an image whose queries are all matched
        weights_BQ1 = weights_BQ1 + (weights_BQ1.sum(1, keepdim=True) == 0).to(weights_BQ1)
    return (weights_BQ1 * f_BQC).sum(1) / weights_BQ1.sum(1)


def alignment_loss(g_BC: Tensor, c_BC: Tensor, bank_TC: Tensor, tau: float, in_batch: bool = False) -> Tensor:
    """Compute -log of the softmax probability of an image's own CLIP token against others, a mean over images.

    Without any other token it is 1 - cos(g, c).

    Args:
        g_BC: the image tokens g.
        c_BC: their CLIP tokens c, unit.
        bank_TC: CLIP tokens of other images, unit.
        tau: temperature.
        in_batch: whether the CLIP tokens of the batch's other images are negatives too.
    """
    g_BC = F.normalize(g_BC, dim=-1)
    positive = (g_BC * c_BC).sum(-1, keepdim=True)
    others = [g_BC @ bank_TC.T]
    if in_batch:
        place = torch.arange(len(c_BC), device=c_BC.device)
        others.append((g_BC @ c_BC.T).gather(1, (place[:, None] + place[1:]) % len(c_BC)))
    if not any(scores.shape[1] for scores in others):
        return (1.0 - positive).mean()
    logits = torch.cat([positive, *others], dim=1) / tau
    return (torch.logsumexp(logits, dim=1) - logits[:, 0]).mean()


class TokenBank(nn.Module):
    """A queue of the last ``size`` CLIP tokens, saved with the checkpoint; each process has its own."""

    tokens: Tensor
    filled: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("tokens", torch.zeros(size, dim))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))
        self._count: int | None = 0  # `filled`, without waiting for the device; None after it was loaded
        self.register_load_state_dict_post_hook(_forget_count)  # type: ignore[no-untyped-call]

    @property
    def count(self) -> int:
        """The number of tokens that are stored."""
        if self._count is None:
            self._count = int(self.filled)
        return self._count

    def negatives(self) -> Tensor:
        """The stored tokens, newest last, [T <= size, C]."""
        return self.tokens[len(self.tokens) - self.count :]

    @torch.no_grad()
    def push(self, tokens_BC: Tensor) -> None:
        """Add tokens and drop the oldest."""
        if len(self.tokens) == 0:
            return
        kept = torch.cat([self.tokens, tokens_BC.to(self.tokens)])[-len(self.tokens) :]
        self.tokens.copy_(kept)
        self._count = min(len(self.tokens), self.count + len(tokens_BC))
        self.filled.fill_(self._count)


def _forget_count(bank: TokenBank, _keys: object) -> None:
    bank._count = None


def random_subset(num_segments: int) -> Tensor:
    """Draw M, a random non-empty subset of an image's segments, bool [G]; each is in it with probability 1/2."""
    keep = torch.rand(num_segments) < 0.5
    if num_segments and not keep.any():
        keep[torch.randint(num_segments, ())] = True
    return keep


def masked_image(image_3HW: Tensor, segments: SegmentMap, keep_G: Tensor, colour: tuple[float, float, float]) -> Tensor:
    """Set every pixel outside the kept segments to CLIP's mean colour. RGB, 0..1; ``keep_G`` is on the CPU."""
    is_kept = F.pad(keep_G, (1, 0)).to(image_3HW.device, non_blocking=True)  # 0 is no segment
    background = image_3HW.new_tensor(colour)[:, None, None]
    return torch.where(is_kept[segments.numbers.int()][None], image_3HW, background)


class V2CAlignment(nn.Module):
    """L_V2C over complete and masked images, with its token bank. CLIP is frozen and not in the module's state."""

    def __init__(self, config: V2C, clip: ClipModel) -> None:
        super().__init__()
        self.config = config
        self.bank = TokenBank(config.bank_size, clip.dim)
        self._clip = [clip]  # in a list, so that its weights are neither trained nor saved

    def forward(
        self, f_BQC: Tensor, matches: list[tuple[Tensor, Tensor]], images: list[Tensor], maps: list[SegmentMap]
    ) -> Tensor:
        """Compute the weighted loss of one batch, always in float32.

        Args:
            f_BQC: projected queries of the last decoder layer.
            matches: per image, indices of matched queries and of their segments, on the CPU.
            images: per image, RGB 0..1 [3, H, W], without padding.
            maps: per image, its segments, without padding.
        """
        with torch.autocast(f_BQC.device.type, enabled=False):
            return self._loss(f_BQC.float(), matches, images, maps)

    def _loss(
        self, f_BQC: Tensor, matches: list[tuple[Tensor, Tensor]], images: list[Tensor], maps: list[SegmentMap]
    ) -> Tensor:
        config, clip = self.config, self._clip[0]
        kept = [random_subset(segments.total) for segments in maps]
        views = []
        if config.views != "masked":
            views.append((self._tokens(f_BQC, matches, None), images))
        if config.views != "complete":
            triples = zip(images, maps, kept, strict=True)
            cut = [masked_image(image, own, k, clip.mean_colour) if own.total else image for image, own, k in triples]
            views.append((self._tokens(f_BQC, matches, kept), cut))
        seen = [clip.resized(image[None]) for _, batch in views for image in batch]  # images may differ in size
        targets = clip.encode_image(torch.cat(seen)).chunk(len(views))
        bank = self.bank.negatives().clone()
        losses = [
            alignment_loss(g, c, bank, config.tau, config.batch_negatives)
            for (g, _), c in zip(views, targets, strict=True)
        ]
        self.bank.push(targets[0])
        return config.weight * torch.stack(losses).mean()

    def _tokens(self, f_BQC: Tensor, matches: list[tuple[Tensor, Tensor]], kept: list[Tensor] | None) -> Tensor:
        matched_BQ = torch.zeros(f_BQC.shape[:2], dtype=torch.bool)
        for i, (query, segment) in enumerate(matches):
            matched_BQ[i, query if kept is None else query[kept[i][segment]]] = True
        matched_BQ = matched_BQ.to(f_BQC.device, non_blocking=True)
        return image_tokens(f_BQC, matched_BQ, self.config.enhancement, self.config.gamma)
