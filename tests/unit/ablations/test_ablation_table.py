"""The table of an ablation, character by character where users read it, and the direction of effects."""

import pytest
from stage_records import RECORD

from scaseg_cli.ablations.ablate import _report
from scaseg_cli.ablations.ablation_table import result_table
from scaseg_cli.ablations.effects import Effect, effects_of, effects_table
from scaseg_cli.ablations.figures import Figures, read_figures
from scaseg_cli.ablations.jobs.stage_job import Failure
from scaseg_cli.ablations.plan import make_plan
from scaseg_cli.ablations.store import Store
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

GAMMA = {"1.5": [0.40, 0.50], "2": [0.50, 0.52], "3": [0.51, 0.50]}


@pytest.fixture
def gamma(ablation, figures):
    rows = {label: [x - 0.1 for x in values] for label, values in GAMMA.items()}
    return figures(ablation("gamma", seeds=(0, 1)), inductive=rows, transductive=GAMMA)


def test_our_figures_are_beside_the_published_ones_labelled_as_coco(gamma):
    text = result_table(gamma).to_markdown().splitlines()
    assert text[0] == "### gamma: Enhancement factor of the queries that hold a segment, in V2C"
    assert text[2] == (
        "| setting | base.v2c.gamma | ours hPQ % | ours sPQ % | ours uPQ % | ours change | published (COCO) hPQ % | "
        "published (COCO) sPQ % | published (COCO) uPQ % | published (COCO) change |"
    )
    assert text[7:10] == [
        "| transductive | 1.5 | 45.0 ± 7.1 | 45.0 ± 7.1 | 45.0 ± 7.1 | -6.0 ± 5.7 | 20.2 | **31.2** | 14.9 | -2.4 |",
        "| transductive | 2 | **51.0 ± 1.4** | **51.0 ± 1.4** | **51.0 ± 1.4** | - | **22.6** | 31.0 | 17.7 | - |",
        "| transductive | 3 | 50.5 ± 0.7 | 50.5 ± 0.7 | 50.5 ± 0.7 | -0.5 ± 2.1 | 22.4 | 30.1 | **17.9** | -0.2 |",
    ]
    assert "Recipe shapes-zps, seeds 0, 1; ± is the sample standard deviation." in text[11]
    assert "against the recipe as it is (2)" in text[11]
    assert text[13].startswith("Published: Table 7 of the supplement, measured on COCO")


def test_json_and_csv_have_unrounded_fractions_and_separate_spreads(gamma):
    table = result_table(gamma)
    row = table.as_json_value()["rows"][3]
    assert row["hpq"] == pytest.approx(0.45)
    assert row["hpq_spread"] == pytest.approx(0.0707, abs=1e-4)
    assert row["published_hpq"] == pytest.approx(0.202)
    assert table.to_csv().splitlines()[0] == (
        "setting,row,hpq,hpq_spread,spq,spq_spread,upq,upq_spread,hpq_change,hpq_change_spread,"
        "published_hpq,published_spq,published_upq,published_hpq_change"
    )


def test_one_seed_has_no_spread(ablation, figures):
    found = figures(ablation("gamma"), inductive={"2": [0.4]}, transductive={"2": [0.5]})
    table = result_table(found)
    assert table.shown_rows()[4][2] == "50.0"
    assert "±" not in table.notes[0]


def test_equal_figures_are_not_bold(ablation, figures):
    found = figures(ablation("clip-view"), inductive={"complete": [0.0], "masked": [0.0], "both": [0.0]})
    assert "**" not in result_table(found).to_markdown()


def test_a_sweep_without_published_figures_has_no_such_columns(own, figures):
    ablation = own(rows=[{"label": "less", "set": {"base.v2c.gamma": 1.0}}], settings=["transductive"])
    table = result_table(figures(ablation, transductive={"the recipe": [0.5], "less": [0.4]}))
    assert [column.key for column in table.columns] == ["setting", "row", "hpq", "spq", "upq", "hpq_change"]
    assert table.columns[1].title == "row"
    assert [row["hpq_change"] for row in table.as_json_value()["rows"]] == [None, pytest.approx(-0.1)]


def test_semantic_segmentation_has_its_own_measure(own):
    found = Figures(own(varies=["base.v2c.gamma"], values=[1.0]), "iou")
    assert [column.title for column in result_table(found).columns[2:5]] == ["ours\nhIoU", "ours\nsIoU", "ours\nuIoU"]


