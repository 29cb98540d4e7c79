"""The cells of an ablation: the changes of each row, the recipe's own row, and errors of the schema."""

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


def test_the_recipes_own_value_is_sorted_in_among_numbers(ablation):
    found = ablation("pseudo-unseen")
    assert labels(found) == ["20", "50", "150", "300", "600"]
    assert default(found) == ["20"]


def test_the_recipes_own_value_comes_first_among_others(recipe):
    found = make_ablation(*find_sweep("templates"), recipe, (0,), ["vild", "padding8"])
    assert labels(found) == ["single", "vild", "padding8"]
    assert default(found) == ["single"]


def test_a_recipe_that_equals_none_of_the_named_rows_adds_a_row():
    recipe = load_recipe("shapes-zps", ("cat.mixup=0.5",))
    found = make_ablation(*find_sweep("generator"), recipe, (0,))
    assert labels(found)[0] == OWN
    assert default(found) == [OWN]


def test_values_choose_rows_or_add_new_ones(ablation):
    assert labels(ablation("bank-size", values=parse_values("16,48"))) == ["16", "32", "48"]
    assert labels(ablation("null-embedding", values=parse_values("without"))) == ["with", "without"]
    assert labels(ablation("bank-temperature", values=parse_values("[8, 0.1]"))) == ["32, 0.07", "8, 0.1"]


def test_rows_with_settings_of_their_own_each_have_a_default(ablation):
    found = ablation("components")
    assert default(found) == ["with V2C", "all"]
    assert [row.settings for row in found.rows] == [("inductive",)] * 2 + [("transductive",)] * 6
    assert labels(ablation("components", settings=("inductive",))) == ["base model without V2C", "with V2C"]


def test_an_inductive_row_needs_stage_1_only(ablation):
    (row, *_) = ablation("increment").rows
    assert row.recipes[0].evaluation.setting == "inductive"
    (row, *_) = ablation("gamma").rows
    assert row.recipes[0].evaluation.setting == "both"


def test_all_errors_of_the_schema_are_reported_at_once_with_their_cells(ablation):
    with pytest.raises(ScasegError) as caught:
        ablation("bank-size", values=parse_values("-3, huge, 16"))
    said = caught.value.message
    assert "ablation bank-size, cell '-3' has 1 mistake:" in said
    assert "base.v2c.bank_size: should be greater than or equal to 0 (it is -3)" in said
    assert "cell 'huge'" in said
    assert "'16'" not in said


def test_an_unknown_key_is_reported_with_a_suggestion(own):
    with pytest.raises(ScasegError, match=r"cell '1'.*\n  base\.v2c\.gama: unknown key, did you mean 'gamma'\?"):
        own(varies=["base.v2c.gama"], values=[1])


def test_a_learning_rate_beyond_reason_is_refused_before_anything_runs(own):
    with pytest.raises(ScasegError, match=r"union\.learning_rate: should be less than or equal to 1"):
        own(varies=["union.learning_rate"], values=[1e38])


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("generator", "foo", "ablation generator has no row 'foo'"),
        ("bank-temperature", "16", "16 is not a list of 2 values"),
    ],
)
def test_values_that_do_not_fit(ablation, name, values, message):
    with pytest.raises(ScasegError, match=message):
        ablation(name, values=parse_values(values))


@pytest.mark.parametrize(
    ("text", "message"), [("", "names no value"), (" ", "names no value"), ("[1", "cannot be read")]
)
def test_values_that_cannot_be_parsed(text, message):
    with pytest.raises(ScasegError, match=message):
        parse_values(text)


def test_a_setting_in_which_nothing_is_reported(ablation):
    with pytest.raises(ScasegError, match="no row in the transductive setting") as caught:
        ablation("increment", settings=("transductive",))
    assert caught.value.hint == "It is reported in the inductive setting."


def test_only_panoptic_segmentation_has_published_figures(ablation):
    assert ablation("gamma").published.number == 7
    assert make_ablation(*find_sweep("gamma"), load_recipe("shapes-zss"), (0,)).published is None
    assert ablation("components").published is None
