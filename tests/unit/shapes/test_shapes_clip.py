"""The small CLIP: its words, its pictures and captions, its loss, and what the shipped weights can do."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from scaseg_cli.errors import ScasegError
from scaseg_cli.shapes.captions import TEMPLATES, caption, words_of
from scaseg_cli.shapes.clip import CHECKPOINT, KIND, WordTokenizer, build_shapes_clip, load_shapes_clip
from scaseg_cli.shapes.crops import MEAN_COLOUR, scene_picture, stream
from scaseg_cli.shapes.fitting import save_half, seeded_module
from scaseg_cli.shapes.train_clip import (
    contrastive_loss,
    same_and_part,
    train_shapes_clip,
    training_pictures,
    zero_shot_accuracy,
)
from scaseg_cli.shapes.world import CLASSES


def test_shipped_weights_name_fresh_pictures() -> None:
    for template in ("{}", "a photo of a {}."):
        accuracy = zero_shot_accuracy(template=template, per_class=8, seed=1)
        assert accuracy["seen"] >= 0.97
        assert accuracy["unseen"] >= 0.97
        assert accuracy["stuff"] >= 0.95


def test_random_weights_name_hardly_any(tmp_path: Path) -> None:
    save_half(tmp_path / "random.safetensors", KIND, seeded_module(lambda: build_shapes_clip()[0], 0), {})
    assert zero_shot_accuracy(tmp_path / "random.safetensors", per_class=4)["all"] < 0.2


def test_shipped_weights_are_small() -> None:
    assert CHECKPOINT.stat().st_size < 4_000_000


def test_shipped_weights_know_templates_with_strange_words() -> None:
    assert zero_shot_accuracy(template="itap of a weird {}!", per_class=4, seed=1)["all"] >= 0.95


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    save_half(tmp_path / "other.safetensors", "base", torch.nn.Linear(2, 2), {})
    with pytest.raises(ScasegError, match="holds base, not shapes-clip"):
        load_shapes_clip(tmp_path / "other.safetensors")


def test_tokens_of_start_end_padding_and_unknown_words() -> None:
    tokenizer = WordTokenizer()
    tokens = tokenizer(["red ring", "a Photo of a RED ring!", "red zebra"])
    assert tokens.dtype == torch.int64
    assert tokens.shape == (3, 32)
    red, ring = tokens[0, 1:3].tolist()
    assert tokens[0].tolist() == [1, red, ring, tokenizer.end] + [0] * 28
    assert tokens[1, 5:8].tolist() == [red, ring, tokenizer.end]
    assert tokens[2, 1:3].tolist() == [red, 2]
    assert len({red, ring, 0, 1, 2, tokenizer.end}) == 6


def test_a_long_text_keeps_its_end_token() -> None:
    tokenizer = WordTokenizer()
    assert tokenizer(["red " * 50]).argmax(1).tolist() == [31]
    assert tokenizer("red ring", context_length=3).shape == (1, 3)


def test_captions_name_all_classes_and_fit_the_context() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        chosen = [CLASSES[i] for i in rng.choice(40, 7, replace=False)]
        text = caption(rng, chosen)
        assert all(cls.name in text for cls in chosen)
        assert len(words_of(text)) <= 30
    bare = [caption(rng, CLASSES[:1]) for _ in range(100)].count(CLASSES[0].name)
    assert bare > 100 / len(TEMPLATES)


def test_masked_scenes_show_the_mean_colour_where_nothing_is_named() -> None:
    colour = np.round(255 * np.array(MEAN_COLOUR))
    pictures = [scene_picture(stream("test", 0, i), 64) for i in range(40)]
    masked = [picture for picture in pictures if (picture.image == colour).all(-1).sum() > 100]
    assert 8 <= len(masked) <= 32
    assert all(picture.classes for picture in pictures)


def test_training_and_testing_streams_never_meet() -> None:
    def draw(word: str, seed: int, *numbers: int) -> float:
        return float(stream(word, seed, *numbers).random())

    words = ("clip-train", "clip-test", "backbone-train", "backbone-test")
    assert len({draw(word, seed, 1, 2) for word in words for seed in range(3)}) == 12


def test_training_pictures_are_three_quarters_single_and_depend_on_the_step_alone() -> None:
    pictures, captions = training_pictures(5, 3)
    assert len(pictures) == 128
    assert {len(picture.classes) for picture in pictures[:96]} == {1}
    assert {picture.classes[0] for picture in pictures[:96]} == set(CLASSES)
    again, captions_again = training_pictures(5, 3)
    assert captions == captions_again
    np.testing.assert_array_equal(pictures[100].image, again[100].image)
    assert training_pictures(5, 4)[1] != captions


def test_pairs_of_the_same_classes_are_positive_and_parts_are_left_out() -> None:
    pictures, _ = training_pictures(0, 0)
    same, part = same_and_part(pictures)
    sets = [set(picture.classes) for picture in pictures]
    for i in range(0, 128, 9):
        for j in range(128):
            assert same[i, j] == (sets[i] == sets[j])
            assert part[i, j] == (sets[i] < sets[j] or sets[j] < sets[i])


def test_contrastive_loss_of_a_small_case() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 5.0], [0.0, 0.0, 3.0]])
    same = torch.eye(3, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    part = torch.zeros(3, 3, dtype=torch.bool)
    part[1, 2] = part[2, 1] = True

    def share(value: float, *all_values: float) -> float:
        return -math.log(math.exp(value) / sum(map(math.exp, all_values)))

    rows = [
        (share(2, 2, 1, 0) + share(1, 2, 1, 0)) / 2,
        (share(1, 1, 2) + share(2, 1, 2)) / 2,
        share(3, 0, 3),
    ]
    columns = [rows[0], rows[1], share(3, 0, 3)]
    assert contrastive_loss(logits, same, part).item() == pytest.approx(sum(rows + columns) / 6, rel=1e-5)


def test_training_writes_a_checkpoint_that_loads_and_leaves_no_progress(tmp_path: Path) -> None:
    train_shapes_clip(tmp_path / "clip.safetensors", seed=3, iterations=2)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.safetensors"]
    model, _ = load_shapes_clip(tmp_path / "clip.safetensors")
    fresh = seeded_module(lambda: build_shapes_clip()[0], 3).state_dict()
    assert any(not torch.allclose(value, fresh[name], atol=1e-3) for name, value in model.state_dict().items())
    assert model.logit_scale.exp().item() <= 15.05
