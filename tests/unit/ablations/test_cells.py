"""The cells of an ablation: what each row changes, the recipe's own row, and what the schema refuses."""

import pytest

from scaseg_cli.ablations.cells import make_ablation, parse_values
from scaseg_cli.ablations.find import find_sweep
from scaseg_cli.ablations.rows import OWN
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe


def labels(ablation):
    return [row.label for row in ablation.rows]


def default(ablation):
    return [row.label for row in ablation.rows if row.is_default]


def test_each_row_and_seed_has_its_recipe(ablation):
    found = ablation("bank-temperature", seeds=(3, 5))
    row = next(row for row in found.rows if row.label == "64, 0.15")
    assert {seed: (r.seed, r.base.v2c.bank_size, r.cat.tau_r) for seed, r in row.recipes.items()} == {
        3: (3, 64, 0.15),
        5: (5, 64, 0.15),
    }
    assert default(found) == ["32, 0.07"]


def test_the_recipes_own_value_joins_values_that_rise(ablation):
    found = ablation("pseudo-unseen")
    assert labels(found) == ["20", "50", "150", "300", "600"]
    assert default(found) == ["20"]


def test_the_recipes_own_value_comes_first_among_others(recipe):
    found = make_ablation(*find_sweep("templates"), recipe, (0,), ["vild", "padding8"])
    assert labels(found) == ["single", "vild", "padding8"]
    assert default(found) == ["single"]


def test_a_recipe_that_is_none_of_the_named_rows_is_one_more():
    recipe = load_recipe("shapes-zps", ("cat.mixup=0.5",))
    found = make_ablation(*find_sweep("generator"), recipe, (0,))
    assert labels(found)[0] == OWN
    assert default(found) == [OWN]


def test_values_choose_rows_or_bring_new_ones(ablation):
    assert labels(ablation("bank-size", values=parse_values("16,48"))) == ["16", "32", "48"]
    assert labels(ablation("null-embedding", values=parse_values("without"))) == ["with", "without"]
    assert labels(ablation("bank-temperature", values=parse_values("[8, 0.1]"))) == ["32, 0.07", "8, 0.1"]


def test_rows_with_settings_of_their_own_each_have_a_default(ablation):
    found = ablation("components")
    assert default(found) == ["with V2C", "all"]
    assert [row.settings for row in found.rows] == [("inductive",)] * 2 + [("transductive",)] * 2
    assert labels(ablation("components", settings=("inductive",))) == ["base model without V2C", "with V2C"]


def test_an_inductive_row_asks_for_no_more_than_stage_1(ablation):
    (row, *_) = ablation("increment").rows
    assert row.recipes[0].evaluation.setting == "inductive"
    (row, *_) = ablation("gamma").rows
    assert row.recipes[0].evaluation.setting == "both"


def test_what_the_schema_refuses_is_told_with_the_cell_all_of_it_at_once(ablation):
    with pytest.raises(ScasegError) as caught:
        ablation("bank-size", values=parse_values("-3, huge, 16"))
    said = caught.value.message
    assert "ablation bank-size, cell '-3' has 1 mistake:" in said
    assert "base.v2c.bank_size: should be greater than or equal to 0 (it is -3)" in said
    assert "cell 'huge'" in said
    assert "'16'" not in said


def test_a_key_that_no_recipe_has(own):
    with pytest.raises(ScasegError, match=r"cell '1'.*\n  base\.v2c\.gama: unknown key, did you mean 'gamma'\?"):
        own(varies=["base.v2c.gama"], values=[1])


def test_a_learning_rate_beyond_reason_is_refused_before_anything_runs(own):
    with pytest.raises(ScasegError, match=r"union\.learning_rate: should be less than or equal to 1"):
        own(varies=["union.learning_rate"], values=[1e38])


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("generator", "foo", "ablation generator has no row 'foo'"),
        ("bank-temperature", "16", "16 is not a list of 2 values"),
    ],
)
def test_values_that_do_not_fit(ablation, name, values, told):
    with pytest.raises(ScasegError, match=told):
        ablation(name, values=parse_values(values))


@pytest.mark.parametrize(("text", "told"), [("", "names no value"), (" ", "names no value"), ("[1", "cannot be read")])
def test_values_that_are_none(text, told):
    with pytest.raises(ScasegError, match=told):
        parse_values(text)


def test_a_setting_in_which_nothing_is_reported(ablation):
    with pytest.raises(ScasegError, match="no row in the transductive setting") as caught:
        ablation("increment", settings=("transductive",))
    assert caught.value.hint == "It is reported in the inductive setting."


def test_published_figures_are_of_panoptic_segmentation_alone(ablation):
    assert ablation("gamma").published.number == 7
    assert make_ablation(*find_sweep("gamma"), load_recipe("shapes-zss"), (0,)).published is None
    assert ablation("components").published is None
