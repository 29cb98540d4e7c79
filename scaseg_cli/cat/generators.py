"""The generator's file, and what stage 3 draws its embeddings from.

Shapes: n samples, D visual width, C embedding width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

from scaseg_cli.cat.network import VariationalGenerator
from scaseg_cli.cat.ridge import RidgeGaussian
from scaseg_cli.checkpoints import load_module, load_tensors, save_tensors
from scaseg_cli.errors import ScasegError
from scaseg_cli.stages import require

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

KIND = "generator"
_REMEDY = "Run `scaseg train-cat` again: it makes the generator anew."


class Generator(Protocol):
    """Visual embeddings from semantic ones."""

    def to(self, device: torch.device) -> Self:
        """The same on ``device``."""

    def sample(self, embeddings_nC: Tensor, generator: torch.Generator) -> Tensor:
        """One visual embedding [n, D] for each row of semantic embeddings; the draws are ``generator``'s."""


class NoGenerator:
    """What the recipe's ``cat.generator: none`` gives."""

    def to(self, device: torch.device) -> Self:
        """Itself: it has no tensors."""
        del device
        return self

    def sample(self, embeddings_nC: Tensor, generator: torch.Generator) -> NoReturn:
        """There is nothing to sample from.

        Raises:
            ScasegError: always.
        """
        del embeddings_nC, generator
        raise ScasegError(
            "generated embeddings are asked for, but the recipe has cat.generator: none",
            "Set cat.generator to vae or ridge, or both union.pseudo_unseen and union.pseudo_seen to 0.",
        )


def save_generator(run: RunDir, generator: VariationalGenerator | RidgeGaussian, meta: dict[str, Any]) -> None:
    """Write a generator in one piece; ``meta`` is kept in its header."""
    if isinstance(generator, RidgeGaussian):
        tensors = {
            "weight": generator.weight_CD,
            "intercept": generator.intercept_D,
            "factor": generator.factor_DD,
        }
        save_tensors(run.generator_file, KIND, tensors, {"generator": "ridge", "strength": generator.strength, **meta})
        return
    save_tensors(run.generator_file, KIND, generator.state_dict(), {"generator": "vae", **meta})


def load_generator(recipe: Recipe, run: RunDir) -> Generator:
    """The generator of this recipe's stage 2, on the CPU.

    Raises:
        ScasegError: it is not there, of another recipe, damaged, or its tensors do not fit the recipe.
    """
    require(recipe, run, "cat")
    if recipe.cat.generator == "none":
        return NoGenerator()
    tensors, meta = load_tensors(run.generator_file, KIND, _REMEDY)
    if meta.get("generator") != recipe.cat.generator:
        raise ScasegError(f"{run.generator_file} holds a {meta.get('generator')} generator", _REMEDY)
    if recipe.cat.generator == "ridge":
        if set(tensors) != {"weight", "intercept", "factor"}:
            raise ScasegError(f"{run.generator_file} has the tensors {sorted(tensors)}", _REMEDY)
        return RidgeGaussian(tensors["weight"], tensors["intercept"], tensors["factor"], meta["strength"])
    network = VariationalGenerator(meta["visual_dim"], meta["embedding_dim"], recipe.cat.hidden, recipe.cat.latent)
    load_module(network, tensors, run.generator_file, _REMEDY)
    return network.eval()
