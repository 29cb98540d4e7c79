import pytest

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_json
from scaseg_cli.html_report.charts import loss_charts, snapshot_charts
from scaseg_cli.html_report.curves import Losses, Snapshots, read_base_losses, read_generator_losses, read_snapshots
from scaseg_cli.run_dir import RunDir


@pytest.fixture
def run(tmp_path):
    (tmp_path / "base").mkdir()
    return RunDir(tmp_path)


def figure(model, step, increment, harmonic):
    return {"model": model, "step": step, "increment": increment, "seen": 0.5, "unseen": 0.5, "harmonic": harmonic}


def test_losses_are_read_as_they_were_written(run):
    (run.path / "base" / "losses.csv").write_text("iteration,loss,d0.loss_cls\n0,9.5,1\n20,4,0.5\n")
    assert read_base_losses(run) == Losses([0.0, 20.0], {"loss": [9.5, 4.0], "d0.loss_cls": [1.0, 0.5]})
    write_json(run.path / "cat" / "curve.json", [{"iteration": 3, "mmd": 1.5}])
    assert read_generator_losses(run).as_json_value() == {"iteration": [3.0], "mmd": [1.5]}


@pytest.mark.parametrize("text", ["", "loss\n3\n", "iteration,loss\n1,x\n", "iteration,loss\n1\n"])
def test_a_file_that_is_not_a_table_of_losses_is_refused(run, text):
    (run.path / "base" / "losses.csv").write_text(text)
    with pytest.raises(ScasegError, match="is not a table of losses"):
        read_base_losses(run)


@pytest.mark.parametrize("content", [3, [3], {"a": 1}])
def test_a_file_that_is_not_a_list_of_losses_is_refused(run, content):
    write_json(run.path / "cat" / "curve.json", content)
    with pytest.raises(ScasegError, match="is not a table of losses"):
        read_generator_losses(run)


def test_missing_files_are_reported(run):
    for read in (read_base_losses, read_generator_losses, read_snapshots):
        with pytest.raises(ScasegError):
            read(run)
    write_json(run.choices_file, {"measure": "pq"})
    with pytest.raises(
        ScasegError, match=r"choices\.json is not what scaseg wrote: Object missing required field `chosen`"
    ):
        read_snapshots(run)


def test_the_loss_and_its_parts_are_two_charts():
    losses = Losses([0.0, 20.0], {"loss": [9.5, 4.0], "loss_cls": [3.0, 2.0], "d0.loss_cls": [4.0, 3.0]})
    whole, parts = loss_charts(losses, "Base", "loss")
    assert whole.label == "Base, loss over iterations: loss 9.5 at first, 4 at last."
    assert parts.label == "Base, parts of the loss over iterations: cls 3 at first, 2 at last."
    assert len(loss_charts(Losses([0.0], {"loss": [1.0]}), "Base", "loss")) == 1


def test_losses_of_zero_and_one_step_can_be_drawn():
    assert len(loss_charts(Losses([3.0], {"total": [0.0], "kl": [0.0], "mmd": [-1.0]}), "Generator", "total")) == 2


def test_there_is_a_chart_for_the_method_and_one_for_the_control():
    base = [figure("base", 0, increment, 0.3) for increment in (0.0, 1.0)]
    method = [figure("method", 50, increment, 0.4) for increment in (0.0, 1.0)]
    found = snapshot_charts(Snapshots("iou", base + method, {"base": base[0], "method": method[1], "control": None}))
    (chart,) = found
    assert "hIoU % (selection)" in chart.svg
    assert "chosen" in chart.svg
    control = [figure("control", 50, 0.0, None)]
    assert len(snapshot_charts(Snapshots("pq", base + method + control, {}))) == 2
