import pytest
import torch

from scaseg_cli.embeddings.encode import encode_classes
from scaseg_cli.embeddings.prompts import read_templates

NAMES = ["red ring", "green-other-merged", "blue", "white cross", "yellow dots"]


def test_mean_of_units_made_unit_against_a_slow_loop(clip):
    """The plain mean of what the text encoder gives, without the inner units, would be something else."""
    templates = read_templates("vild")
    found = encode_classes(clip, NAMES, templates, batch_size=7).means()
    for row, name in enumerate(["red ring", "green", "blue", "white cross", "yellow dots"]):
        total, raw = torch.zeros(clip.dim), torch.zeros(clip.dim)
        for template in templates:
            vector = clip._module.encode_text(clip._tokenizer([template.format(name)]))[0]
            total += vector / vector.norm()
            raw += vector
        mean = total / len(templates)
        assert found[row] == pytest.approx(mean / mean.norm(), abs=1e-6)
        assert (found[row] - raw / raw.norm()).abs().max() > 1e-6


def test_the_batch_size_changes_nothing(clip):
    templates = read_templates("zegclip15")
    whole = encode_classes(clip, NAMES, templates, batch_size=1000).means()
    for batch_size in (1, 16, 75):
        assert (encode_classes(clip, NAMES, templates, batch_size).means() - whole).abs().max() < 1e-6


def test_every_set_gives_unit_vectors(clip):
    for name in ("single", "padding8", "imagenet80"):
        vectors = encode_classes(clip, NAMES, read_templates(name), batch_size=64).means()
        assert vectors.shape == (5, clip.dim)
        assert vectors.norm(dim=1) == pytest.approx(torch.ones(5), abs=1e-6)
