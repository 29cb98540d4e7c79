"""L_CAT of one batch: which terms, on what, with which randomness."""

from __future__ import annotations

import pytest
import torch
from query_world import EMBEDDING_DIM, VISUAL_DIM, query_world

from scaseg_cli.cat.losses import embedding_contrast, mmd, reconstruction, semantic_cross_entropy
from scaseg_cli.cat.network import MomentGenerator, NoiseGenerator, VariationalGenerator
from scaseg_cli.cat.objective import CatObjective, mixing_weights
from scaseg_cli.recipe.schema import Cat
from scaseg_cli.seeds import seeded

AS_PUBLISHED = {"mixup": 0.0, "reconstruction_weight": 0.0}


def _network() -> VariationalGenerator:
    torch.manual_seed(0)
    return VariationalGenerator(VISUAL_DIM, EMBEDDING_DIM, 16, 4)


def _terms(network: NoiseGenerator | None = None, **config: object) -> dict[str, torch.Tensor]:
    world = query_world()
    objective = CatObjective(Cat(**config), world.classifier, world.num_seen)  # type: ignore[arg-type]
    picked = torch.arange(0, len(world.store.matched_MD), 17)
    v, ids, null = world.store.matched_MD[picked], world.store.class_ids_M[picked], world.store.null_UD[:20]
    return objective.terms(network or _network(), v, ids, null, seeded(0, "test"))


def test_the_published_terms_with_the_published_weights() -> None:
    assert set(_terms()) == {"mmd", "kl", "contrast", "semantic"}
    world = query_world()
    objective = CatObjective(Cat(), world.classifier, world.num_seen)
    terms = {name: torch.tensor(1.0) for name in ("mmd", "kl", "contrast", "semantic")}
    assert float(objective.total(terms)) == pytest.approx(1 + 1 + 0.1 + 0.01)


@pytest.mark.parametrize("name", ["mmd", "kl", "reconstruction", "contrast", "semantic"])
def test_a_term_of_weight_0_is_left_out_and_changes_no_other(name: str) -> None:
    weights = {f"{term}_weight": 0.5 for term in ("mmd", "kl", "reconstruction", "contrast", "semantic")}
    every = _terms(**weights, semantic_unseen=False)
    without = _terms(**{**weights, f"{name}_weight": 0.0}, semantic_unseen=False)
    assert set(every) - set(without) == {name}
    assert all(torch.equal(without[other], every[other]) for other in without)


def test_the_terms_are_the_losses_of_one_forward_pass() -> None:
    world, network = query_world(), _network()
    found = _terms(network, **AS_PUBLISHED | {"reconstruction_weight": 1.0, "semantic_unseen": False})
    picked = torch.arange(0, len(world.store.matched_MD), 17)
    v, ids = world.store.matched_MD[picked], world.store.class_ids_M[picked]
    twin = _network()
    mu, log_var = twin.encode(v, world.embeddings_NC[ids])
    noise = torch.randn(mu.shape, generator=seeded(0, "test"))
    v_hat = twin.decode(mu + (0.5 * log_var).exp() * noise, world.embeddings_NC[ids])
    project = world.classifier.project
    torch.testing.assert_close(found["mmd"], mmd(v_hat, v))
    torch.testing.assert_close(found["reconstruction"], reconstruction(v, v_hat))
    contrast = embedding_contrast(project(v_hat), ids, project(v), ids, project(world.store.null_UD[:20]), 0.07)
    torch.testing.assert_close(found["contrast"], contrast)
    seen = world.embeddings_NC[: world.num_seen]
    torch.testing.assert_close(found["semantic"], semantic_cross_entropy(project(v_hat), ids, seen, 0.07))


def test_null_negatives_raise_the_contrast() -> None:
    assert float(_terms(null_negatives=True)["contrast"].detach()) > float(
        _terms(null_negatives=False)["contrast"].detach()
    )


def test_without_any_negative_there_is_no_contrast() -> None:
    nothing = _terms(null_negatives=False, class_negatives=False)["contrast"]
    assert float(nothing.detach()) == 0.0
    alone = float(_terms(null_negatives=True, class_negatives=False)["contrast"].detach())
    assert 0 < alone < float(_terms()["contrast"].detach())