def test_a_failed_cell_is_shown_as_failed_with_its_log(ablation, figures, tmp_path):
    found = figures(ablation("pseudo-seen", seeds=(0, 1)), transductive={"0": [0.5, 0.6], "10": [0.4]})
    found.failures = {
        ("10", 1): Failure("the loss is nan", tmp_path / "union.txt"),
        ("50", 0): Failure("no space", tmp_path / "union.txt"),
        ("50", 1): Failure("no space", tmp_path / "union.txt"),
    }
    table = result_table(found)
    assert {row["row"]: row["seeds"] for row in table.rows} == {
        "0": "2 of 2", "10": "1 of 2", "50": "failed", "150": "failed",
    }  # fmt: skip
    assert table.rows[1]["hpq_change"] == pytest.approx(-0.1)  # of the seed that both have
    assert f"Failed: 10, seed 1: the loss is nan (log: {tmp_path / 'union.txt'})" in table.notes


@pytest.mark.parametrize(
    ("ours", "is_higher", "verdict"),
    [
        ([0.1, 0.2], True, "agrees"),
        ([-0.1, -0.2], True, "opposite"),
        ([-0.1, 0.0], False, "seeds differ"),
        ([-0.1, 0.2], False, "seeds differ"),
        ([0.0], True, "no difference"),
        ([-0.0004, 0.0004], False, "no difference"),
        ([], True, "not known"),
    ],
)
def test_a_direction_needs_all_seeds(ours, is_higher, verdict):
    assert Effect("inductive", "a", "b", 0.1, is_higher, ours).verdict == verdict


def test_each_published_effect_is_compared_with_ours_between_the_same_rows(ablation, figures):
    rows = {"20": [0.9], "50": [0.3], "150": [0.4], "300": [0.6], "600": [0.5]}
    found = effects_of(figures(ablation("pseudo-unseen"), transductive=rows))
    # 300 was published as equal to 150; the recipe's own row, 20, was not published
    assert [(e.row, e.against, e.is_higher, e.verdict) for e in found] == [
        ("50", "150", False, "agrees"),
        ("600", "150", False, "opposite"),
    ]
    assert found[0].published == pytest.approx(-0.003)


def test_effects_are_counted_below_their_table(gamma):
    table = effects_table(gamma)
    assert table is not None
    assert [row["verdict"] for row in table.rows] == ["agrees", "seeds differ", "agrees", "seeds differ"]
    assert table.notes == ["Effects by direction: agrees 2, seeds differ 2."]
    assert table.shown_rows()[2] == ["transductive", "1.5 against 2", "-2.4", "-6.0 ± 5.7", "2 of 2", "agrees"]


def test_a_sweep_may_claim_the_direction_of_an_effect(own, figures):
    claims = [{"row": 1.0, "against": 2.0, "setting": "transductive", "is": "higher"}]
    found = figures(own(varies=["base.v2c.gamma"], values=[1.0], claims=[]), transductive={"1": [0.4], "2": [0.5]})
    assert effects_table(found) is None
    with pytest.raises(ValueError, match="there is no row '2'"):
        own(varies=["base.v2c.gamma"], values=[1.0], claims=claims)
    ablation = own(varies=["base.v2c.gamma"], values=[1.0, 2.0], claims=claims)
    (effect,) = effects_of(figures(ablation, transductive={"1": [0.4], "2": [0.5]}))
    assert (effect.published, effect.verdict) == (None, "opposite")


def test_figures_are_read_from_the_evaluations_records(ablation, tmp_path):
    found = ablation("increment", values=[0.0])
    plan = make_plan([found], Store(RunDir(tmp_path)))
    for cell in plan.cells:
        run = plan.store.run(plan.nodes[cell.nodes[-1]])
        x = 0.2 if cell.label == "0" else None
        groups = {"seen": {"pq": 0.6}, "unseen": {"pq": 0.1}, "harmonic": {"pq": x}}
        run.write_record("evaluation", RECORD | {"summary": {"inductive": groups}})
    figures = read_figures(found, plan, {})
    assert figures.of("0", "inductive", "harmonic") == {0: 0.2}
    assert figures.of("1", "inductive", "harmonic") == {}  # not defined there
    assert figures.of("1", "inductive", "seen") == {0: 0.6}
    failed = {plan.cells[0].nodes[-1]: Failure("no", tmp_path)}
    assert read_figures(found, plan, failed).failures == {("0", 0): failed[plan.cells[0].nodes[-1]]}


def test_the_recipes_name_is_below_the_table(own, figures):
    assert (
        load_recipe("shapes-zps").name in result_table(figures(own(varies=["base.v2c.gamma"], values=[1.0]))).notes[0]
    )


def test_files_of_an_earlier_command_with_other_rows_are_not_left_behind(ablation, figures, tmp_path):
    store, folder = Store(RunDir(tmp_path)), tmp_path / "ablations" / "pseudo-unseen"
    values = {"20": [0.1], "150": [0.4], "300": [0.4], "600": [0.5]}
    _report(figures(ablation("pseudo-unseen", values=[150, 600]), transductive=values), store)
    assert {path.stem for path in folder.iterdir()} == {"results", "effects", "plot"}
    _report(figures(ablation("pseudo-unseen", values=[300])), store)
    assert {path.stem for path in folder.iterdir()} == {"results"}
