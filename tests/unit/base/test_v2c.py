"""The alignment's terms against slow, obvious references, and the bank's queue."""

import math

import pytest
import torch
import torch.nn.functional as F

from scaseg_cli.base.v2c import (
    SegmentMap,
    TokenBank,
    V2CAlignment,
    alignment_loss,
    image_tokens,
    masked_image,
    random_subset,
)
from scaseg_cli.clip.load import load_clip
from scaseg_cli.recipe import load_recipe


def _slow_token(f, matched, enhancement, gamma):
    with_segment = [row for row, m in zip(f.tolist(), matched.tolist(), strict=True) if m]
    without = [row for row, m in zip(f.tolist(), matched.tolist(), strict=True) if not m]
    columns = range(f.shape[1])

    def mean(rows, c):
        return sum(row[c] for row in rows) / len(rows)

    if enhancement == "multiply":
        total = gamma * len(with_segment) + len(without)
        return [(gamma * sum(r[c] for r in with_segment) + sum(r[c] for r in without)) / total for c in columns]
    if enhancement.startswith("literal"):
        sign = 1.0 if enhancement == "literal_plus" else -1.0
        return [mean([[x + sign * gamma for x in r] for r in with_segment] + without, c) for c in columns]
    sign = 1.0 if enhancement == "plus" else -1.0
    weight = max(0.0, 1.0 + sign * (gamma - 1.0) / len(with_segment))
    total = weight * len(with_segment) + len(without)
    return [(weight * sum(r[c] for r in with_segment) + sum(r[c] for r in without)) / total for c in columns]


ENHANCEMENTS = ["multiply", "plus", "minus", "literal_plus", "literal_minus"]


@pytest.mark.parametrize("enhancement", ENHANCEMENTS)
@pytest.mark.parametrize("gamma", [1.0, 2.0, 5.5])
def test_image_token_equals_the_definition(enhancement, gamma):
    torch.manual_seed(0)
    f = torch.randn(7, 5, dtype=torch.float64)
    matched = torch.tensor([1, 0, 0, 1, 1, 0, 0], dtype=torch.bool)
    expected = torch.tensor(_slow_token(f, matched, enhancement, gamma), dtype=torch.float64)
    found = image_tokens(torch.stack([f, f.flip(0)]), torch.stack([matched, matched.flip(0)]), enhancement, gamma)
    torch.testing.assert_close(found, torch.stack([expected, expected]))


def test_plus_is_no_stronger_than_multiply_and_minus_weakens_the_queries_with_a_segment():
    f, matched = torch.eye(5), torch.tensor([1, 0, 1, 1, 0], dtype=torch.bool)
    tokens = {name: image_tokens(f[None], matched[None], name, 2.0)[0] for name in ("multiply", "plus", "minus")}
    parts = {name: token[matched].sum() for name, token in tokens.items()}
    assert parts["multiply"] > parts["plus"] > matched.sum() / 5 > parts["minus"]
    alone = torch.tensor([1, 0, 0, 0, 0], dtype=torch.bool)
    plus, multiply = (image_tokens(f[None], alone[None], name, 2.0) for name in ("plus", "multiply"))
    torch.testing.assert_close(plus, multiply)


def test_gamma_one_is_the_plain_mean_for_all_enhancements():
    f, matched = torch.randn(6, 4), torch.tensor([1, 0, 1, 0, 0, 0], dtype=torch.bool)
    for enhancement in ("multiply", "plus", "minus"):
        torch.testing.assert_close(image_tokens(f[None], matched[None], enhancement, 1.0)[0], f.mean(0))


@pytest.mark.parametrize("enhancement", ENHANCEMENTS)
def test_image_token_is_finite_where_no_query_or_every_query_holds_a_segment(enhancement):
    f = torch.randn(4, 3)
    for matched in (torch.zeros(4, dtype=torch.bool), torch.ones(4, dtype=torch.bool)):
        token = image_tokens(f[None], matched[None], enhancement, 2.0)[0]
        assert token.isfinite().all()
        assert token.any()
    one = image_tokens(f[None, :1], torch.ones(1, 1, dtype=torch.bool), "minus", 2.0)[0]
    torch.testing.assert_close(one, f[0])


