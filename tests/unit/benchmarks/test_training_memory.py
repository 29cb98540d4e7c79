"""The memory of tensors that have no values is counted as that of others."""

import torch
from benchmark_files import benchmark
from torch._subclasses.fake_tensor import FakeTensorMode

from scaseg_cli.base.head import _at_smallest

BLOCK = 512


def test_each_storage_counts_once_while_it_lives() -> None:
    live = benchmark("training_memory").LiveBytes("cuda")
    with FakeTensorMode(), live:
        one = torch.ones(2, 1000, device="cuda")
        assert live.now == 8192  # 8,000 bytes in blocks of 512
        view, elsewhere = one.t()[5:], torch.ones(1000)
        assert live.now == 8192
        other = one.half() + 1
        assert (live.now, live.peak) == (8192 + 4096, 8192 + 2 * 4096)
        del one, other
        assert live.now == 8192  # the view keeps it
        del view, elsewhere
        assert live.now == 0


def test_a_linear_layer_keeps_its_input_and_in_16_bits_half_of_it() -> None:
    module = benchmark("training_memory")
    kept = []
    for half in (None, torch.bfloat16):
        live = module.LiveBytes("cuda")
        with FakeTensorMode():
            weight = torch.zeros(512, 512, device="cuda", requires_grad=True)
            images = torch.zeros(4, 512, device="cuda")
            for tensor in (weight, images):
                live.hold(tensor)
            before = live.now
            with live, module._autocast("cuda", half):
                found = (images @ weight).relu() @ weight
            kept.append(live.now - before - found.untyped_storage().nbytes())
            del found
    assert not torch.is_autocast_enabled("cuda")
    rows, square = 4 * 512, 512 * 512
    # float32: the first product's relu; 16 bits: weight and images too
    assert kept == [4 * rows, 2 * (2 * rows + square)]


def test_queries_are_paired_in_order() -> None:
    pairs = benchmark("training_memory").in_order(torch.empty(3, 2, 5, 7), [7, 2])
    assert len(pairs) == 3
    assert pairs[0].image_N.tolist() == [0] * 5 + [1] * 2
    assert pairs[0].query_N.tolist() == pairs[0].segment_N.tolist() == [0, 1, 2, 3, 4, 0, 1]


def test_the_most_uncertain_points_are_found_of_tensors_without_values() -> None:
    with FakeTensorMode():
        points = _at_smallest(torch.rand(2, 9, 2), torch.rand(2, 9), 3)
    assert points.shape == (2, 3, 2)
