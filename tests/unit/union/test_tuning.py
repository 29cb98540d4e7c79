"""The fine-tuning loop: trained parameters, snapshots, resuming, the control, and the effect on unseen classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from query_world import query_recipe, query_world
from torch import Tensor

from scaseg_cli.cat.ridge import RidgeGaussian
from scaseg_cli.checkpoints import load_state, save_state
from scaseg_cli.errors import ScasegError
from scaseg_cli.queries.store import QueryStore
from scaseg_cli.recipe.schema import Union
from scaseg_cli.union.generated import GeneratedEmbeddings
from scaseg_cli.union.loss import FinetuneLoss
from scaseg_cli.union.tuning import FineTuning, snapshot_steps, tune

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.base.projector import Snapshot


def _config(**changes: object) -> Union:
    return Union.model_validate(query_recipe().union.model_dump() | changes)


def _ridge() -> RidgeGaussian:
    world = query_world()
    return RidgeGaussian.fit(world.store.matched_MD, world.store.class_ids_M, world.embeddings_NC[: world.num_seen])


def _tuning(config: Union, generator: RidgeGaussian | None, store: QueryStore | None = None) -> FineTuning:
    world = query_world()
    store = store or world.store
    loss = FinetuneLoss.of(config, world.num_seen, len(world.embeddings_NC), 0.1)
    generated = None
    if generator is not None:
        generated = GeneratedEmbeddings(config, generator, world.embeddings_NC, world.num_seen, store, seed=0)
    return FineTuning(config, 0, world.classifier, loss, store, generated)


def _same(first: list[Snapshot], second: list[Snapshot]) -> bool:
    return [a.step for a in first] == [b.step for b in second] and all(
        torch.equal(a.tensors[name], b.tensors[name]) for a, b in zip(first, second, strict=True) for name in a.tensors
    )


@pytest.mark.parametrize(
    ("iterations", "candidates", "steps"),
    [(300, 6, [50, 100, 150, 200, 250, 300]), (10, 3, [3, 7, 10]), (2, 6, [1, 2]), (7, 1, [7])],
)
def test_snapshots_are_evenly_spaced_and_end_at_the_last_step(
    iterations: int, candidates: int, steps: list[int]
) -> None:
    assert snapshot_steps(iterations, candidates) == steps


def test_projector_and_no_object_are_trained_and_the_base_stays(tmp_path: Path) -> None:
    world = query_world()
    before = {name: tensor.clone() for name, tensor in world.classifier.state_dict().items()}
    snapshots = tune(_tuning(_config(), _ridge()), "method", tmp_path / "state.pt", "key")
    assert [snapshot.step for snapshot in snapshots] == [10, 20]
    assert set(snapshots[-1].tensors) == {"no_object"} | {
        f"projector.{i}.{p}" for i in (0, 2) for p in ("weight", "bias")
    }
    for name, tensor in world.classifier.state_dict().items():
        assert torch.equal(tensor, before[name]), name
        assert not torch.equal(tensor, snapshots[0].tensors[name]), name
        assert not torch.equal(snapshots[0].tensors[name], snapshots[1].tensors[name]), name


def test_a_step_holds_real_null_and_generated_embeddings_with_their_labels() -> None:
    world, tuning = query_world(), _tuning(_config(unseen_pull={"beta": 0.0, "k": 2}), _ridge())
    v, labels = tuning._batch(3)
    num = len(world.embeddings_NC)
    assert len(v) == 32 + 16 + 4 * (num - world.num_seen)
    assert set(labels[:32].tolist()) <= set(range(world.num_seen))
    assert labels[32:48].tolist() == [num] * 16
    assert labels[48:].tolist() == sorted(list(range(world.num_seen, num)) * 4)
    real = (v[:32, None] == world.store.matched_MD[None]).all(2)
    assert torch.equal(world.store.class_ids_M[real.int().argmax(1)], labels[:32])
    assert bool((v[32:48, None] == world.store.null_UD[None]).all(2).any(1).all())


def test_a_killed_tuning_resumes_to_an_identical_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _config(checkpoint_every=6, candidates=4)
    whole = tune(_tuning(config, _ridge()), "method", tmp_path / "whole.pt", "key")
    step = FineTuning.step

    def killed_at_15(self: FineTuning) -> Tensor:
        if self.done == 15:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(FineTuning, "step", killed_at_15)
    with pytest.raises(KeyboardInterrupt):
        tune(_tuning(config, _ridge()), "method", tmp_path / "cut.pt", "key")
    started: list[int] = []
    monkeypatch.setattr(FineTuning, "step", lambda self: started.append(self.done) or step(self))
    resumed = tune(_tuning(config, _ridge()), "method", tmp_path / "cut.pt", "key")
    assert started == list(range(12, 20))
    assert _same(resumed, whole)


def test_a_finished_tuning_runs_again_only_under_another_key(tmp_path: Path) -> None:
    first = tune(_tuning(_config(), _ridge()), "method", tmp_path / "state.pt", "key")
    again = _tuning(_config(), _ridge())
    assert _same(tune(again, "method", tmp_path / "state.pt", "key"), first)
    other = _tuning(_config(learning_rate=0.01), _ridge())
    assert not _same(tune(other, "method", tmp_path / "state.pt", "another key"), first)


def test_the_control_never_sees_a_generated_embedding(tmp_path: Path) -> None:
    world = query_world()
    config = _config(pseudo_unseen=3, unseen_weight=2.0)
    control = _tuning(config, None)
    v, labels = control._batch(3)
    assert not set(labels.tolist()) & set(range(world.num_seen, len(world.embeddings_NC)))
    method_v, method_labels = _tuning(config, _ridge())._batch(3)
    assert torch.equal(method_v[: len(v)], v)  # everything else is the same
    assert torch.equal(method_labels[: len(v)], labels)
    snapshots = tune(control, "control", tmp_path / "a.pt", "key")
    changed = _config(pseudo_unseen=7, pseudo_seen=2, unseen_weight=9.0, unseen_pull={"beta": 0.9, "k": 1})
    assert _same(tune(_tuning(changed, None), "control", tmp_path / "b.pt", "key"), snapshots)


def test_a_store_without_null_embeddings_is_accepted() -> None:
    store = query_world().store
    tuning = _tuning(_config(), None, QueryStore(store.matched_MD, store.class_ids_M, store.null_UD[:0]))
    assert len(tuning._batch(0)[0]) == 32
    assert torch.isfinite(tuning.step())


def test_a_diverged_tuning_says_what_to_do(tmp_path: Path) -> None:
    store = query_world().store
    broken = QueryStore(store.matched_MD * torch.nan, store.class_ids_M, store.null_UD)
    with pytest.raises(ScasegError, match="loss is nan") as caught:
        tune(_tuning(_config(), None, broken), "control", tmp_path / "state.pt", "key")
    assert "union.learning_rate" in (caught.value.hint or "")


def _accuracies(tmp_path: Path, generator: RidgeGaussian | None, **changes: object) -> tuple[float, float]:
    """Return the harmonic accuracy on fresh queries at increment 0 and at the best of several increments."""
    world = query_world()
    config = _config(iterations=150, learning_rate=2e-3, batch_size=128, pseudo_unseen=10, unseen_weight=3.0, **changes)
    name = f"{generator is None}-{changes}.pt"
    tuned = tune(_tuning(config, generator), name, tmp_path / name, "key")[-1].classifier(world.classifier)
    by_increment = [world.harmonic(tuned, increment) for increment in (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0)]
    return by_increment[0], max(by_increment)


def test_generated_embeddings_beat_the_control_and_the_pull_beats_none(tmp_path: Path) -> None:
    control, control_raised = _accuracies(tmp_path, None)
    plain, _ = _accuracies(tmp_path, _ridge(), unseen_pull={"beta": 0.0, "k": 2})
    pulled, _ = _accuracies(tmp_path, _ridge(), unseen_pull={"beta": 0.6, "k": 1})
    assert control + 0.1 < plain
    assert plain + 0.03 < pulled
    assert control_raised < pulled


def test_a_margin_raises_unseen_logits_after_training(tmp_path: Path) -> None:
    world = query_world()
    unseen = []
    for margin in (0.0, 3.0):
        tuning = _tuning(_config(iterations=60, learning_rate=2e-3, unseen_margin=margin), _ridge())
        tuned = tune(tuning, f"margin {margin}", tmp_path / f"{margin}.pt", "key")[-1].classifier(world.classifier)
        unseen.append(world.accuracy(tuned)[1])
    assert unseen[0] < unseen[1]


def test_a_tuning_whose_weights_diverge_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the step before a save, and at the last one: the loss is finite, the weights are not."""
    step = FineTuning.step
    for at, kept in ((15, 10), (20, 15)):
        path = tmp_path / f"{at}.pt"

        def spoiled(self: FineTuning, last: int = at) -> torch.Tensor:
            loss = step(self)
            if self.done == last:
                with torch.no_grad():
                    self.classifier.no_object[0] = torch.nan
            return loss

        monkeypatch.setattr(FineTuning, "step", spoiled)
        said = rf"the fine-tuning diverged: classifier\.\S+ has infinite or NaN values at step {at}; "
        with pytest.raises(ScasegError, match=said) as caught:
            tune(_tuning(_config(iterations=20, checkpoint_every=5, candidates=4), None), "control", path, "key")
        assert "--set union.learning_rate=" in str(caught.value.hint)
        state = load_state(path, "key")
        assert state is not None
        assert state["done"] == kept


@pytest.mark.parametrize("change", [{"done": 0}, {"done": 10**6}, {"done": "x"}, {"snapshots": []}, {"classifier": {}}])
def test_progress_that_was_changed_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path, config = tmp_path / "state.pt", _config(iterations=20, checkpoint_every=5, candidates=4)
    tune(_tuning(config, None), "control", path, "key")
    state = load_state(path, "key")
    assert state is not None
    save_state(path, {**state, **change})
    with pytest.raises(ScasegError, match=r"state\.pt does not hold the progress of this training"):
        tune(_tuning(config, None), "control", path, "key")
