"""Recipes are found, extended, changed and checked; every mistake is reported by its key."""

import os
from pathlib import Path

import pytest

from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe, recipe_names, recipe_text, save_recipe, shipped_file
from scaseg_cli.recipe.base_section import Base


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def message(name: str | None, *changes: str) -> str:
    with pytest.raises(ScasegError) as caught:
        load_recipe(name, changes)
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_good_and_bears_its_files_name(name: str) -> None:
    recipe = load_recipe(str(shipped_file(name)))
    assert recipe.name == name
    assert recipe.description


@pytest.mark.parametrize("name", recipe_names())
def test_a_resolved_recipe_runs_again_as_it_is(name: str, here: Path) -> None:
    recipe = load_recipe(name)
    save_recipe(recipe, here / "again.yaml")
    assert load_recipe("again.yaml") == recipe
    assert recipe_text(load_recipe("again.yaml")) == recipe_text(recipe)


def test_a_resolved_recipe_runs_on_one_machine_though_several_made_it(here: Path) -> None:
    save_recipe(load_recipe("shapes-zps", ("nodes=2", "processes=2")), here / "again.yaml")
    again = load_recipe("again.yaml")
    assert (again.nodes, again.processes) == (1, 2)


def test_a_run_folder_in_place_of_a_recipe_is_told_the_file(here: Path) -> None:
    (here / "run").mkdir()
    write(here / "run" / "recipe.yaml", "extends: shapes-zps\n")
    with pytest.raises(ScasegError) as caught:
        load_recipe("run")
    assert str(caught.value.hint).startswith("It is a run folder: its recipe is run/recipe.yaml. ")


def test_without_a_name_the_folders_own_recipe_goes_before_the_shipped_one(here: Path) -> None:
    assert load_recipe().name == "shapes-zps"
    write(here / "scaseg.yaml", "extends: shapes-zps\nname: mine\n")
    assert load_recipe().name == "mine"


def test_extends_keeps_what_is_not_said_and_replaces_lists_whole(here: Path) -> None:
    write(
        here / "lower.yaml",
        "extends: shapes-zps\nname: lower\nseed: 5\nbase: {iterations: 7, steps: [0.5, 0.6, 0.7]}\n",
    )
    write(here / "upper.yaml", "extends: lower\nname: upper\nbase: {steps: [0.9]}\n")
    upper, shipped = load_recipe("upper.yaml"), load_recipe("shapes-zps")
    assert (upper.name, upper.seed, upper.base.iterations, upper.base.steps) == ("upper", 5, 7, [0.9])
    assert upper.base.backbone == shipped.base.backbone
    assert upper.description == shipped.description


def test_extends_is_looked_for_beside_the_file_that_says_it(here: Path) -> None:
    (here / "recipes").mkdir()
    write(here / "lower.yaml", "extends: shapes-zps\nname: wrong\n")
    write(here / "recipes" / "lower.yaml", "extends: shapes-zps\nname: right\nseed: 3\n")
    write(here / "recipes" / "upper.yaml", "extends: lower.yaml\n")
    assert load_recipe("recipes/upper.yaml").name == "right"


def test_a_recipe_may_bear_the_name_of_the_shipped_one_that_it_extends(here: Path) -> None:
    write(here / "shapes-zps.yaml", "extends: shapes-zps\nseed: 11\n")
    assert load_recipe("shapes-zps.yaml").seed == 11


def test_a_circle_of_extends_is_told(here: Path) -> None:
    write(here / "a.yaml", "extends: b\n")
    write(here / "b.yaml", "extends: a\n")
    assert message("a.yaml") == "recipes extend each other in a circle: a.yaml -> b.yaml -> a.yaml"


def test_a_missing_parent_names_the_child(here: Path) -> None:
    write(here / "a.yaml", "extends: shape-zps\n")
    with pytest.raises(ScasegError, match=r"a\.yaml extends 'shape-zps', but there is no recipe") as caught:
        load_recipe("a.yaml")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("Did you mean 'shapes-zps'?")


