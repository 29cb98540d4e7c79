"""The networks that generate visual embeddings from semantic ones and noise (docs/method.md, Stage 2).

How they are conditioned is a reading.

Shapes: M pairs, n samples, D visual width, C embedding width, Z latent width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

NUM_LAYERS = 4


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Four linear layers, with BatchNorm1d and LeakyReLU after all but the last."""
    layers: list[nn.Module] = []
    for _ in range(NUM_LAYERS - 1):
        layers += [nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(inplace=True)]
        inputs = hidden
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class NoiseGenerator(nn.Module, ABC):
    """A network that turns noise z ~ N(0, I) and a semantic embedding a into a visual embedding v^.

    Args:
        latent: Z.
    """

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent

    @abstractmethod
    def decode(self, z_MZ: Tensor, a_MC: Tensor) -> Tensor:
        """Decode to v^, [M, D]."""

    @torch.no_grad()
    def sample(self, embeddings_nC: Tensor, generator: torch.Generator) -> Tensor:
        """Generate visual embeddings [n, D], one per row of semantic embeddings.

        The network is put into eval mode, so that a sample does not depend on the rest of the batch. The noise is drawn
        on the CPU, so that it is the same on every device.
        """
        self.eval()
        z = torch.randn(len(embeddings_nC), self.latent, generator=generator)
        return self.decode(z.to(embeddings_nC), embeddings_nC)


class MomentGenerator(NoiseGenerator):
    """An MLP as decoder, trained by moment matching alone (GMMN; Li et al., ICML 2015).

    Args:
        visual_dim: D.
        embedding_dim: C.
        hidden: width of the hidden layers.
        latent: Z.
    """

    def __init__(self, visual_dim: int, embedding_dim: int, hidden: int, latent: int) -> None:
        super().__init__(latent)
        self._add_encoder(visual_dim, embedding_dim, hidden)
        self.decoder = _mlp(latent + embedding_dim, hidden, visual_dim)

    def _add_encoder(self, visual_dim: int, embedding_dim: int, hidden: int) -> None:
        """There is none."""

    def decode(self, z_MZ: Tensor, a_MC: Tensor) -> Tensor:
        v_MD: Tensor = self.decoder(torch.cat([z_MZ, a_MC], dim=1))
        return v_MD


class VariationalGenerator(MomentGenerator):
    """The VAE: encoder (v, a) -> mu, log var beside the decoder."""

    def _add_encoder(self, visual_dim: int, embedding_dim: int, hidden: int) -> None:
        self.encoder = _mlp(visual_dim + embedding_dim, hidden, 2 * self.latent)

    def encode(self, v_MD: Tensor, a_MC: Tensor) -> tuple[Tensor, Tensor]:
        """Encode to mu and log var of q(z | v, a), [M, Z] each."""
        mu, log_var = self.encoder(torch.cat([v_MD, a_MC], dim=1)).chunk(2, dim=1)
        return mu, log_var
