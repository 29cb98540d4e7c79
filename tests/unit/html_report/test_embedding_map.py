import numpy as np
import pytest

from scaseg_cli.html_report.embedding_map import choose, distance_table, laid_out

NAMES = ["cat", "dog", "cow", "yak"]  # cow and yak are unseen


def test_unseen_classes_have_as_many_real_as_generated_embeddings_and_seen_ones_share_the_rest():
    real = np.repeat(np.arange(60), 70)  # 40 seen classes, 20 unseen ones
    generated = np.repeat(np.arange(40, 60), 256)
    chosen = choose(real, generated, 40)
    of_real = np.bincount(real[chosen.real], minlength=60)
    assert set(of_real[40:]) == set(np.bincount(generated[chosen.generated])[40:]) == {25}
    assert set(of_real[:40]) == {12}
    assert len(chosen) == chosen.real.size + chosen.generated.size == 1480


def test_few_embeddings_are_all_on_the_map():
    chosen = choose(np.array([0, 2, 1, 0]), np.zeros(0, np.int64), 2)
    assert sorted(chosen.real.tolist()) == [0, 1, 2, 3]
    assert chosen.generated.tolist() == []
    assert len(choose(np.zeros(0, np.int64), np.zeros(0, np.int64), 2)) == 0


def test_the_same_embeddings_have_the_same_places_and_neighbours_stay_together():
    rng = np.random.default_rng(0)
    one, two = rng.normal(0, 0.1, (20, 8)), rng.normal(3, 0.1, (20, 8))
    places = laid_out(one, two)
    assert places.shape == (40, 2)
    assert (laid_out(one, two) == places).all()
    centre = [part.mean(0) for part in (places[:20], places[20:])]
    nearer = [np.linalg.norm(places - middle, axis=1) for middle in centre]
    assert ((nearer[0] < nearer[1]) == (np.arange(40) < 20)).all()


def test_too_few_embeddings_make_no_map():
    assert laid_out(np.zeros((4, 8)), np.zeros((5, 8))).shape == (0, 2)


def test_distances_are_between_means():
    real = np.array([[0.0, 0], [0, 2], [10, 0], [6, 1], [6, 3]])
    ids = np.array([0, 0, 1, 2, 2])
    made = np.array([[5.0, 2], [7, 2], [0, 1], [2, 2]])
    table = distance_table(real, ids, made, np.array([2, 2, 2, 3]), NAMES, 2)
    cow, yak = table.rows
    assert (cow["class"], cow["real"], cow["spread"]) == ("cow", 2, 1.0)
    assert cow["made_distance"] == pytest.approx(np.hypot(2, 1 / 3))
    assert cow["hits"] == pytest.approx(2 / 3)  # the third is at the cats' mean
    assert (cow["made_seen"], cow["made_seen_distance"]) == ("cat", pytest.approx(np.hypot(4, 2 / 3)))
    assert (cow["real_seen"], cow["real_seen_distance"]) == ("dog", pytest.approx(np.hypot(4, 2)))
    assert (yak["real"], yak["made_seen"]) == (0, "cat")
    assert "hits" not in yak


def test_without_a_generator_the_table_has_real_distances_only():
    real, ids = np.zeros((2, 3)), np.array([0, 2])
    table = distance_table(real, ids, np.zeros((0, 3)), np.zeros(0, np.int64), NAMES, 2)
    assert [column.key for column in table.columns] == ["class", "real", "spread", "real_seen_distance", "real_seen"]
    assert "enerated" not in " ".join(table.notes)
    assert table.as_json_value()["rows"][1]["real"] == 0
