import pytest
import torch

from scaseg_cli.clip import load_clip
from scaseg_cli.embeddings import check_encoder, embed_classes, load_embeddings
from scaseg_cli.embeddings.encode import encode_classes
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.recipe.schema import Clip
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import ClassList, SplitClass, write_classes
from scaseg_cli.stages import is_done, require


def test_the_stage_writes_what_it_reports(recipe, run, classes, clip):
    report = embed_classes(recipe, run)
    require(recipe, run, "embeddings")
    found = load_embeddings(recipe, run)
    assert found.names == classes.names
    assert found.fingerprint == clip.fingerprint
    assert found.templates == ("a photo of a {}.",)
    expected = encode_classes(clip, classes.names, ("a photo of a {}.",), 256).means()
    assert torch.equal(found.vectors_NC, expected)
    assert report.next_command == "scaseg train-base"
    assert report.wrote == [run.embeddings_file]


@pytest.mark.parametrize("rows", [512, 3])
def test_the_table_says_how_the_classes_lie(recipe, run, classes, clip, rows, monkeypatch):
    monkeypatch.setattr("scaseg_cli.embeddings.embed._ROWS", rows)
    report = embed_classes(recipe, run)
    vectors = encode_classes(clip, classes.names, ("a photo of a {}.",), 256).means()
    num_seen = classes.num_seen
    pairs = [vectors[i] @ vectors[j] for i in range(num_seen) for j in range(num_seen) if i != j]
    across = [vectors[u] @ vectors[s] for u in range(num_seen, len(classes)) for s in range(num_seen)]
    row = report.tables[0].rows[0]
    assert (row["num_classes"], row["num_unseen"], row["num_templates"], row["dim"]) == (40, 8, 1, 64)
    assert row["cosine_seen"] == pytest.approx(float(torch.stack(pairs).mean()), abs=1e-6)
    assert row["cosine_unseen"] == pytest.approx(float(torch.stack(across).mean()), abs=1e-6)
    for i, line in enumerate(report.tables[1].rows):
        cosines = vectors[:num_seen] @ vectors[num_seen + i]
        assert line["unseen"] == classes.names[num_seen + i]
        assert line["nearest"] == classes.names[int(cosines.argmax())]
        assert line["cosine"] == pytest.approx(float(cosines.max()), abs=1e-6)
    for table in report.tables:
        assert table.to_markdown()


def test_without_a_split_the_command_is_named(recipe, tmp_path):
    with pytest.raises(ScasegError, match="no finished split") as caught:
        embed_classes(recipe, RunDir(tmp_path / "other"))
    assert "scaseg split-dataset" in caught.value.hint


def test_without_embeddings_the_command_is_named(recipe, run):
    with pytest.raises(ScasegError, match="does not exist") as caught:
        load_embeddings(recipe, run)
    assert "scaseg embed-classes" in caught.value.hint


def test_bad_templates_and_bad_clips_leave_what_was_there(recipe, run, tmp_path):
    embed_classes(recipe, run)
    (tmp_path / "bad.txt").write_text("nothing\n")
    for change, message in (
        (f"embeddings.templates={tmp_path / 'bad.txt'}", "line 1"),
        ("clip.model=ViT-B-61", "has no model"),
    ):
        with pytest.raises(ScasegError, match=message):
            embed_classes(load_recipe("shapes-zps", (change,)), run)
    assert is_done(recipe, run, "embeddings")


def test_embeddings_of_other_classes_are_refused(recipe, run, classes):
    embed_classes(recipe, run)
    first, second, *rest = classes.classes
    write_classes(run, recipe.task, ClassList((second, first, *rest)))
    with pytest.raises(ScasegError, match="it has another order") as caught:
        load_embeddings(recipe, run)
    assert "scaseg embed-classes" in caught.value.hint
    write_classes(run, recipe.task, ClassList((SplitClass("pink star", 999, True, True), second, *rest)))
    with pytest.raises(ScasegError, match=f"it lacks 'pink star' and has {first.name!r}"):
        load_embeddings(recipe, run)


def test_embeddings_by_another_clip_are_refused(recipe, run, clip):
    embed_classes(recipe, run)
    other = load_recipe("shapes-zps", ("clip.checkpoint=null",))
    with pytest.raises(ScasegError, match=r"was made by shapes-clip with shapes-clip, and the recipe has .* random"):
        load_embeddings(other, run)
    embeddings = load_embeddings(recipe, run)
    check_encoder(embeddings, clip)
    with pytest.raises(ScasegError, match="made by other weights") as caught:
        check_encoder(embeddings, load_clip(Clip(model="shapes-clip", checkpoint=None)))
    assert "scaseg embed-classes" in caught.value.hint


def test_a_truncated_file_is_named(recipe, run):
    embed_classes(recipe, run)
    run.embeddings_file.write_bytes(run.embeddings_file.read_bytes()[:100])
    with pytest.raises(ScasegError, match="damaged or truncated"):
        load_embeddings(recipe, run)