@pytest.mark.parametrize("name", ["nothing", "", "x" * 5000, "a/b/c.yaml", "."])
def test_a_recipe_that_is_not_there(name: str) -> None:
    assert message(name) == f"there is no recipe {name!r}: neither a file nor a shipped recipe"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: [1, 2\nseed: 1\n", "line 2: did not find expected"),
        ("name: *other\n", "line 1: the alias *other repeats what no anchor above names"),
        ("seed: 1\nbase:\n  tau: 1\nseed: 2\n", "line 4: the key 'seed' occurs twice"),
        ("base: {tau: 1, tau: 2}", "line 1: the key 'tau' occurs twice"),
        ("name: !!python/object/apply:os.system [ls]", "line 1: could not determine a constructor"),
        ("- a\n- b\n", "is not a mapping of keys to values"),
        ("", "is not a mapping of keys to values"),
        ("extends: [a, b]", "extends is ['a', 'b']"),
    ],
)
def test_what_is_no_recipe_is_told_with_its_line(here: Path, text: str, expected: str) -> None:
    assert expected in message(write(here / "bad.yaml", text))


def test_bytes_that_are_not_text(here: Path) -> None:
    (here / "bad.yaml").write_bytes(b"name: \xff\xfe")
    assert "cannot be read" in message("bad.yaml")


def test_an_alias_inside_itself(here: Path) -> None:
    told = message(write(here / "bad.yaml", "extends: shapes-zps\nsplit: &a {unseen: [*a]}\n"))
    assert told.endswith("line 2: the alias *a is inside the value that it repeats")


def test_a_chain_of_extends_has_a_limit(here: Path) -> None:
    for place in range(21):
        write(here / f"r{place}.yaml", f"extends: {f'r{place + 1}' if place < 20 else 'shapes-zps'}\nseed: {place}\n")
    assert load_recipe("r2.yaml").seed == 2
    assert "extends recipes that extend others, more than 20 in a row" in message("r1.yaml")


def test_a_file_that_is_no_recipe_is_not_read_whole(here: Path) -> None:
    (here / "long.yaml").write_text("extends: shapes-zps\n" + "#\n" * 2**19)
    assert "long.yaml has more than 1048576 characters" in message("long.yaml")


def test_many_mistakes_are_counted() -> None:
    told = message(None, "base={" + ", ".join(f"key{place}: 1" for place in range(500)) + "}").splitlines()
    assert told[0].endswith("has 500 mistakes:")
    assert len(told) == 22
    assert told[1] == "  base.key0: unknown key"
    assert told[-1] == "  and 480 more"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(here: Path) -> None:
    write(here / "shut.yaml", "extends: shapes-zps\n")
    (here / "shut.yaml").chmod(0)
    assert "cannot be read" in message("shut.yaml")


def test_a_byte_order_mark_is_no_part_of_the_first_key(here: Path) -> None:
    (here / "mark.yaml").write_bytes(b"\xef\xbb\xbfextends: shapes-zps\nseed: 4\n")
    assert load_recipe("mark.yaml").seed == 4


def test_all_mistakes_are_told_at_once_by_their_keys(here: Path) -> None:
    text = "extends: shapes-zps\nseed: -1\nbase: {iteration: 5, v2c: {gamma: big}, flip: 2}\nunoin: {}\n"
    told = message(write(here / "bad.yaml", text))
    assert told.splitlines() == [
        f"recipe {here / 'bad.yaml'} has 5 mistakes:",
        "  seed: should be greater than or equal to 0 (it is -1)",
        "  base.v2c.gamma: should be a valid number (it is 'big')",
        "  base.flip: should be less than or equal to 1 (it is 2)",
        "  base.iteration: unknown key, did you mean 'iterations'?",
        "  unoin: unknown key, did you mean 'union'?",
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("split.unseen=3", "split.unseen: should be a valid string, or should be a list (it is 3)"),
        ("split.unseen=[1]", "split.unseen: should be a valid string"),
        ("data.shapes.num_trian=3", "data.shapes.num_trian: unknown key, did you mean 'num_train'?"),
        ("data.shapes=null", "data: root is needed unless shapes is set"),
        ("data.train=null", "data.train: should be a mapping of keys to values (it is None)"),
        ("base.heads=5", "base: channels 64 is not a multiple of heads 5"),
        ("base.tau=.nan", "base.tau: is not a finite number"),
        ("union.unseen_weight=.inf", "union.unseen_weight: is not a finite number"),
        ("base.iterations=2.5", "base.iterations: should be a valid integer"),
        ("base.iterations='5'", "base.iterations: should be a valid integer (it is '5')"),
        ("base.frozen=yes", "base.frozen: unknown key"),
        ("base.backbone.max_pool=yes", "base.backbone.max_pool: should be a valid boolean (it is 'yes')"),
        ("base.backbone.depth=20", "base.backbone.depth: should be 18, 34, 50 or 101 (it is 20)"),
        ("base.scale=[1.0]", "base.scale.1: is missing"),
        ("name=../out", "name: String should match pattern"),
        ("name=" + "x" * 256, "name: is too long for a path (4095 bytes, of which 255 for each name between slashes)"),
        ("data.root=" + "a/" * 2100, "data.root: is too long for a path"),
        ("clip.checkpoint=" + "é" * 128, "clip.checkpoint: is too long for a path"),
        ("split.unseen=" + "x" * 256, "split.unseen: is too long for a path"),
        ('data.root="a\\0b"', "the text 'a\\x00b' has a character that no file name can hold"),
        ("seed=4294967296", "seed: should be less than or equal to 2147483647 (it is 4294967296)"),
        ("seed=1e999", "seed: is not a finite number"),
        ("seed=" + "9" * 5000, "the number 99999999999999999999... has 5000 characters"),
        ("seed=!!int abc", "the value is not valid YAML: 'abc' is not of the type !!int"),
        ("name=!!timestamp 2020-01-01", "could not determine a constructor for the tag 'tag:yaml.org,2002:timestamp'"),
        ("base.v2c.tau=" + "[" * 51 + "]" * 51, "the value is not valid YAML: values are nested more than 50 deep"),
        (".".join("a" * 51) + "=1", "is not of the form key=value"),
        ("x" * 5000 + "=1", "x...: unknown key"),
        ("\udcff=1", "has a value that JSON cannot represent"),
        ("extends=coco", "extends: unknown key"),
        ("seed=99999999999999999999999999", "has a value that JSON cannot represent: Integer exceeds 64-bit range"),
        ("description=" + "[x, " * 40 + "]" * 40, "description: should be a valid string (it is ['x', ["),
    ],
)
def test_a_mistake_in_words(change: str, expected: str) -> None:
    assert expected in message(None, change)


