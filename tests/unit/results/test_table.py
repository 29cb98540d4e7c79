"""The exact outputs of a table."""

import json
import math

import numpy as np
import pytest

from scaseg_cli.errors import ScasegError
from scaseg_cli.results.table import Column, Table, json_value, paths_of, shown, write


@pytest.fixture
def table():
    return Table(
        "Panoptic | quality",
        [
            Column("model", "Model"),
            Column("images", "Images", "count"),
            Column("hpq", "hPQ", "percent"),
            Column("loss", "Loss", "number"),
            Column("best", "Best", "flag"),
        ],
        [
            {"model": "base, [a|b]", "images": 400, "hpq": 1 / 3, "loss": 0.0123456, "best": False, "_section": True},
            {"model": "union", "images": np.int64(400), "hpq": np.float32(0.5), "best": np.True_, "_style": "bold"},
            {"model": 'a "name"', "hpq": math.nan, "loss": None},
        ],
        ["Means over present classes.", "Seed 0."],
    )


def test_markdown(table):
    assert table.to_markdown() == (
        "### Panoptic \\| quality\n"
        "\n"
        "| Model | Images | hPQ % | Loss | Best |\n"
        "| --- | ---: | ---: | ---: | --- |\n"
        "| base, [a\\|b] | 400 | 33.3 | 0.0123 | no |\n"
        "| **union** | **400** | **50.0** | **-** | **yes** |\n"
        '| a "name" | - | - | - | - |\n'
        "\n"
        "Means over present classes.\n"
        "\n"
        "Seed 0.\n"
    )


def test_csv_has_keys_and_whole_fractions(table):
    assert table.to_csv() == (
        "model,images,hpq,loss,best\n"
        '"base, [a|b]",400,0.3333333333333333,0.0123456,false\n'
        "union,400,0.5,,true\n"
        '"a ""name""",,,,\n'
    )


def test_json_has_whole_fractions_and_no_marks(table):
    value = table.as_json_value()
    assert json.loads(json.dumps(value, allow_nan=False)) == {
        "title": "Panoptic | quality",
        "columns": [
            {"key": "model", "title": "Model", "kind": "text"},
            {"key": "images", "title": "Images", "kind": "count"},
            {"key": "hpq", "title": "hPQ", "kind": "percent"},
            {"key": "loss", "title": "Loss", "kind": "number"},
            {"key": "best", "title": "Best", "kind": "flag"},
        ],
        "rows": [
            {"model": "base, [a|b]", "images": 400, "hpq": 1 / 3, "loss": 0.0123456, "best": False},
            {"model": "union", "images": 400, "hpq": 0.5, "loss": None, "best": True},
            {"model": 'a "name"', "images": None, "hpq": None, "loss": None, "best": None},
        ],
        "notes": ["Means over present classes.", "Seed 0."],
    }


def test_write_makes_four_whole_files(table, tmp_path):
    paths = write(table, tmp_path / "evaluation", "results")
    assert paths == paths_of(tmp_path / "evaluation", "results")
    assert [path.name for path in paths] == ["results.json", "results.csv", "results.md", "results.tex"]
    assert json.loads(paths[0].read_text()) == table.as_json_value()
    assert paths[1].read_text() == table.to_csv()
    assert paths[2].read_text() == table.to_markdown()
    assert paths[3].read_text() == table.to_latex()
    assert len(list(paths[0].parent.iterdir())) == 4


@pytest.fixture
def spread_table():
    columns = [Column("row", "50 % of A_b"), Column("hpq", "published (COCO)\nhPQ", "percent", spread="hpq_spread")]
    rows = [
        {"row": "a & b", "hpq": 0.5, "hpq_spread": 0.012, "_best": {"hpq"}, "_section": True},
        {"row": "c", "hpq": 0.25},
        {"row": "d", "hpq_spread": 0.5, "_section": True},
    ]
    return Table("Δ of x^2", columns, rows, ["± is the spread."])


