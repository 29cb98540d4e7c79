"""V2C, the vision-to-CLIP alignment: pulls the token of an image's queries towards CLIP's token of that image.

docs/method.md, Stage 1. Shapes: B images, Q queries, C embedding width, G segments, T tokens in the bank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from scaseg_cli.clip.model import ClipModel
    from scaseg_cli.recipe.schema import V2C


def image_token(f_QC: Tensor, matched_Q: Tensor, enhancement: str, gamma: float) -> Tensor:
    """Compute the image token g, the mean of its projected queries with matched queries enhanced.

    Args:
        f_QC: projected query embeddings.
        matched_Q: bool, whether a query is matched to a segment.
        enhancement: ``multiply``: matched queries have weight gamma in the mean; ``plus``: (gamma - 1) times their mean
            is added; ``minus``: (gamma - 1) times the mean of the others is subtracted.
        gamma: enhancement factor; 1 gives the plain mean in all three cases.

    Returns:
        g [C].
    """
    if enhancement == "multiply":
        weights = torch.where(matched_Q, gamma, 1.0).to(f_QC.dtype)
        return (weights[:, None] * f_QC).sum(0) / weights.sum()
    mean = f_QC.mean(0)
    chosen = matched_Q if enhancement == "plus" else ~matched_Q
    if not chosen.any():
        return mean
    change = (gamma - 1.0) * f_QC[chosen].mean(0)
    return mean + change if enhancement == "plus" else mean - change


def alignment_loss(g_BC: Tensor, c_BC: Tensor, bank_TC: Tensor, tau: float) -> Tensor:
    """Compute -log of the softmax probability of an image's own CLIP token against the bank, a mean over images.

    With an empty bank it is 1 - cos(g, c).

    Args:
        g_BC: the image tokens g.
        c_BC: their CLIP tokens c, unit.
        bank_TC: CLIP tokens of other images, unit.
        tau: temperature.
    """
    g_BC = F.normalize(g_BC, dim=-1)
    positive = (g_BC * c_BC).sum(-1, keepdim=True)
    if len(bank_TC) == 0:
        return (1.0 - positive).mean()
    logits = torch.cat([positive, g_BC @ bank_TC.T], dim=1) / tau
    return (torch.logsumexp(logits, dim=1) - logits[:, 0]).mean()


class TokenBank(nn.Module):
    """A queue of the last ``size`` CLIP tokens, saved with the checkpoint; each process has its own."""

    tokens: Tensor
    filled: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("tokens", torch.zeros(size, dim))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))

    def negatives(self) -> Tensor:
        """The stored tokens, newest last, [T <= size, C]."""
        return self.tokens[len(self.tokens) - int(self.filled) :]

    @torch.no_grad()
    def push(self, tokens_BC: Tensor) -> None:
        """Add tokens and drop the oldest."""
        if len(self.tokens) == 0:
            return
        kept = torch.cat([self.tokens, tokens_BC.to(self.tokens)])[-len(self.tokens) :]
        self.tokens.copy_(kept)
        self.filled.fill_(min(len(self.tokens), int(self.filled) + len(tokens_BC)))


def random_subset(num_segments: int) -> Tensor:
    """Draw M, a random non-empty subset of an image's segments, bool [G]; each is in it with probability 1/2."""
    keep = torch.rand(num_segments) < 0.5
    if num_segments and not keep.any():
        keep[torch.randint(num_segments, ())] = True
    return keep


def masked_image(image_3HW: Tensor, masks_GHW: Tensor, keep_G: Tensor, colour: tuple[float, float, float]) -> Tensor:
    """Set every pixel outside the kept segments to CLIP's mean colour. RGB, 0..1."""
    inside = masks_GHW[keep_G].any(0) if keep_G.any() else torch.zeros_like(masks_GHW[0])
    background = image_3HW.new_tensor(colour)[:, None, None]
    return torch.where(inside[None], image_3HW, background)


class V2CAlignment(nn.Module):
    """L_V2C over complete and masked images, with its token bank. CLIP is frozen and not in the module's state."""

    def __init__(self, config: V2C, clip: ClipModel) -> None:
        super().__init__()
        self.config = config
        self.bank = TokenBank(config.bank_size, clip.dim)
        self._clip = [clip]  # in a list, so that its weights are neither trained nor saved

    def forward(
        self, f_BQC: Tensor, matches: list[tuple[Tensor, Tensor]], images: list[Tensor], masks: list[Tensor]
    ) -> Tensor:
        """Compute the weighted loss of one batch, always in float32.

        Args:
            f_BQC: projected queries of the last decoder layer.
            matches: per image, indices of matched queries and of their segments.
            images: per image, RGB 0..1 [3, H, W], without padding.
            masks: per image, bool [G, H, W] of its segments, without padding.
        """
        with torch.autocast(f_BQC.device.type, enabled=False):
            return self._loss(f_BQC.float(), matches, images, masks)

    def _loss(
        self, f_BQC: Tensor, matches: list[tuple[Tensor, Tensor]], images: list[Tensor], masks: list[Tensor]
    ) -> Tensor:
        config, clip = self.config, self._clip[0]
        kept = [random_subset(len(m)).to(f_BQC.device) for m in masks]
        views = []
        if config.views != "masked":
            views.append((self._tokens(f_BQC, matches, None), images))
        if config.views != "complete":
            pairs = zip(images, masks, kept, strict=True)
            cut = [masked_image(i, m, k, clip.mean_colour) if len(m) else i for i, m, k in pairs]
            views.append((self._tokens(f_BQC, matches, kept), cut))
        seen = [clip.resized(image[None]) for _, batch in views for image in batch]  # images may differ in size
        targets = clip.encode_image(torch.cat(seen)).chunk(len(views))
        bank = self.bank.negatives().clone()
        losses = [alignment_loss(g, c, bank, config.tau) for (g, _), c in zip(views, targets, strict=True)]
        self.bank.push(targets[0])
        return config.weight * torch.stack(losses).mean()

    def _tokens(self, f_BQC: Tensor, matches: list[tuple[Tensor, Tensor]], kept: list[Tensor] | None) -> Tensor:
        tokens = []
        for i, (query, segment) in enumerate(matches):
            matched = torch.zeros(f_BQC.shape[1], dtype=torch.bool, device=f_BQC.device)
            matched[query if kept is None else query[kept[i][segment]]] = True
            tokens.append(image_token(f_BQC[i], matched, self.config.enhancement, self.config.gamma))
        return torch.stack(tokens)
