"""Stage 2 from a run folder to the generator's file: resuming, live batches, loading, mistakes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from query_world import query_recipe, query_run, query_world
from torch import Tensor

from scaseg_cli.cat import fit
from scaseg_cli.cat.batches import StoredBatches
from scaseg_cli.cat.generators import load_generator
from scaseg_cli.cat.ridge import RidgeGaussian, shared_covariance
from scaseg_cli.cat.train import train_generator
from scaseg_cli.checkpoints import load_state, load_tensors, save_tensors
from scaseg_cli.errors import ScasegError
from scaseg_cli.queries.store import QueryStore, save_queries
from scaseg_cli.stages import is_done, recording, stage_key

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

Batch = tuple[Tensor, Tensor, Tensor]


def _bytes(run: RunDir) -> tuple[bytes, bytes]:
    return run.generator_file.read_bytes(), (run.path / "cat" / "curve.json").read_bytes()


def test_batches_of_an_iteration_are_the_same_whenever_asked() -> None:
    batches = StoredBatches(query_world().store, 8, seed=3)
    later, again = batches(5), StoredBatches(query_world().store, 8, seed=3)(5)
    assert all(torch.equal(a, b) for a, b in zip(later, again, strict=True))
    assert not torch.equal(later.matched_MD, batches(6).matched_MD)
    assert not torch.equal(later.matched_MD, StoredBatches(query_world().store, 8, seed=4)(5).matched_MD)


def test_batches_keep_an_embedding_and_its_class_together() -> None:
    store = QueryStore(torch.arange(9.0)[:, None].expand(9, 2), torch.arange(9) % 3, torch.full((2, 2), -1.0))
    v, ids, null = StoredBatches(store, 50, seed=0)(0)
    assert torch.equal(v[:, 0].long() % 3, ids)
    assert len(set(v[:, 0].tolist())) == 9
    assert null.shape == (50, 2)
    assert bool((null == -1).all())


@pytest.mark.parametrize("generator", ["vae", "primitives"])
def test_a_killed_run_resumes_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generator: str
) -> None:
    recipe = query_recipe("cat.checkpoint_every=6", f"cat.generator={generator}", "cat.primitives=20")
    whole, cut = query_run(tmp_path / "whole", recipe), query_run(tmp_path / "cut", recipe)
    train_generator(recipe, whole)

    calls: list[int] = []
    step = fit.GeneratorTraining.step

    def killed_at_15(self: fit.GeneratorTraining, iteration: int, batch: Batch) -> bool:
        calls.append(iteration)
        if iteration == 15:
            raise KeyboardInterrupt
        return step(self, iteration, batch)

    monkeypatch.setattr(fit.GeneratorTraining, "step", killed_at_15)
    with pytest.raises(KeyboardInterrupt):
        train_generator(recipe, cut)
    assert not is_done(recipe, cut, "cat")
    assert not cut.generator_file.exists()
    monkeypatch.setattr(fit.GeneratorTraining, "step", step)

    first: list[int] = []
    batches = StoredBatches.__call__
    monkeypatch.setattr(StoredBatches, "__call__", lambda self, i: first.append(i) or batches(self, i))
    train_generator(recipe, cut)
    assert first == list(range(12, 20))
    assert _bytes(cut) == _bytes(whole)
    assert is_done(recipe, cut, "cat")
    assert not list((cut.path / "cat").glob("*.pt"))


def test_progress_of_another_recipe_is_not_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, recipe = query_recipe("cat.tau_r=0.5"), query_recipe()
    run, clean = query_run(tmp_path / "run", recipe), query_run(tmp_path / "clean", recipe)

    def full_disk(*_: object) -> None:
        raise ScasegError("no space left")

    monkeypatch.setattr("scaseg_cli.cat.train.save_generator", full_disk)
    with pytest.raises(ScasegError, match="no space"):
        train_generator(other, run)
    assert (run.path / "cat" / "progress.pt").exists()
    monkeypatch.undo()
    train_generator(recipe, run)
    train_generator(recipe, clean)
    assert _bytes(run) == _bytes(clean)


def test_another_seed_gives_another_generator(tmp_path: Path) -> None:
    drawn = []
    for seed in (0, 1):
        recipe = query_recipe(f"seed={seed}")
        run = query_run(tmp_path / str(seed), recipe)
        train_generator(recipe, run)
        drawn.append(load_generator(recipe, run).sample(query_world().embeddings_NC, torch.Generator().manual_seed(0)))
    assert not torch.allclose(drawn[0], drawn[1])


def test_the_curve_has_the_losses_and_they_fall(tmp_path: Path) -> None:
    recipe = query_recipe("cat.iterations=200", "cat.mixup=0.0")
    run = query_run(tmp_path, recipe)
    report = train_generator(recipe, run)
    curve = json.loads((run.path / "cat" / "curve.json").read_text())
    assert [row["iteration"] for row in curve] == list(range(1, 201))
    assert set(curve[0]) == {"iteration", "mmd", "kl", "reconstruction", "contrast", "semantic", "total"}
    assert curve[-1]["reconstruction"] < 0.5 * curve[0]["reconstruction"]
    assert curve[-1]["mmd"] < 0.5 * curve[0]["mmd"]
    assert len(report.tables[0].rows) == 3
    assert report.wrote[0] == run.generator_file


def test_the_trained_vae_generates_each_class_where_it_is(tmp_path: Path) -> None:
    recipe, world = query_recipe("cat.iterations=250", "cat.learning_rate=0.003"), query_world()
    run = query_run(tmp_path, recipe)
    train_generator(recipe, run)
    ids = torch.arange(world.num_seen).repeat_interleave(50)
    v = load_generator(recipe, run).sample(world.embeddings_NC[ids], torch.Generator().manual_seed(0))
    means = torch.stack([world.store.matched_MD[world.store.class_ids_M == k].mean(0) for k in range(world.num_seen)])
    nearest = torch.cdist(v, means).argmin(1)
    assert float((nearest == ids).float().mean()) > 0.8


@pytest.mark.parametrize(("generator", "terms"), [("gmmn", {"mmd"}), ("primitives", {"mmd", "alignment", "semantic"})])
def test_a_generator_of_earlier_work_is_trained_and_loads_as_it_was(
    tmp_path: Path, generator: str, terms: set[str]
) -> None:
    recipe, world = query_recipe(f"cat.generator={generator}", "cat.iterations=20", "cat.primitives=20"), query_world()
    run = query_run(tmp_path, recipe)
    report = train_generator(recipe, run)
    assert set(report.tables[0].rows[-1]) == {"iteration", "total"} | terms
    assert report.tables[0].rows[-1]["mmd"] < report.tables[0].rows[0]["mmd"]
    draws = [
        load_generator(recipe, run).sample(world.embeddings_NC, torch.Generator().manual_seed(0)) for _ in range(2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert load_tensors(run.generator_file, "generator", "")[1]["generator"] == generator


@pytest.mark.parametrize("generator", ["vae", "gmmn"])
def test_noise_adds_the_covariance_of_seen_queries_within_their_classes(tmp_path: Path, generator: str) -> None:
    world, samples = query_world(), {}
    for noise in ("none", "seen_covariance"):
        recipe = query_recipe(f"cat.generator={generator}", f"cat.noise={noise}", "cat.iterations=5")
        run = query_run(tmp_path / noise, recipe)
        train_generator(recipe, run)
        a_nC = world.embeddings_NC[:1].expand(20_000, -1)
        samples[noise] = load_generator(recipe, run).sample(a_nC, torch.Generator().manual_seed(0))
    found, before = (samples[noise].T.cov() for noise in ("seen_covariance", "none"))
    expected = before + shared_covariance(world.store.matched_MD, world.store.class_ids_M)
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.05 * float(expected.diagonal().mean()))
    torch.testing.assert_close(samples["seen_covariance"].mean(0), samples["none"].mean(0), rtol=0, atol=0.05)


def test_noise_is_refused_where_it_does_not_apply() -> None:
    with pytest.raises(ScasegError, match="does not apply to generator ridge"):
        query_recipe("cat.generator=ridge", "cat.noise=seen_covariance")
    with pytest.raises(ScasegError, match="mmd_weight must be above 0"):
        query_recipe("cat.generator=gmmn", "cat.mmd_weight=0")


def test_live_batches_are_asked_for_in_order_and_may_be_empty(tmp_path: Path) -> None:
    recipe = query_recipe("cat.live=true", "cat.iterations=5")
    run, stored = query_run(tmp_path, recipe), StoredBatches(query_world().store, 32, seed=0)
    asked: list[int] = []

    def live(iteration: int) -> Batch:
        asked.append(iteration)
        v, ids, null = stored(iteration)
        size = 1 if iteration == 2 else 32  # one matched query has no statistics
        return v[:size], ids[:size], null

    train_generator(recipe, run, live)
    assert asked == [0, 1, 2, 3, 4]
    curve = json.loads((run.path / "cat" / "curve.json").read_text())
    assert [row["iteration"] for row in curve] == [1, 2, 4, 5]


def test_live_without_a_source_is_the_programmers_mistake(tmp_path: Path) -> None:
    recipe = query_recipe("cat.live=true")
    with pytest.raises(ValueError, match="live_batches"):
        train_generator(recipe, query_run(tmp_path, recipe))


def test_ridge_is_fitted_on_the_store_and_loads_as_it_was(tmp_path: Path) -> None:
    recipe, world = query_recipe("cat.generator=ridge"), query_world()
    run = query_run(tmp_path, recipe)
    train_generator(recipe, run)
    expected = RidgeGaussian.fit(world.store.matched_MD, world.store.class_ids_M, world.embeddings_NC[: world.num_seen])
    found = load_generator(recipe, run)
    draws = [g.sample(world.embeddings_NC, torch.Generator().manual_seed(0)) for g in (expected, found)]
    assert torch.equal(draws[0], draws[1])
    assert is_done(recipe, run, "cat")


def test_ridge_with_two_classes_says_so(tmp_path: Path) -> None:
    recipe, store = query_recipe("cat.generator=ridge"), query_world().store
    run = query_run(tmp_path, recipe)
    few = store.class_ids_M < 2
    _replace_store(recipe, run, QueryStore(store.matched_MD[few], store.class_ids_M[few], store.null_UD))
    with pytest.raises(ScasegError, match="2 seen classes"):
        train_generator(recipe, run)


def test_no_generator_finishes_at_once_and_cannot_be_sampled(tmp_path: Path) -> None:
    recipe = query_recipe("cat.generator=none")
    run = query_run(tmp_path, recipe)
    train_generator(recipe, run)
    assert is_done(recipe, run, "cat")
    assert not run.generator_file.exists()
    with pytest.raises(ScasegError, match=r"cat.generator: none") as caught:
        load_generator(recipe, run).sample(query_world().embeddings_NC, torch.Generator())
    assert "pseudo_unseen" in (caught.value.hint or "")


def _replace_store(recipe: Recipe, run: RunDir, store: QueryStore) -> None:
    with recording(recipe, run, "queries", run.queries_file):
        save_queries(store, run, {})


def test_mistakes_are_reported(tmp_path: Path) -> None:
    recipe, store = query_recipe(), query_world().store
    run = query_run(tmp_path, recipe)
    with pytest.raises(ScasegError, match="no finished cat stage"):
        load_generator(recipe, run)
    one = query_recipe("cat.batch_size=1")
    with pytest.raises(ScasegError, match="batch_size is 1"):
        train_generator(one, query_run(tmp_path / "one", one))
    _replace_store(recipe, run, QueryStore(store.matched_MD[:1], store.class_ids_M[:1], store.null_UD))
    with pytest.raises(ScasegError, match="has 1 matched queries"):
        train_generator(recipe, run)


def test_a_diverged_training_says_what_to_do(tmp_path: Path) -> None:
    recipe, store = query_recipe(), query_world().store
    run = query_run(tmp_path, recipe)
    _replace_store(recipe, run, QueryStore(store.matched_MD * 1e30, store.class_ids_M, store.null_UD))
    with pytest.raises(ScasegError, match=r"loss is (nan|inf)") as caught:
        train_generator(recipe, run)
    assert "cat.learning_rate" in (caught.value.hint or "")
    assert not is_done(recipe, run, "cat")


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    recipe = query_recipe()
    run = query_run(tmp_path, recipe)
    train_generator(recipe, run)
    tensors, meta = load_tensors(run.generator_file, "generator", "")
    meta.pop("kind")
    tensors.pop("decoder.0.weight")
    with recording(recipe, run, "cat", run.generator_file):
        save_tensors(run.generator_file, "generator", tensors, meta)
    with pytest.raises(ScasegError, match=r"lacks decoder\.0\.weight"):
        load_generator(recipe, run)
    with recording(recipe, run, "cat", run.generator_file):
        save_tensors(run.generator_file, "generator", tensors, {**meta, "generator": "ridge"})
    with pytest.raises(ScasegError, match="contains a ridge generator"):
        load_generator(recipe, run)


def test_a_training_that_diverges_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the step before a save, and at the last one: the losses are finite, the weights are not."""
    recipe = query_recipe("cat.checkpoint_every=6")
    step = fit.GeneratorTraining.step
    for at, kept in ((11, 6), (19, 18)):
        run = query_run(tmp_path / str(at), recipe)

        def spoiled(self: fit.GeneratorTraining, iteration: int, batch: Batch, last: int = at) -> bool:
            new = step(self, iteration, batch)
            if iteration == last:
                with torch.no_grad():
                    next(self.network.parameters()).view(-1)[0] = torch.nan
            return new

        monkeypatch.setattr(fit.GeneratorTraining, "step", spoiled)
        said = rf"diverged: \S+ has infinite or NaN values by iteration {at + 1}; the last finite total loss is "
        with pytest.raises(ScasegError, match=said) as caught:
            train_generator(recipe, run)
        assert "now 0.001: --set cat.learning_rate=" in str(caught.value.hint)
        assert not run.generator_file.exists()
        state = load_state(run.path / "cat" / "progress.pt", stage_key(recipe, run, "cat"))
        assert state is not None
        assert state["iteration"] == kept


def test_a_generator_that_states_other_widths_is_refused(tmp_path: Path) -> None:
    for kind in ("vae", "ridge"):
        recipe = query_recipe(f"cat.generator={kind}")
        run = query_run(tmp_path / kind, recipe)
        train_generator(recipe, run)
        tensors, meta = load_tensors(run.generator_file, "generator", "")
        meta.pop("kind")
        for wrong in ({"visual_dim": 10**9}, {"embedding_dim": 10**9}, {"embedding_dim": "x"}, {"visual_dim": None}):
            with recording(recipe, run, "cat", run.generator_file):
                save_tensors(run.generator_file, "generator", tensors, {**meta, **wrong})
            with pytest.raises(ScasegError, match="states the widths"):
                load_generator(recipe, run)
    for changed in ({"factor": tensors["factor"][:-1]}, {"intercept": tensors["factor"].clone()}):
        with recording(recipe, run, "cat", run.generator_file):
            save_tensors(run.generator_file, "generator", {**tensors, **changed}, meta)
        with pytest.raises(ScasegError, match="has other shapes for a ridge generator"):
            load_generator(recipe, run)
