import pytest

from scaseg_cli.data.located import with_located_images
from scaseg_cli.data.records import ImageRecord, LabelledSet
from scaseg_cli.errors import ScasegError


def labelled(folder, *names) -> LabelledSet:
    images = tuple(ImageRecord(k, name, f"{k}.png", 2, 2, ()) for k, name in enumerate(names))
    return LabelledSet(folder, folder, (), images)


def test_images_are_found_in_subfolders_also_under_cityscapes_names(tmp_path):
    for name in ("here.png", "ulm/a_leftImg8bit.png", "ulm/b.png", "bonn/c.png", "ulm/c.png", "x/y/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = ("here.png", "a_gtFine_leftImg8bit.png", "b.png", "c.png", "d.png", "gone.png", "ulm/b.png")
    found = with_located_images(labelled(tmp_path, *names))
    assert [record.file_name for record in found.images] == [
        "here.png", "ulm/a_leftImg8bit.png", "ulm/b.png", "c.png", "x/y/d.png", "gone.png", "ulm/b.png",
    ]  # fmt: skip
    assert [record.label_name for record in found.images] == [f"{k}.png" for k in range(7)]


def test_a_set_whose_images_are_in_the_folder_stays_as_it_is(tmp_path):
    (tmp_path / "here.png").touch()
    given = labelled(tmp_path, "here.png")
    assert with_located_images(given) is given


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ScasegError, match="nowhere does not exist"):
        with_located_images(labelled(tmp_path / "nowhere", "a.png"))
