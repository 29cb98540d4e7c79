"""Each benchmark's parts at a tiny size; nothing is said about time."""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmark_files import benchmark

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.class_lists import coco_panoptic
from scaseg_cli.data.images import read_label
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.data_section import ImageSet
from scaseg_cli.split.unseen import COCO_ZPS
from scaseg_cli.stages import require

ONCE = argparse.Namespace(device="cpu", size="small", rounds=1, json=False, rehearse=False)


def read(root: Path, name: str) -> Any:
    return read_panoptic_set(root, ImageSet(images=name, annotations=f"{name}.json", labels=f"{name}_png"))


class TestAnnotationsLikeCoco:
    def test_they_are_valid_and_of_cocos_density(self, tmp_path: Path) -> None:
        stems = benchmark("coco_like").write_annotations(tmp_path / "train.json", "train2017", 300, seed=0)
        labelled = read(tmp_path, "train")
        assert [record.file_name for record in labelled.images] == [f"{stem}.jpg" for stem in stems]
        assert labelled.categories == coco_panoptic()
        num_segments = sum(len(record.segments) for record in labelled.images)
        assert 10.5 < num_segments / 300 < 11.5
        # of the two images of COCO's own that were looked at: 92 bytes a segment, 280 an image, 70 an annotation
        size = (tmp_path / "train.json").stat().st_size - 20_000  # the categories
        assert size == pytest.approx(94 * num_segments + 350 * 300, rel=0.05)

    def test_the_same_seed_gives_the_same_file(self, tmp_path: Path) -> None:
        texts = []
        for number, seed in enumerate((0, 0, 1)):
            benchmark("coco_like").write_annotations(tmp_path / f"{number}.json", "val2017", 20, seed)
            texts.append((tmp_path / f"{number}.json").read_text())
        assert texts[0] == texts[1] != texts[2]


class TestSplitDataset:
    def test_a_process_is_measured(self) -> None:
        held = b"x" * 600_000_000  # of this process, which the other's figure must not show
        many = "import time; text = b'x' * 200_000_000; time.sleep(0.2)"
        run = benchmark("split_dataset").measured([sys.executable, "-c", many])
        assert len(held) == 600_000_000
        assert run.seconds > 0.2
        assert run.work > 0
        assert 0.2 < run.memory < 0.5

    def test_a_process_that_fails_is_no_measurement(self) -> None:
        with pytest.raises(ScasegError, match=r"ended with code 1: .*it broke"):
            benchmark("split_dataset").measured([sys.executable, "-c", "raise SystemExit('it broke')"])

    def test_the_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = benchmark("split_dataset")
        monkeypatch.setitem(module.NUM_IMAGES, "small", 60)
        monkeypatch.setitem(module.NUM_VALIDATION, "small", 20)
        found = module.measure(ONCE)
        assert found.ratio > 0
        assert found.goal is None
        assert found.figures["split-dataset, s of CPU time"] > 0
        assert found.figures["annotation file, MB"] < 1


def test_scenes_are_sets_in_cocos_format(tmp_path: Path) -> None:
    categories = list(coco_panoptic())
    benchmark("scenes").write_scenes(tmp_path, "train", range(1, 4), (40, 30), categories, [1, 3, 200])
    labelled = read(tmp_path, "train")
    assert len(labelled.images) == 3
    for record in labelled.images:
        label = read_label(labelled, record)
        assert label.shape == (30, 40)
        for segment in record.segments:
            assert segment.category_id in (1, 3, 200)
            assert segment.area == (label == segment.id).sum()


class TestBaseStep:
    def test_mmdetections_form_of_the_batch_holds_the_same(self) -> None:
        module = benchmark("base_step")
        base = module.recipe_of("small").base
        batch = module.make_batch(base, 2, 32)
        plain = module.as_mmdetection_loads(batch)
        assert plain["inputs"] is batch["inputs"]
        for ours, theirs in zip(batch["data_samples"], plain["data_samples"], strict=True):
            assert np.array_equal(ours.masks().numpy(), theirs.gt_instances.masks.masks.astype(bool))
            assert torch.equal(ours.labels, theirs.gt_instances.labels)
            assert len(ours.labels) > 5

    def test_the_plain_network_has_a_linear_class_head_and_the_same_sizes(self) -> None:
        module = benchmark("base_step")
        recipe = module.recipe_of("small")
        plain = module.plain_network(recipe.base, 32)
        ours = module.our_network(recipe, 32, "cpu", aligned=False)
        assert plain.panoptic_head.cls_embed.out_features == 33
        sizes = [
            {name: tensor.shape for name, tensor in network.state_dict().items() if ".cls_embed." not in name}
            for network in (plain, ours)
        ]
        for own in sizes:
            for name in [name for name in own if name.endswith("class_weight")]:
                del own[name]
        assert sizes[0] == sizes[1]

    def test_the_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = benchmark("base_step")
        monkeypatch.setitem(module.ON_CPU, "small", 1)
        found = module.measure(ONCE)
        assert found.ratio > 0
        assert len(found.figures) == 6

    def test_a_step_changes_the_weights(self) -> None:
        module = benchmark("base_step")
        recipe = module.recipe_of("small")
        batch = module.make_batch(recipe.base, 1, 32)
        network = module.our_network(recipe, 32, "cpu", aligned=True)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        losses = module.step_of(network, batch, recipe.base, "cpu")()
        assert "loss_v2c" in losses
        after = network.state_dict()
        assert not torch.equal(before["panoptic_head.query_feat.weight"], after["panoptic_head.query_feat.weight"])


