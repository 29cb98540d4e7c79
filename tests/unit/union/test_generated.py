"""Generated embeddings of a step, and the pull towards the nearest seen classes."""

from __future__ import annotations

import pytest
import torch
from query_world import query_world
from torch import Tensor

from scaseg_cli.cat.generators import NoGenerator
from scaseg_cli.errors import ScasegError
from scaseg_cli.queries.store import QueryStore
from scaseg_cli.recipe.schema import Union, UnseenPull
from scaseg_cli.seeds import seeded
from scaseg_cli.union.generated import GeneratedEmbeddings, Neighbours


class Fixed:
    """A generator that returns the first two numbers of the semantic embedding, without noise."""

    def to(self, device: torch.device) -> Fixed:
        del device
        return self

    def sample(self, embeddings_nC: Tensor, generator: torch.Generator) -> Tensor:
        torch.randn(1, generator=generator)
        return embeddings_nC[:, :2].clone()


# classes 0..3 are seen and lie around (0,0) (10,0) (0,10) (10,10); class 2 never occurs; 4 and 5 are unseen
CENTRES = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
EMBEDDINGS = torch.cat([CENTRES, torch.tensor([[2.0, 1.0], [9.0, 7.0]])])


def _store() -> QueryStore:
    ids = torch.tensor([3, 0, 1, 0, 1, 3, 1, 0])
    offsets = torch.tensor(
        [[0.1, 0.0], [-0.1, 0.0], [0.0, 0.2], [0.1, 0.0], [0.0, -0.1], [-0.1, 0.0], [0.3, 0.0], [0, 0]]
    )
    return QueryStore(CENTRES[ids] + offsets, ids, torch.zeros(0, 2))


def _pseudo(beta: float = 0.0, k: int = 2, unseen: int = 3, seen: int = 0) -> GeneratedEmbeddings:
    config = Union(pseudo_unseen=unseen, pseudo_seen=seen, unseen_pull=UnseenPull(beta=beta, k=k))
    return GeneratedEmbeddings(config, Fixed(), EMBEDDINGS, 4, _store(), seed=0)


def test_each_class_gets_the_configured_number_of_embeddings() -> None:
    v, ids = _pseudo(unseen=3, seen=2).draw(0)
    assert ids.tolist() == [4, 4, 4, 5, 5, 5, 0, 0, 1, 1, 2, 2, 3, 3]
    assert torch.equal(v, EMBEDDINGS[ids])


def test_a_recipe_without_generated_embeddings_draws_none() -> None:
    config = Union(pseudo_unseen=0, unseen_pull=UnseenPull(beta=0.5))
    v, ids = GeneratedEmbeddings(config, NoGenerator(), EMBEDDINGS, 4, _store(), seed=0).draw(0)
    assert len(v) == len(ids) == 0


def test_drawing_without_a_generator_is_an_error() -> None:
    generated = GeneratedEmbeddings(Union(pseudo_unseen=1), NoGenerator(), EMBEDDINGS, 4, _store(), seed=0)
    with pytest.raises(ScasegError, match="generator: none"):
        generated.draw(0)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_neighbours_are_the_nearest_seen_classes_that_occur(k: int) -> None:
    found = Neighbours(EMBEDDINGS[4:], _store(), k)
    assert [row.sort().values.tolist() for row in found.class_ids_Uk] == [
        sorted([0, 1, 3][:k]), sorted([3, 1, 0][:k])
    ]  # fmt: skip


def test_more_neighbours_than_classes_are_all_classes() -> None:
    assert Neighbours(EMBEDDINGS[4:], _store(), 50).class_ids_Uk.shape == (2, 3)


def test_every_real_member_of_the_neighbours_is_drawn_and_no_other() -> None:
    store = _store()
    found = Neighbours(EMBEDDINGS[4:], store, 2)
    drawn = found.draw(torch.zeros(6000, dtype=torch.long), seeded(0, "test"))
    matches = (drawn[:, None] == store.matched_MD[None]).all(2)
    assert bool((matches.sum(1) == 1).all())
    counts = matches.sum(0)
    fractions = {k: float(counts[store.class_ids_M == k].sum()) / 6000 for k in (0, 1, 3)}
    assert fractions[3] == 0.0
    assert fractions[0] == pytest.approx(0.5, abs=0.03)  # classes are drawn uniformly, however many members they have
    assert counts[store.class_ids_M == 0].tolist() == pytest.approx([1000] * 3, abs=120)


@pytest.mark.parametrize("beta", [0.25, 1.0])
def test_the_pull_goes_beta_of_the_way_to_a_real_neighbour(beta: float) -> None:
    generated = _pseudo(beta=beta, k=1, unseen=5, seen=1)
    v, ids = generated.draw(0)
    for embedding, class_id in zip(v, ids.tolist(), strict=True):
        if class_id < 4:  # seen embeddings are not pulled
            assert torch.equal(embedding, EMBEDDINGS[class_id])
            continue
        neighbour = {4: 0, 5: 3}[class_id]
        real = (embedding - (1 - beta) * EMBEDDINGS[class_id]) / beta
        members = _store().matched_MD[_store().class_ids_M == neighbour]
        assert float(torch.cdist(real[None], members).min()) < 1e-4


def test_neighbours_are_those_of_the_generated_not_of_the_semantic_embedding() -> None:
    embeddings = torch.cat([EMBEDDINGS, torch.zeros(6, 1)], dim=1)
    embeddings[4, 2], embeddings[3, 2] = 100.0, 100.0  # in semantic space, class 4 is nearest to class 3
    config = Union(pseudo_unseen=1, unseen_pull=UnseenPull(beta=0.5, k=1))
    generated = GeneratedEmbeddings(config, Fixed(), embeddings, 4, _store(), seed=0)
    assert generated.neighbours is not None
    assert generated.neighbours.class_ids_Uk[:, 0].tolist() == [0, 3]


def test_draws_depend_on_step_and_seed_alone() -> None:
    world = query_world()

    def draw(step: int, seed: int = 0) -> Tensor:
        config = Union(pseudo_unseen=3, unseen_pull=UnseenPull(beta=0.5))
        return GeneratedEmbeddings(config, Fixed(), EMBEDDINGS, 4, world_store(), seed).draw(step)[0]

    def world_store() -> QueryStore:
        ids = torch.arange(400) % 4
        return QueryStore(CENTRES[ids] + world.store.matched_MD[:400, :2], ids, torch.zeros(0, 2))

    assert torch.equal(draw(7), draw(7))
    assert not torch.equal(draw(7), draw(8))
    assert not torch.equal(draw(7), draw(7, seed=1))