def test_what_is_missing_is_told(here: Path) -> None:
    told = message(write(here / "bad.yaml", "name: x\n"))
    assert "  data: is missing" in told
    assert "  split: is missing" in told


def test_a_long_wrong_value_is_cut() -> None:
    told = message(None, f"seed={'y' * 500}")
    assert len(told.splitlines()[1]) < 130


def test_set_changes_one_key_and_the_last_one_wins() -> None:
    recipe = load_recipe(None, ("base.v2c.gamma=3", "seed=1", "seed=2", "base.backbone.checkpoint=", "name=a"))
    assert recipe.base.v2c.gamma == 3.0
    assert recipe.seed == 2
    assert recipe.base.backbone.checkpoint is None
    assert recipe.base.v2c.tau == load_recipe().base.v2c.tau


@pytest.mark.parametrize("change", ["seed", "=3", "base..tau=3", "", ".=", "base.=1"])
def test_a_set_without_key_or_value(change: str) -> None:
    assert f"--set {change!r} is not of the form key=value" in message(None, change)


def test_a_set_whose_value_is_no_yaml() -> None:
    assert "the value is not valid YAML" in message(None, "split.unseen=[a")


def test_unseen_names_may_hold_an_equals_sign() -> None:
    assert load_recipe(None, ("split.unseen=a=b",)).split.unseen == "a=b"


def test_a_loaded_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_recipe().seed = 3


def test_values_are_ignored_in_maps_of_values_alone() -> None:
    """In painted maps a colour of no class is ignored, so the key would have no effect."""
    with pytest.raises(ScasegError, match=r"data\.ignored has no meaning with data\.colours.*set it to \[\]"):
        load_recipe("camvid-zss", ("data.colours=label_colors.txt",))
    assert load_recipe("camvid-zss", ("data.colours=label_colors.txt", "data.ignored=[]")).data.ignored == []


def test_a_recipe_of_version_0_1_is_read() -> None:
    recipe = load_recipe(str(Path(__file__).with_name("recipe-0.1.yaml")))
    assert (recipe.name, recipe.base.iterations) == ("shapes-zps", 400)
    assert recipe.base.validate_every == Base().validate_every  # a key of later versions has its default


def test_nothing_can_be_auto_where_nothing_is_chosen() -> None:
    with pytest.raises(ScasegError, match=r"choose_on nothing contradicts union\.unseen_pull\.beta: auto"):
        load_recipe("shapes-zps", ("evaluation.choose_on=nothing", "union.unseen_pull.beta=auto"))
    with pytest.raises(ScasegError, match="noise auto does not apply to generator ridge"):
        load_recipe("shapes-zps", ("cat.generator=ridge", "cat.noise=auto"))