class TestDeformableAttention:
    def test_the_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = benchmark("deformable_attention")
        monkeypatch.setitem(module.CROP, "small", 64)
        found = module.measure(ONCE)
        assert found.ratio > 0
        kept = [value for name, value in found.figures.items() if name.endswith("GB kept for backward")]
        assert 0 < kept[1] < kept[0] / 2

    def test_inputs_are_those_of_the_pixel_decoder(self) -> None:
        values, sizes, places, weights = benchmark("deformable_attention").make_inputs(64, "cpu")
        assert sizes.tolist() == [[8, 8], [4, 4], [2, 2]]
        assert values.shape == (2, 84, 8, 32)
        assert places.shape == (2, 84, 8, 3, 4, 2)
        assert weights.shape == (2, 84, 8, 3, 4)
        out = benchmark("deformable_attention").before(values, sizes, places, weights)
        assert out.shape == (2, 84, 256)


class TestCatLive:
    def test_the_run_folder_is_one_that_stage_2_takes(self) -> None:
        module = benchmark("cat_live")
        with module.finished_run("small", "cpu", num_images=2) as (recipe, run, classes):
            require(recipe, run, "split", "embeddings", "base", "queries")
            assert classes.num_seen == 133 - len(COCO_ZPS)
            matched, class_ids, null = module.live_batches(recipe, run)(0)
            assert len(matched) == len(class_ids) > recipe.cat.live_images
            assert matched.shape[1] == null.shape[1] == recipe.base.channels
            assert int(class_ids.max()) < classes.num_seen
            folder = run.path
        assert not folder.exists()

    def test_the_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = benchmark("cat_live")
        monkeypatch.setattr(module, "_FROM_FILE", 2)
        found = module.measure(ONCE)
        assert found.ratio > 0
        assert found.goal is None


def test_embed_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    module = benchmark("embed_classes")
    monkeypatch.setitem(module.NUM_CLASSES, "small", 4)
    found = module.measure(ONCE, model="shapes-clip", templates="vild")
    assert found.ratio > 0
    assert "4 classes in 14 templates: 56 prompts" in found.notes[0]
    assert "28 of them one by one" in found.notes[0]


def test_panoptic_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hotcoco")
    module = benchmark("panoptic_quality")
    monkeypatch.setitem(module.NUM_IMAGES, "small", 2)
    monkeypatch.setitem(module.NUM_MANY, "small", 3)
    monkeypatch.setitem(module.NUM_PLAIN, "small", 1)
    found = module.measure(ONCE)
    assert found.ratio > 0
    assert "2 images of 640 x 480 pixels" in found.notes[0]
    assert found.figures["3 images: whole command / hotcoco's"] > 0


def test_a_missing_gpu_is_said() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ScasegError, match="no CUDA device"):
        benchmark("base_step").measure(
            argparse.Namespace(device="cuda", size="small", rounds=1, json=False, rehearse=False)
        )


def test_a_map_of_segment_numbers_holds_the_masks_of_the_way_before(tmp_path: Path) -> None:
    module = benchmark("training_views")
    module.write_images(tmp_path / "data", "small", 3)
    recipe, run = module.make_recipe("small", "cpu", tmp_path / "data"), module.RunDir(tmp_path / "run")
    module.split_dataset(recipe, run)
    recipe = recipe.model_copy(update={"base": recipe.base.model_copy(update={"scale": (0.5, 2.0)})})
    now = module.training_views(recipe, run)
    before = module.ViewsBefore(now.images, now.classes, module.task_of(recipe), recipe.base, recipe.seed)
    for position in range(9):
        key = position % 3, position
        labels, masks = before[key]["data_samples"]
        assert torch.equal(now[key]["inputs"], before[key]["inputs"])
        assert torch.equal(now[key]["data_samples"].labels, labels)
        assert torch.equal(now[key]["data_samples"].masks(), masks)
