"""PADing's generator: a class's embedding is assembled from learned primitives (docs/method.md, Primitives).

Shapes: M pairs, P primitives, D visual width, C embedding width, Z = LAYERS * D latent width, K classes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from scaseg_cli.cat.network import NoiseGenerator

LAYERS = 3
MAX_HEADS = 8
DROPOUT = 0.1
_SLOPE = 0.2  # of LeakyReLU


class PrimitiveLayer(nn.Module):
    """A decoder layer: a query attends to the primitives, receives noise, and passes a feed-forward part.

    Each part is followed by a residual sum and a LayerNorm. Self-attention of a single query is the identity between
    its value and its output projection, which is what remains of it here.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        heads = math.gcd(width, MAX_HEADS)
        self.value, self.output = nn.Linear(width, width), nn.Linear(width, width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=DROPOUT, batch_first=True)
        self.feedforward = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(hidden, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, query_MD: Tensor, primitives_PD: Tensor, noise_MD: Tensor) -> Tensor:
        """Return the next query, [M, D]; queries do not see each other."""
        # attention dropout hits the only weight of a query's self-attention, so it drops whole heads; it is left out
        x_MD = self.norms[0](query_MD + self.dropout(self.output(self.value(query_MD))))
        read_MD = self.attention(x_MD[None], primitives_PD[None], primitives_PD[None], need_weights=False)[0][0]
        x_MD = self.norms[1](x_MD + self.dropout(read_MD) + noise_MD)
        result_MD: Tensor = self.norms[2](x_MD + self.dropout(self.feedforward(x_MD)))
        return result_MD


class SemanticSplit(nn.Module):
    """Splits v^ into a part related to its class's semantics and the rest, and puts them together again.

    Used in training alone (PADing, semantic-related alignment).

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.related, self.unrelated = _encoder(width), _encoder(width)
        self.rebuild = nn.Sequential(*_activated(2 * width, width), *_activated(width, width))
        # the relation network of Sung et al., CVPR 2018: one hidden layer over a pair, whose two halves add up
        self.of_feature, self.of_class = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1)

    def relations(self, related_MD: Tensor, classes_KD: Tensor) -> Tensor:
        """The relation of each semantic-related part to each class, in (0, 1), [M, K]."""
        hidden_MKD = torch.relu(self.of_feature(related_MD)[:, None] + self.of_class(classes_KD))
        return torch.sigmoid(self.score(hidden_MKD).squeeze(2))


def _activated(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.LeakyReLU(_SLOPE), nn.Dropout(DROPOUT)]


def _encoder(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), *_activated(width, width))


class PrimitiveGenerator(NoiseGenerator):
    """Cross-attention from a class's semantic embedding to learned primitives, with noise in every layer.

    He, Ding and Jiang, "Primitive Generation and Semantic-related Alignment for Universal Zero-Shot Segmentation", CVPR
    2023; sizes as in its released configuration (400 primitives, 3 layers, 8 heads, dropout 0.1).

    Args:
        visual_dim: D, the width of primitives and layers.
        embedding_dim: C.
        hidden: width of the feed-forward parts.
        primitives: P.
    """

    def __init__(self, visual_dim: int, embedding_dim: int, hidden: int, primitives: int) -> None:
        super().__init__(LAYERS * visual_dim)
        self.project = nn.Linear(embedding_dim, visual_dim)
        self.primitives = nn.Parameter(torch.randn(primitives, visual_dim))
        self.layers = nn.ModuleList(PrimitiveLayer(visual_dim, hidden) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(visual_dim)
        self.split = SemanticSplit(visual_dim)

    def decode(self, z_MZ: Tensor, a_MC: Tensor) -> Tensor:
        x_MD = self.project(a_MC)
        for layer, noise_MD in zip(self.layers, z_MZ.chunk(LAYERS, dim=1), strict=True):
            x_MD = layer(x_MD, self.primitives, noise_MD)
        v_MD: Tensor = self.norm(x_MD)
        return v_MD
