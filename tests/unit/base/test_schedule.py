"""The learning rate as a function of the iteration."""

import pytest

from scaseg_cli.base.hooks import learning_rate_factor
from scaseg_cli.recipe import load_recipe


def test_poly_falls_by_the_power_of_0_9_of_what_is_left():
    base = load_recipe(None, ("base.schedule=poly", "base.iterations=100", "base.warmup=0")).base
    found = [learning_rate_factor(base, iteration) for iteration in (0, 50, 99)]
    assert found == pytest.approx([1.0, 0.5**0.9, 0.01**0.9])


def test_steps_drop_tenfold_at_their_parts_of_the_schedule():
    base = load_recipe(None, ("base.schedule=steps", "base.iterations=100", "base.warmup=0")).base
    factors = [learning_rate_factor(base, i) for i in (0, 89, 90, 94, 95, 99)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_warm_up_rises_to_the_full_rate():
    base = load_recipe(None, ("base.schedule=steps", "base.iterations=100", "base.warmup=4")).base
    assert [learning_rate_factor(base, i) for i in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_cosine_falls_to_nothing():
    base = load_recipe(None, ("base.schedule=cosine", "base.iterations=100", "base.warmup=0")).base
    assert learning_rate_factor(base, 0) == 1.0
    assert learning_rate_factor(base, 50) == pytest.approx(0.5)
    assert learning_rate_factor(base, 99) < 0.001