def test_alignment_loss_equals_the_definition():
    torch.manual_seed(1)
    tau, g = 0.07, torch.randn(3, 6, dtype=torch.float64)
    c, bank = (F.normalize(torch.randn(n, 6, dtype=torch.float64), dim=-1) for n in (3, 5))

    def s(x, y):
        return float(torch.dot(x, y) / x.norm() / y.norm()) / tau

    terms = []
    for i in range(3):
        positive = math.exp(s(g[i], c[i]))
        terms.append(-math.log(positive / (positive + sum(math.exp(s(g[i], b)) for b in bank))))
    assert float(alignment_loss(g, c, bank, tau)) == pytest.approx(sum(terms) / 3, rel=1e-9)


def test_tokens_of_the_batch_are_negatives_where_asked():
    torch.manual_seed(2)
    g, c = torch.randn(3, 6), F.normalize(torch.randn(3, 6), dim=-1)
    bank = F.normalize(torch.randn(4, 6), dim=-1)
    alone = [alignment_loss(g[i : i + 1], c[i : i + 1], torch.cat([bank, c[:i], c[i + 1 :]]), 0.07) for i in range(3)]
    torch.testing.assert_close(alignment_loss(g, c, bank, 0.07, in_batch=True), torch.stack(alone).mean())
    no_bank = torch.empty(0, 6)
    assert float(alignment_loss(g[:1], c[:1], no_bank, 0.07, in_batch=True)) == pytest.approx(
        float(alignment_loss(g[:1], c[:1], no_bank, 0.07))
    )
    assert float(alignment_loss(g, c, no_bank, 0.07, in_batch=True)) != float(alignment_loss(g, c, no_bank, 0.07))


def test_alignment_loss_without_a_bank_is_one_minus_the_cosine():
    g, c = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert float(alignment_loss(g, c, torch.empty(0, 2), 0.07)) == pytest.approx(0.5)


def test_bank_is_a_queue_of_the_newest_tokens():
    bank = TokenBank(4, 1)
    assert bank.negatives().shape == (0, 1)
    bank.push(torch.tensor([[1.0], [2.0], [3.0]]))
    assert bank.negatives().flatten().tolist() == [1, 2, 3]
    bank.push(torch.tensor([[4.0], [5.0]]))
    assert bank.negatives().flatten().tolist() == [2, 3, 4, 5]
    bank.push(torch.arange(6.0, 12.0)[:, None])
    assert bank.negatives().flatten().tolist() == [8, 9, 10, 11]


def test_bank_comes_back_from_its_saved_state():
    bank, other = TokenBank(3, 2), TokenBank(3, 2)
    bank.push(torch.randn(2, 2))
    assert (bank.count, other.count) == (2, 0)
    other.load_state_dict(bank.state_dict())
    assert other.count == 2
    torch.testing.assert_close(other.negatives(), bank.negatives())


def test_bank_of_size_zero_stays_empty():
    bank = TokenBank(0, 2)
    bank.push(torch.randn(3, 2))
    assert bank.negatives().shape == (0, 2)


def test_random_subset_is_never_empty_and_not_always_all():
    torch.manual_seed(0)
    sizes = {int(random_subset(3).sum()) for _ in range(100)}
    assert sizes == {1, 2, 3}
    assert random_subset(1).tolist() == [True]


def test_masked_image_keeps_chosen_segments_and_paints_the_rest():
    image = torch.full((3, 2, 2), 0.9)
    segments = SegmentMap(torch.tensor([[1, 0], [0, 2]], dtype=torch.uint8), 2)
    cut = masked_image(image, segments, torch.tensor([True, False]), (0.1, 0.2, 0.3))
    assert cut[:, 0, 0].tolist() == pytest.approx([0.9] * 3)
    assert cut[:, 1, 1].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert cut[:, 0, 1].tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_targets_of_images_of_any_size_are_those_that_clip_itself_gives():
    """One way to resize for CLIP: V2C's own would leave out what encode_image does to overshooting edges."""
    recipe = load_recipe("shapes-zps", ("base.v2c.views=complete", "base.v2c.bank_size=4"))
    clip = load_clip(recipe.clip)
    torch.manual_seed(0)
    images = [(torch.rand(3, *size) > 0.5).float() for size in ((96, 150), (64, 64), (40, 70))]
    alignment = V2CAlignment(recipe.base.v2c, clip)
    none = [(torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long))] * 3
    maps = [SegmentMap(torch.zeros(image.shape[1:], dtype=torch.uint8), 0) for image in images]
    alignment(torch.randn(3, 5, clip.dim), none, images, maps)
    expected = torch.cat([clip.encode_image(image[None]) for image in images])
    torch.testing.assert_close(alignment.bank.negatives(), expected, atol=1e-5, rtol=1e-5)