def test_the_contrast_can_be_of_visual_embeddings() -> None:
    world, network = query_world(), _network()
    found = _terms(network, **AS_PUBLISHED | {"contrast_space": "visual", "semantic_unseen": False})
    picked = torch.arange(0, len(world.store.matched_MD), 17)
    v, ids = world.store.matched_MD[picked], world.store.class_ids_M[picked]
    twin = _network()
    mu, log_var = twin.encode(v, world.embeddings_NC[ids])
    noise = torch.randn(mu.shape, generator=seeded(0, "test"))
    v_hat = twin.decode(mu + (0.5 * log_var).exp() * noise, world.embeddings_NC[ids])
    expected = embedding_contrast(v_hat, ids, v, ids, world.store.null_UD[:20], 0.07)
    torch.testing.assert_close(found["contrast"], expected)


def test_moment_matching_alone_compares_each_class_with_itself() -> None:
    world = query_world()
    torch.manual_seed(0)
    network = MomentGenerator(VISUAL_DIM, EMBEDDING_DIM, 16, 4)
    found = _terms(network, generator="gmmn")
    assert set(found) == {"mmd"}
    picked = torch.arange(0, len(world.store.matched_MD), 17)
    v, ids = world.store.matched_MD[picked], world.store.class_ids_M[picked]
    torch.manual_seed(0)
    twin = MomentGenerator(VISUAL_DIM, EMBEDDING_DIM, 16, 4)
    z = torch.randn((len(v), 4), generator=seeded(0, "test"))
    v_hat = twin.decode(z, world.embeddings_NC[ids])
    slow = sum(float(mmd(v_hat[ids == k], v[ids == k]).detach()) * int((ids == k).sum()) for k in ids.unique())
    assert float(found["mmd"].detach()) == pytest.approx(slow / len(v), rel=1e-5)


def test_unseen_names_enter_the_semantic_loss_only_where_asked() -> None:
    world = query_world()
    objective = CatObjective(Cat(), world.classifier, world.num_seen)
    unseen = objective._unseen_ids(170, seeded(0, "test"))
    assert len(unseen) == round(170 * 3 / 17)
    assert set(unseen.tolist()) <= {17, 18, 19}
    with_unseen, without = _terms(semantic_unseen=True), _terms(semantic_unseen=False)
    assert float(with_unseen["semantic"].detach()) != float(without["semantic"].detach())
    off = CatObjective(Cat(semantic_unseen=False), world.classifier, world.num_seen)
    assert not len(off._unseen_ids(170, seeded(0, "test")))


def test_mixup_mixes_texts_and_queries_in_the_same_shares() -> None:
    world = query_world()
    objective = CatObjective(Cat(mixup=1.0), world.classifier, world.num_seen)
    v, ids = torch.eye(VISUAL_DIM), torch.arange(VISUAL_DIM)  # a mixed row shows who is in it, and how much
    mixed_v, mixed_a, both, shares = objective._pairs(v, ids, seeded(0, "test"))
    assert torch.equal(both[:VISUAL_DIM], ids)
    assert both[VISUAL_DIM:].sort().values.equal(ids)
    assert not torch.equal(both[VISUAL_DIM:], ids)
    first, second = shares[:VISUAL_DIM, None], shares[VISUAL_DIM:, None]
    torch.testing.assert_close(first + second, torch.ones_like(first))
    for mixed, parts in ((mixed_v, v[both]), (mixed_a, world.embeddings_NC[both])):
        torch.testing.assert_close(mixed, first * parts[:VISUAL_DIM] + second * parts[VISUAL_DIM:])


def test_without_mixup_pairs_stay_as_they_are() -> None:
    world = query_world()
    objective = CatObjective(Cat(mixup=0.0), world.classifier, world.num_seen)
    v, ids = world.store.matched_MD[:5], world.store.class_ids_M[:5]
    same_v, a, same_ids, shares = objective._pairs(v, ids, seeded(0, "test"))
    assert torch.equal(same_v, v)
    assert torch.equal(a, world.embeddings_NC[ids])
    assert torch.equal(same_ids, ids)
    assert torch.equal(shares, torch.ones(5))


def test_mix_shares_follow_the_beta_distribution() -> None:
    shares = mixing_weights(0.4, 20000, seeded(0, "test"))
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(shares.var()) == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.005)
    assert torch.equal(shares[:5], mixing_weights(0.4, 20000, seeded(0, "test"))[:5])


def test_the_frozen_projector_takes_no_gradient_and_the_generator_does() -> None:
    network = _network()
    terms = _terms(network, mixup=1.0, reconstruction_weight=1.0)
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert all(p.grad is None for p in query_world().classifier.parameters())
