"""The VAE's layers, its training and its sampling mode."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scaseg_cli.cat.network import VariationalGenerator


@pytest.fixture
def network() -> VariationalGenerator:
    torch.manual_seed(0)
    made = VariationalGenerator(visual_dim=6, embedding_dim=4, hidden=8, latent=3)
    with torch.no_grad():  # statistics as after some training
        for _ in range(5):
            v, a = torch.randn(16, 6), torch.randn(16, 4)
            made.decode(made.encode(v, a)[0], a)
    return made


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_four_linear_layers_the_last_one_plain(network: VariationalGenerator, part: str) -> None:
    kinds = [type(layer) for layer in getattr(network, part)]
    assert kinds == [nn.Linear, nn.BatchNorm1d, nn.LeakyReLU] * 3 + [nn.Linear]


def test_shapes(network: VariationalGenerator) -> None:
    mu, log_var = network.encode(torch.randn(5, 6), torch.randn(5, 4))
    assert mu.shape == log_var.shape == (5, 3)
    assert network.decode(mu, torch.randn(5, 4)).shape == (5, 6)


def test_the_encoder_sees_the_embedding_and_the_semantics(network: VariationalGenerator) -> None:
    network.eval()
    v, a = torch.randn(2, 6), torch.randn(2, 4)
    mu = network.encode(v, a)[0]
    assert not torch.equal(mu, network.encode(v + 1, a)[0])
    assert not torch.equal(mu, network.encode(v, a + 1)[0])


def test_a_sample_does_not_depend_on_its_neighbours(network: VariationalGenerator) -> None:
    network.train()
    a = torch.randn(4, 4)
    alone = network.sample(a[:2], torch.Generator().manual_seed(1))
    together = network.sample(a, torch.Generator().manual_seed(1))
    torch.testing.assert_close(alone, together[:2])


def test_sampling_changes_no_statistics_and_keeps_no_gradient(network: VariationalGenerator) -> None:
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    drawn = network.sample(torch.randn(9, 4), torch.Generator().manual_seed(1))
    assert not drawn.requires_grad
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_sample_varies_with_the_noise_and_with_the_class(network: VariationalGenerator) -> None:
    a = torch.randn(1, 4)
    drawn = network.sample(a.expand(2, -1), torch.Generator().manual_seed(1))
    assert not torch.allclose(drawn[0], drawn[1])
    one, other = (network.sample(x, torch.Generator().manual_seed(1)) for x in (a, a + 1))
    assert not torch.allclose(one, other)
