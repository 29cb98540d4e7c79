"""Saves and loads generators, from which stage 3 draws its embeddings.

Shapes: n samples, D visual width, C embedding width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

import torch

from scaseg_cli.cat.network import MomentGenerator, NoiseGenerator, VariationalGenerator
from scaseg_cli.cat.primitives import PrimitiveGenerator
from scaseg_cli.cat.ridge import RidgeGaussian
from scaseg_cli.checkpoints import load_module, load_tensors, save_tensors, shown
from scaseg_cli.errors import ScasegError
from scaseg_cli.fold_choice import values_of
from scaseg_cli.stages import require

if TYPE_CHECKING:
    from torch import Tensor

    from scaseg_cli.recipe.schema import Cat, Recipe
    from scaseg_cli.run_dir import RunDir

KIND = "generator"
_NETWORKS = {"vae": VariationalGenerator, "gmmn": MomentGenerator, "primitives": PrimitiveGenerator}
_NOISE = "noise_factor"  # the tensor of `Noisy`, beside the network's
_MAX_DIM = 2**16  # of a semantic embedding; far above any CLIP's
_REMEDY = "Run `scaseg train-cat` again: it rebuilds the generator."


class Generator(Protocol):
    """Generates visual embeddings from semantic ones."""

    def to(self, device: torch.device) -> Self:
        """Move to ``device``."""

    def sample(self, embeddings_nC: Tensor, generator: torch.Generator) -> Tensor:
        """Generate one visual embedding per row of semantic embeddings, [n, D]; ``generator`` provides the draws."""


class NoGenerator:
    """The generator of ``cat.generator: none`` in the recipe."""

    def to(self, device: torch.device) -> Self:
        """Return self: there are no tensors."""
        del device
        return self

    def sample(self, embeddings_nC: Tensor, generator: torch.Generator) -> NoReturn:
        """Raise: there is nothing to sample from.

        Raises:
            ScasegError: always.
        """
        del embeddings_nC, generator
        raise ScasegError(
            "the recipe needs generated embeddings, but has cat.generator: none",
            "Set another cat.generator, such as vae, or both union.pseudo_unseen and union.pseudo_seen to 0.",
        )


class Noisy:
    """A generator with Gaussian noise added to its samples (``cat.noise: seen_covariance``). Ours, not published.

    Args:
        generator: the generator.
        factor_DD: the noise has the covariance factor @ factor.T, that of seen queries within their classes.
    """

    def __init__(self, generator: Generator, factor_DD: Tensor) -> None:
        self.generator, self.factor_DD = generator, factor_DD

    def to(self, device: torch.device) -> Noisy:
        """Copy to ``device``."""
        return Noisy(self.generator.to(device), self.factor_DD.to(device))

    def sample(self, embeddings_nC: Tensor, generator: torch.Generator) -> Tensor:
        """Generate visual embeddings [n, D], one per row of semantic embeddings."""
        v_nD = self.generator.sample(embeddings_nC, generator)
        return v_nD + torch.randn(v_nD.shape, generator=generator).to(v_nD) @ self.factor_DD.T


def build_network(config: Cat, visual_dim: int, embedding_dim: int) -> NoiseGenerator:
    """The untrained network of ``cat.generator``, one of those that are trained.

    Args:
        config: the recipe's ``cat`` section.
        visual_dim: D.
        embedding_dim: C.
    """
    if config.generator == "primitives":
        return PrimitiveGenerator(visual_dim, embedding_dim, config.hidden, config.primitives)
    network = VariationalGenerator if config.generator == "vae" else MomentGenerator
    return network(visual_dim, embedding_dim, config.hidden, config.latent)


def save_generator(
    run: RunDir, generator: NoiseGenerator | RidgeGaussian, meta: dict[str, Any], noise: Tensor | None = None
) -> None:
    """Write a generator atomically, with ``meta`` in its header and the factor of `Noisy` if there is one."""
    if isinstance(generator, RidgeGaussian):
        tensors = {
            "weight": generator.weight_CD,
            "intercept": generator.intercept_D,
            "factor": generator.factor_DD,
        }
        save_tensors(run.generator_file, KIND, tensors, {"generator": "ridge", "strength": generator.strength, **meta})
        return
    kind = next(name for name, network in _NETWORKS.items() if type(generator) is network)
    tensors = generator.state_dict() | ({_NOISE: noise} if noise is not None else {})
    save_tensors(run.generator_file, KIND, tensors, {"generator": kind, **meta})


def load_generator(recipe: Recipe, run: RunDir) -> Generator:
    """Load the generator of this recipe's stage 2, on the CPU.

    Raises:
        ScasegError: it is missing, damaged or from another recipe, or its tensors do not match the recipe.
    """
    require(recipe, run, "cat")
    if recipe.cat.generator == "none":
        return NoGenerator()
    tensors, meta = load_tensors(run.generator_file, KIND, _REMEDY)
    if meta.get("generator") != recipe.cat.generator:
        raise ScasegError(f"{run.generator_file} contains a {shown(meta.get('generator'))} generator", _REMEDY)
    width, embedding_dim = recipe.base.channels, meta.get("embedding_dim")
    if meta.get("visual_dim") != width or type(embedding_dim) is not int or not 0 < embedding_dim <= _MAX_DIM:
        stated = shown((meta.get("visual_dim"), embedding_dim))
        raise ScasegError(f"{run.generator_file} states the widths {stated}; the visual one is {width}", _REMEDY)
    if recipe.cat.generator == "ridge":
        if set(tensors) != {"weight", "intercept", "factor"}:
            raise ScasegError(f"{run.generator_file} has the tensors {sorted(tensors)}", _REMEDY)
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        wanted = {"weight": (embedding_dim, width), "intercept": (width,), "factor": (width, width)}
        if shapes != wanted or not isinstance(meta.get("strength"), float):
            raise ScasegError(f"{run.generator_file} has other shapes for a ridge generator: {shapes}", _REMEDY)
        return RidgeGaussian(tensors["weight"], tensors["intercept"], tensors["factor"], meta["strength"])
    noise = tensors.pop(_NOISE, None)
    network = build_network(recipe.cat, width, embedding_dim)
    load_module(network, tensors, run.generator_file, _REMEDY)
    found = None if noise is None else tuple(noise.shape)
    if found != ((width, width) if values_of(recipe, run)["noise"] == "seen_covariance" else None):
        raise ScasegError(f"{run.generator_file} has noise of the shape {found}, not as cat.noise says", _REMEDY)
    return network.eval() if noise is None else Noisy(network.eval(), noise)
