"""PADing's generator and its losses against slow references: attention and relations pair by pair, sums by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from query_world import EMBEDDING_DIM, VISUAL_DIM, query_world
from torch import Tensor, nn

from scaseg_cli.cat.alignment import alignment_loss, moment_loss, primitive_terms, relationship_loss, row_divergence
from scaseg_cli.cat.objective import CatObjective
from scaseg_cli.cat.primitives import PrimitiveGenerator, PrimitiveLayer, SemanticSplit
from scaseg_cli.recipe.schema import Cat
from scaseg_cli.seeds import seeded


def _network(primitives: int = 7) -> PrimitiveGenerator:
    torch.manual_seed(0)
    return PrimitiveGenerator(VISUAL_DIM, EMBEDDING_DIM, 12, primitives)


def _slow_layer(layer: PrimitiveLayer, query_D: Tensor, primitives_PD: Tensor, noise_D: Tensor) -> Tensor:
    """One query through the layer, its self-attention as `nn.MultiheadAttention` over a sequence of one."""
    width = len(query_D)
    own = nn.MultiheadAttention(width, 8)
    with torch.no_grad():
        own.in_proj_weight[2 * width :], own.in_proj_bias[2 * width :] = layer.value.weight, layer.value.bias
        own.out_proj.weight.copy_(layer.output.weight)
        own.out_proj.bias.copy_(layer.output.bias)
    x = query_D[None, None]
    x = layer.norms[0](x + own(x, x, x)[0])[0, 0]
    weights, biases = layer.attention.in_proj_weight.chunk(3), layer.attention.in_proj_bias.chunk(3)
    q, k, v = (weights[i] @ x + biases[i] if i == 0 else primitives_PD @ weights[i].T + biases[i] for i in range(3))
    heads = []
    for part in torch.arange(width).chunk(8):
        share = (k[:, part] @ q[part] / math.sqrt(len(part))).softmax(0)
        heads.append(share @ v[:, part])
    read = layer.attention.out_proj(torch.cat(heads))
    x = layer.norms[1](x + read + noise_D)
    return layer.norms[2](x + layer.feedforward(x))


def test_the_decoder_is_three_layers_of_attention_to_the_primitives() -> None:
    network = _network().eval()
    z, a = torch.randn(3, network.latent), torch.randn(3, EMBEDDING_DIM)
    slow = []
    for row in range(3):
        x = network.project(a[row])
        for index, layer in enumerate(network.layers):
            noise = z[row, index * VISUAL_DIM : (index + 1) * VISUAL_DIM]
            x = _slow_layer(layer, x, network.primitives, noise)
        slow.append(network.norm(x))
    torch.testing.assert_close(network.decode(z, a), torch.stack(slow), rtol=1e-4, atol=1e-5)


def test_its_sizes_are_the_published_ones() -> None:
    network = PrimitiveGenerator(256, 512, 1024, Cat().primitives)
    assert network.primitives.shape == (400, 256)
    assert [layer.attention.num_heads for layer in network.layers] == [8, 8, 8]
    assert network.latent == 3 * 256


def test_a_sample_does_not_depend_on_its_neighbours_and_varies_with_the_noise() -> None:
    network, a = _network(), torch.randn(1, EMBEDDING_DIM).expand(4, -1)
    alone = network.sample(a[:2], torch.Generator().manual_seed(1))
    together = network.sample(a, torch.Generator().manual_seed(1))
    torch.testing.assert_close(alone, together[:2])
    assert not torch.allclose(together[0], together[1])


def test_the_moment_loss_is_a_distance_over_all_pairs() -> None:
    one, other = torch.randn(4, 3).double(), torch.randn(5, 3).double()
    total = 0.0
    for width in (2, 5, 10, 20, 40, 80):
        for x, y, factor in ((one, one, 1), (other, other, 1), (one, other, -2)):
            kernels = [math.exp(-float((p - q).square().sum()) / (2 * width)) for p in x for q in y]
            total += factor * sum(kernels) / len(kernels)
    assert float(moment_loss(one, other)) == pytest.approx(math.sqrt(total))
    same = one.clone().requires_grad_()
    moment_loss(same, one).backward()
    assert same.grad is not None
    assert bool(same.grad.isfinite().all())


def _slow_divergence(predicted: Tensor, target: Tensor) -> float:
    total = 0.0
    for p_row, t_row in zip(predicted.tolist(), target.tolist(), strict=True):
        p, t = ([math.exp(10 * x) for x in row] for row in (p_row, t_row))
        p, t = [x / sum(p) for x in p], [x / sum(t) for x in t]
        total += sum(y * math.log(y / x) for x, y in zip(p, t, strict=True))
    return total / predicted.numel()


def test_the_divergence_is_that_of_the_rows_distributions() -> None:
    predicted, target = torch.randn(4, 5).double(), torch.randn(4, 5).double()
    assert float(row_divergence(predicted, target)) == pytest.approx(_slow_divergence(predicted, target))
    assert float(row_divergence(target, target)) == pytest.approx(0.0)


def test_relationships_are_compared_by_cosines() -> None:
    related, a, other, b = (torch.randn(n, d).double() for n, d in ((3, 4), (3, 6), (2, 4), (2, 6)))
    features = torch.tensor([[float(F.cosine_similarity(x, y, 0)) for y in other] for x in related])
    classes = torch.tensor([[float(F.cosine_similarity(x, y, 0)) for y in b] for x in a])
    assert float(relationship_loss(related, a, other, b)) == pytest.approx(
        _slow_divergence(features, classes), rel=1e-5
    )


def test_relations_are_a_network_of_the_concatenated_pair() -> None:
    split = SemanticSplit(4).eval()
    related, classes = torch.randn(3, 4), torch.randn(2, 4)
    weight = torch.cat([split.of_feature.weight, split.of_class.weight], dim=1)
    for i in range(3):
        for k in range(2):
            hidden = torch.relu(weight @ torch.cat([related[i], classes[k]]) + split.of_feature.bias)
            slow = torch.sigmoid(split.score(hidden))
            assert float(split.relations(related, classes)[i, k]) == pytest.approx(float(slow), rel=1e-5)


@pytest.mark.parametrize("with_unseen", [True, False])
def test_the_alignment_is_the_weighted_sum_of_its_parts(with_unseen: bool) -> None:
    network, world = _network().eval(), query_world()
    a, num_seen = world.embeddings_NC, world.num_seen
    ids = torch.tensor([0, 3, 3, 5, *([17, 18, 19] if with_unseen else [])])
    v = torch.randn(len(ids), VISUAL_DIM)
    found = alignment_loss(network, (v[:4], ids[:4]), (v[4:], ids[4:]), a, num_seen, seeded(0, "normal"))
    random, split, classes = seeded(0, "normal"), network.split, network.project(a)
    groups = [(v[:4], ids[:4], range(num_seen)), (v[4:], ids[4:], range(num_seen, len(a)))][: 1 + with_unseen]
    parts: dict[str, list[float]] = {"unrelated": [], "relation": [], "rebuild": []}
    for part, part_ids, among in groups:
        r, u = split.related(part), split.unrelated(part)
        parts["unrelated"].append(_slow_divergence(u, torch.randn(part.shape, generator=random)))
        scores = [[float(split.relations(x[None], classes[k][None])) for k in among] for x in r]
        terms = [
            math.log(sum(map(math.exp, row))) - row[int(k) - among[0]] for row, k in zip(scores, part_ids, strict=True)
        ]
        parts["relation"].append(sum(terms) / len(terms))
        parts["rebuild"].append(float((split.rebuild(torch.cat([r, u], 1)) - part).abs().mean()))
    sets = [(split.related(part), a[part_ids]) for part, part_ids, _ in groups]
    wanted = [(0, 0), (0, 1), (1, 1)] if with_unseen else [(0, 0)]
    relationship = [float(relationship_loss(*sets[i], *sets[j])) for i, j in wanted]
    means = {name: sum(values) / len(values) for name, values in parts.items()}
    slow = sum(relationship) / len(relationship)
    slow += 0.5 * means["unrelated"] + 0.2 * means["relation"] + 0.5 * means["rebuild"]
    assert float(found) == pytest.approx(slow, rel=1e-4)


def test_terms_follow_the_iteration_alone_dropout_included() -> None:
    world, network = query_world(), _network().train()
    objective = CatObjective(Cat(generator="primitives"), world.classifier, world.num_seen)
    batch = world.store.matched_MD[:9], world.store.class_ids_M[:9], world.store.null_UD[:3]
    before = torch.get_rng_state()
    one = objective.terms(network, *batch, seeded(0, "test"))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    again = objective.terms(network, *batch, seeded(0, "test"))
    other = objective.terms(network, *batch, seeded(1, "test"))
    assert set(one) == {"mmd", "alignment", "semantic"}
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["mmd"], other["mmd"])
    objective.total(one).backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


def test_a_term_of_weight_0_is_left_out() -> None:
    world = query_world()
    config = Cat(generator="primitives", alignment_weight=0.0, semantic_weight=0.0)
    batch = world.store.matched_MD[:9], world.store.class_ids_M[:9], world.store.null_UD[:3]
    objective = CatObjective(config, world.classifier, world.num_seen)
    assert set(objective.terms(_network(), *batch, seeded(0, "test"))) == {"mmd"}
    with pytest.raises(ValueError, match="mmd_weight"):
        Cat(generator="primitives", mmd_weight=0.0)


def test_unseen_names_take_part_only_where_asked() -> None:
    world = query_world()
    v, ids = world.store.matched_MD[:9], world.store.class_ids_M[:9]
    alignment = {
        asked: float(
            primitive_terms(_network().eval(), v, ids, world.classifier, world.num_seen, seeded(0, "x"), asked)[
                "alignment"
            ].detach()
        )
        for asked in (True, False)
    }
    assert alignment[True] != alignment[False]