def test_a_spread_stands_behind_its_value_for_people_and_in_a_column_for_programs(spread_table):
    assert [cells[1] for cells in spread_table.shown_rows()] == ["50.0 ± 1.2", "25.0", "-"]
    assert spread_table.to_csv().splitlines()[:3] == ["row,hpq,hpq_spread", "a & b,0.5,0.012", "c,0.25,"]
    value = spread_table.as_json_value()
    assert value["rows"][0] == {"row": "a & b", "hpq": 0.5, "hpq_spread": 0.012}
    assert [Column(**column) for column in value["columns"]] == spread_table.columns


def test_the_best_cells_stand_out_in_markdown(spread_table):
    lines = spread_table.to_markdown().splitlines()
    assert lines[2] == "| 50 % of A_b | published (COCO) hPQ % |"
    assert lines[4:6] == ["| a & b | **50.0 ± 1.2** |", "| c | 25.0 |"]


def test_latex(spread_table):
    assert spread_table.to_latex().splitlines() == [
        "% \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        "\\caption{$\\Delta$ of x\\textasciicircum{}2}",
        "\\begin{tabular}{lr}",
        "\\toprule",
        "50 \\% of A\\_b & published (COCO) hPQ \\% \\\\",
        "\\midrule",
        "a \\& b & \\textbf{50.0 $\\pm$ 1.2} \\\\",
        "\\midrule",
        "c & 25.0 \\\\",
        "d & - \\\\",
        "\\bottomrule",
        "\\end{tabular}",
        "\\par\\footnotesize $\\pm$ is the spread.",
        "\\end{table}",
    ]


def test_signs_that_mean_something_to_latex_are_escaped():
    columns = [Column("row", "{$1}"), Column("change", "h", "points"), Column("loss", "loss", "number")]
    rows = [
        {"row": "[a] ~b~ <c> | \\d", "change": -0.0123, "loss": -1.5},
        {"row": "* # 5 %", "change": 0.5},
    ]
    lines = Table("A_1 & B", columns, rows, ["{}"]).to_latex().splitlines()
    assert lines[3] == r"\caption{A\_1 \& B}"
    assert lines[6] == r"\{\$1\} & h & loss \\"
    # a bracket or a star at the start of a row would belong to the line break before it
    assert lines[8] == (
        r"{}[a] \textasciitilde{}b\textasciitilde{} \textless{}c\textgreater{} \textbar{} \textbackslash{}d "
        r"& $-$1.2 & $-$1.50 \\"
    )
    assert lines[9] == r"{}* \# 5 \% & +50.0 & - \\"
    assert lines[12] == r"\par\footnotesize \{\}"


def test_write_reports_a_folder_that_cannot_be_made(table, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ScasegError, match="cannot write"):
        write(table, tmp_path / "file", "results")


def test_a_row_with_a_key_that_no_column_shows_is_refused():
    with pytest.raises(ValueError, match=r"table 'T' has no column for \['hqp'\]"):
        Table("T", [Column("hpq", "hPQ", "percent")], [{"hqp": 0.5}])
    late = Table("T", [Column("hpq", "hPQ", "percent")])
    late.rows.append({"hqp": 0.5})
    with pytest.raises(ValueError, match="hqp"):
        late.to_csv()


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.12345, "number", "0.123"),
        (12.345, "number", "12.3"),
        (-1.5, "number", "-1.50"),
        (123456.7, "number", "123457"),
        (0.000123, "number", "0.000123"),
        (0.0000123, "number", "1.23e-05"),
        (9.996, "number", "10.0"),
        (0.99961, "number", "1.00"),
        (3.2e9, "number", "3.20e+09"),
        (7, "number", "7"),
        (0.0, "number", "0"),
        (0.0, "percent", "0.0"),
        (1.0, "percent", "100.0"),
        (0.0123, "points", "+1.2"),
        (-0.0123, "points", "-1.2"),
        (-0.0004, "points", "+0.0"),
        (1234567, "count", "1234567"),
        (math.inf, "number", "-"),
        ("", "text", ""),
        (None, "flag", "-"),
    ],
)
def test_values_as_a_person_reads_them(value, kind, text):
    assert shown(value, kind) == text


def test_json_value_takes_numpy_apart(tmp_path):
    value = {"a": np.array([1.0, np.nan]), 2: (np.int32(3), tmp_path), "b": [np.inf, "x", None, np.bool_(False)]}
    assert json_value(value) == {"a": [1.0, None], "2": [3, str(tmp_path)], "b": [None, "x", None, False]}
