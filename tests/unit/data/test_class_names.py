import pytest

from scaseg_cli.data.class_names import key_of, names_in


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cow", ("cow",)),
        ("person, individual,  some   one", ("person", "individual", "some one")),
        ("door|double door", ("door", "double door")),
        ("window ", ("window",)),
        ("bus, , bus,", ("bus",)),
        (",", (",",)),
        ("cow's skull", ("cow's skull",)),
    ],
)
def test_a_class_name_is_split_at_commas_and_bars(text, names):
    assert names_in(text) == names
    assert names_in(text, "first") == names[:1]


def test_a_key_tells_names_apart_that_mean_different_things():
    assert key_of("Sky-other-merged") == key_of("sky") != key_of("skies")
