from pathlib import Path

from stage_records import RECORD

from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.shared_stages import link_stage, take_over
from scaseg_cli.stages import stage_key

SHA_OF_NEW = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"


def test_a_linked_stage_replaces_what_was_there(tmp_path: Path) -> None:
    donor, run = RunDir(tmp_path / "a"), RunDir(tmp_path / "b")
    for place in (donor, run):
        place.folder("cat")
    donor.generator_file.write_text("new")
    (donor.path / "cat" / "progress.pt").write_text("of a stage in its midst")
    (donor.path / "cat" / "curve.json").write_text("{}")
    (run.path / "cat" / "old").write_text("old")
    donor.write_record("cat", RECORD | {"outputs": {"cat/generator.safetensors": {"sha256": "0", "bytes": 3}}})
    link_stage("cat", donor, run)
    names = sorted(path.name for path in (run.path / "cat").iterdir())
    assert names == ["curve.json", "generator.safetensors", "record.json"]
    assert run.generator_file.read_text() == "new"
    assert run.record("cat") == donor.record("cat")
    # outputs are replaced, so they may share their bytes; a curve is written in place
    assert run.generator_file.stat().st_ino == donor.generator_file.stat().st_ino
    assert (run.path / "cat" / "curve.json").stat().st_ino != (donor.path / "cat" / "curve.json").stat().st_ino


def test_only_stages_with_the_same_key_are_taken_over(tmp_path: Path) -> None:
    recipe = load_recipe("shapes-zps", ("seed=1",))
    donor, run = RunDir(tmp_path / "a"), RunDir(tmp_path / "b")
    for place in (donor, run):
        _finish(place, "data", stage_key(recipe, place, "data"))
    _finish(donor, "split", stage_key(recipe, donor, "split"), lists={"classes": "c", "train": "t"})
    other = load_recipe("shapes-zps", ("seed=2",))
    _finish(donor, "embeddings", stage_key(recipe, donor, "embeddings"))
    _finish(donor, "base", stage_key(other, donor, "base"))
    assert take_over(recipe, run, [donor]) == ["split", "embeddings"]
    assert take_over(recipe, run, [donor]) == []
    assert run.record("base") is None


def _finish(run: RunDir, stage: str, key: str, **more: object) -> None:
    run.folder(stage)
    (run.path / stage / "result.txt").write_text("new")
    outputs = {f"{stage}/result.txt": {"sha256": SHA_OF_NEW, "bytes": 3}}
    run.write_record(stage, RECORD | {"key": key, "outputs": outputs, **more})
