"""Deformable attention in plain PyTorch against mmcv's own form: equal, with nothing kept but the inputs."""

import importlib.util
import inspect

import pytest
import torch
from benchmark_files import benchmark

from scaseg_cli.base import attention_operators
from scaseg_cli.base.attention_operators import DEFORMOPS, MMCV, TORCH_MS_DEFORM_ATTN, function_for, operator_for
from scaseg_cli.base.deformable_attention import ByLevel, BySparseMatrix, deformable_attention

BENCHMARK = benchmark("deformable_attention")
FORMS = [BySparseMatrix, ByLevel]


def inputs(dtype=torch.float64, batch=2, sizes=((5, 7), (3, 2), (1, 1)), width=4):
    """Values, sizes, places of which some are outside, and weights."""
    random = torch.Generator().manual_seed(0)
    num_keys = sum(height * columns for height, columns in sizes)
    values = torch.randn(batch, num_keys, 3, width, generator=random, dtype=torch.float64)
    places = 1.6 * torch.rand(batch, 11, 3, len(sizes), 2, 2, generator=random, dtype=torch.float64) - 0.3
    weights = torch.rand(batch, 11, 3, len(sizes), 2, generator=random, dtype=torch.float64)
    values, places, weights = (one.to(dtype).requires_grad_() for one in (values, places, weights))
    return values, torch.tensor(sizes), places, weights


def with_gradients(form, values, sizes, places, weights):
    found = form(values, sizes, places, weights)
    random = torch.randn(found.shape, generator=torch.Generator().manual_seed(1), dtype=found.dtype)
    return [found, *torch.autograd.grad((found * random).sum(), (values, places, weights))]


def form_of(function):
    return lambda values, sizes, places, weights: function.apply(
        values, places, weights, [tuple(size) for size in sizes.tolist()]
    )


@pytest.mark.parametrize("function", FORMS)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_output_and_gradients_equal_mmcvs(function, dtype, bound):
    given = inputs(dtype)
    found, expected = with_gradients(form_of(function), *given), with_gradients(BENCHMARK.before, *given)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() <= bound * other.abs().max()


@pytest.mark.parametrize("function", FORMS)
def test_gradients_are_right(function):
    values, sizes, places, weights = inputs(batch=1, sizes=((2, 3), (1, 2)), width=2)
    form = form_of(function)
    assert torch.autograd.gradcheck(lambda *of: form(of[0], sizes, *of[1:]), (values, places, weights))


@pytest.mark.parametrize("function", FORMS)
def test_places_far_outside_add_nothing(function):
    values, sizes, places, weights = inputs()
    far = torch.full_like(places, 1e30) * torch.tensor([1.0, -1.0])
    found, *_, of_weights = with_gradients(form_of(function), values, sizes, far.requires_grad_(), weights)
    assert not found.any()
    assert not of_weights.any()


def test_places_that_are_not_numbers_crash_nothing():
    values, sizes, places, weights = inputs()
    broken = torch.full_like(places, float("nan")).requires_grad_()
    assert with_gradients(form_of(BySparseMatrix), values, sizes, broken, weights)[0].isnan().all()


@pytest.mark.parametrize("function", FORMS)
def test_nothing_but_the_inputs_is_kept_for_backward(function):
    given = inputs(torch.float32, width=32)
    own, before = (BENCHMARK.kept_bytes(form, given) for form in (form_of(function), BENCHMARK.before))
    assert own == sum(one.numel() * one.element_size() for one in (given[0], *given[2:]))
    assert own < before / 2


def test_lower_precision_is_computed_in_float32():
    values, sizes, places, weights = inputs(torch.float32)
    halves = values.bfloat16()
    found = deformable_attention(halves, sizes, places, weights)
    assert found.dtype == torch.float32
    assert torch.equal(found, deformable_attention(halves.float(), sizes, places, weights))


def test_sums_do_not_depend_on_the_threads():
    given, threads = inputs(torch.float32), torch.get_num_threads()
    found = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            found.append(with_gradients(deformable_attention, *given))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_the_network_uses_it():
    importlib.import_module("scaseg_cli.base.head")
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttention

    forward = inspect.unwrap(MultiScaleDeformableAttention.forward)
    assert forward.__globals__["multi_scale_deformable_attn_pytorch"] is deformable_attention


@pytest.mark.skipif(
    importlib.util.find_spec("torch_ms_deform_attn") is None, reason="torch-ms-deform-attn is not installed"
)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_torch_ms_deform_attn_is_used_and_equals_mmcvs(dtype, bound):
    assert operator_for("cpu") is TORCH_MS_DEFORM_ATTN
    assert function_for("cpu") is not None
    found, expected = (
        with_gradients(deformable_attention, *inputs(dtype)),
        with_gradients(BENCHMARK.before, *inputs(dtype)),
    )
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= bound * other.abs().max()


@pytest.mark.parametrize(
    ("there", "on_cpu", "on_cuda"),
    [
        ([], None, None),
        ([MMCV], None, MMCV),
        ([DEFORMOPS], None, DEFORMOPS),
        ([TORCH_MS_DEFORM_ATTN, DEFORMOPS], TORCH_MS_DEFORM_ATTN, TORCH_MS_DEFORM_ATTN),
        ([MMCV, TORCH_MS_DEFORM_ATTN], TORCH_MS_DEFORM_ATTN, MMCV),
    ],
)
def test_the_first_operator_for_the_device_is_used(there, on_cpu, on_cuda, monkeypatch):
    monkeypatch.setattr(attention_operators, "_is_installed", there.__contains__)
    assert (operator_for("cpu"), operator_for("cuda")) == (on_cpu, on_cuda)
