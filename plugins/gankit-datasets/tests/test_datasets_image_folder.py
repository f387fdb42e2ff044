"""Folders of pictures: what is found, what is skipped, what is refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from PIL import Image

from gankit.errors import BrokenItem, DataError
from gankit_datasets.folders import folder_names
from gankit_datasets.image_folder import image_folder


def paint(path: Path, colour="red", size=(20, 10)) -> Path:
    """Save a picture of one colour, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def greens(data) -> list[int]:
    """Return the green of each item, by which a test knows the pictures apart."""
    return [int(data[i].sample[1, 0, 0]) for i in range(len(data))]


def test_a_flat_folder_has_no_classes(tmp_path):
    """Items come in the order of their names, uint8, labelled None."""
    for green, name in ((30, "c.PNG"), (10, "a.png"), (20, "b.Bmp")):
        paint(tmp_path / name, (0, green, 0))
    data = image_folder(root=tmp_path, size=16)
    assert len(data) == 3
    assert greens(data) == [10, 20, 30]
    assert data.facts.sample_shape == (3, 16, 16)
    assert data.facts.sample_range is None
    assert "label" not in data.facts.annotations
    assert "captions" not in data.facts.annotations
    assert [item.annotations for item in data] == [{}] * 3
    assert data[0].sample.shape == (3, 16, 16)
    assert data[0].sample.dtype == torch.uint8
    assert data.skipped == []
    assert not hasattr(data, "transform")


def test_sub_folders_are_classes_to_any_depth(tmp_path):
    """Names are sorted, and what lies deeper is of the topmost folder's class."""
    paint(tmp_path / "dog" / "old" / "x.png", (0, 1, 0))
    paint(tmp_path / "dog" / "y.png", (0, 2, 0))
    paint(tmp_path / "cat" / "z.png", (0, 3, 0))
    data = image_folder(root=str(tmp_path))
    assert data.facts.annotations["label"].names == ("cat", "dog")
    assert [
        (green, data[i].annotations["label"]) for i, green in enumerate(greens(data))
    ] == [
        (3, 0),
        (1, 1),
        (2, 1),
    ]
    assert data[0].annotations == {"label": 0}
    assert image_folder(root=tmp_path, labels="none").facts.annotations == {}


@pytest.mark.parametrize(
    ("images", "names"),
    [
        (["a.png", "b.png"], [None, None]),
        (["all/a.png", "all/b.png"], [None, None]),
        (["x/dog/a.png", "x/cat/b.png"], ["dog", "cat"]),
        (["dog/a.png", "dog/old/b.png"], [None, "old"]),
        (["dog/a.png", "dogs/b.png"], ["dog", "dogs"]),
        (["a.png", "dog/b.png"], [None, "dog"]),
        (["dog/1/a.png", "dog/2/b.png", "cat/c.png"], ["dog", "dog", "cat"]),
    ],
)
def test_shared_folders_are_no_classes(images, names):
    """Only a folder that tells pictures apart is a class."""
    assert folder_names(images) == names


def test_classes_are_in_the_order_of_their_names(tmp_path):
    """Whatever order they are found in, so that labels mean the same everywhere."""
    names = [f"kind {number:02}" for number in range(12)]
    for name in reversed(names):
        paint(tmp_path / name / "a.png")
    data = image_folder(root=tmp_path, size=4)
    assert data.facts.annotations["label"].names == tuple(names)
    assert [item.annotations["label"] for item in data] == list(range(12))


def test_pictures_beside_the_classes_are_skipped(tmp_path):
    """They have no class; with labels off they belong to the set."""
    paint(tmp_path / "cat" / "a.png")
    paint(tmp_path / "dog" / "b.png")
    paint(tmp_path / "logo.png")
    data = image_folder(root=tmp_path)
    assert len(data) == 2
    assert data.skipped == ["logo.png: no class"]
    assert len(image_folder(root=tmp_path, labels="none")) == 3


def test_most_pictures_beside_the_classes_is_refused(tmp_path):
    """Then the sub-folder is hardly meant as a class."""
    for name in "abc":
        paint(tmp_path / f"{name}.png")
    paint(tmp_path / "old" / "d.png")
    with pytest.raises(DataError, match=r"3 of 4 in .*a\.png: no class.*no classes"):
        image_folder(root=tmp_path)


def test_hidden_and_foreign_files_are_passed_over(tmp_path):
    """Thumbnails of the system, notes and archives are no pictures."""
    paint(tmp_path / "a.png")
    paint(tmp_path / ".b.png")
    paint(tmp_path / ".thumbs" / "c.png")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "d.png.zip").write_bytes(b"PK")
    data = image_folder(root=tmp_path)
    assert len(data) == 1
    assert data.skipped == []


def test_unreadable_headers_are_skipped_and_listed(tmp_path):
    """Each with its path and the reason."""
    for name in "abcd":
        paint(tmp_path / "good" / f"{name}.png")
    (tmp_path / "good" / "empty.jpg").write_bytes(b"")
    (tmp_path / "good" / "text.jpg").write_text("hello")
    data = image_folder(root=tmp_path)
    assert len(data) == 4
    assert data.skipped == [
        "good/empty.jpg: empty file",
        "good/text.jpg: not a picture that Pillow can read",
    ]


def test_mostly_unreadable_is_refused_with_the_first_few(tmp_path):
    """Five problems are spelled out, the others counted."""
    paint(tmp_path / "good.png")
    for number in range(7):
        (tmp_path / f"bad{number}.jpg").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        image_folder(root=tmp_path)
    said = str(caught.value)
    assert f"7 of 8 in {tmp_path} cannot be used" in said
    assert "bad4.jpg: empty file and 2 more" in said
    assert "bad5" not in said
    assert "mend or remove" in said


def test_a_truncated_picture_is_a_broken_item(tmp_path):
    """Its header is whole, so that it is found when it is decoded."""
    paint(tmp_path / "a.png")
    noise = Image.effect_noise((64, 64), 90)
    noise.save(tmp_path / "b.png")
    content = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(content[: len(content) // 2])
    data = image_folder(root=tmp_path)
    assert len(data) == 2
    assert data[0].sample.shape == (3, 64, 64)
    with pytest.raises(BrokenItem, match=r"b\.png: .*truncated"):
        data[1]


def test_no_pictures_names_the_folder_and_the_suffixes(tmp_path):
    """The next move is another root."""
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(
        DataError, match=r"no pictures in .* end in \.bmp, .*\.webp; set root to"
    ) as caught:
        image_folder(root=tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_root_that_is_no_folder_is_refused(tmp_path):
    """Missing and a file are told apart."""
    with pytest.raises(DataError, match=r"there is no folder .*nowhere; set root"):
        image_folder(root=tmp_path / "nowhere")
    with pytest.raises(
        DataError, match=r"a\.png is not a folder, nor a .zip.*set root"
    ):
        image_folder(root=paint(tmp_path / "a.png"))


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    """From Python nobody expands it before."""
    monkeypatch.setenv("HOME", str(tmp_path))
    paint(tmp_path / "pictures" / "a.png")
    assert len(image_folder(root="~/pictures")) == 1


def test_folders_that_may_not_be_read(tmp_path, monkeypatch):
    """A closed root is refused, a closed sub-folder skipped."""
    paint(tmp_path / "open" / "a.png")
    paint(tmp_path / "shut" / "b.png")
    scandir = os.scandir

    def guarded(folder):
        if Path(folder) == closed:
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    # a mode would not stop the super-user, as whom tests may run
    monkeypatch.setattr(os, "scandir", guarded)
    closed = tmp_path / "shut"
    data = image_folder(root=tmp_path)
    assert len(data) == 1
    assert data.skipped == ["shut: Permission denied"]
    closed = tmp_path
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\); get"):
        image_folder(root=tmp_path)


def test_links_are_followed_and_loops_end(tmp_path):
    """A folder is read once, under its own name if it has one below the root."""
    paint(tmp_path / "root" / "b" / "one.png", (0, 1, 0))
    paint(tmp_path / "elsewhere" / "two.png", (0, 2, 0))
    (tmp_path / "root" / "c").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "a").symlink_to(tmp_path / "root" / "b")
    (tmp_path / "root" / "b" / "up").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "self").symlink_to(tmp_path / "root" / "self")
    data = image_folder(root=tmp_path / "root")
    assert data.facts.annotations["label"].names == ("b", "c")
    assert greens(data) == [1, 2]
    assert sorted(data.skipped) == [
        "a: a link to a folder read already",
        "b/up: a link to a folder read already",
    ]


def test_a_name_that_cannot_be_printed_is_skipped(tmp_path):
    """It is listed in a form that can."""
    try:
        paint(tmp_path / os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    paint(tmp_path / "ü.png")
    data = image_folder(root=tmp_path)
    assert len(data) == 1
    assert data.skipped == ["'\\udcff.png': the name is not UTF-8"]


def test_views_are_cut_from_what_is_stored(tmp_path):
    """Items have the stored size, the facts that of the views."""
    paint(tmp_path / "a.png", (0, 9, 0))
    data = image_folder(root=tmp_path, size=8, load_size=12, channels=1)
    assert data[0].sample.shape == (1, 12, 12)
    assert data.facts.sample_shape == (1, 8, 8)
    stored = torch.arange(5 * 144, dtype=torch.uint8).reshape(5, 1, 12, 12)
    rng = torch.Generator().manual_seed(0)
    assert data.transform(stored, rng).shape == (5, 1, 8, 8)
    same = image_folder(root=tmp_path, size=8, load_size=8)
    assert not hasattr(same, "transform")


def test_mirroring_alone_is_a_transform(tmp_path):
    """It turns about half of a batch, and cuts nothing."""
    paint(tmp_path / "a.png")
    data = image_folder(root=tmp_path, size=4, mirror=True)
    stored = torch.arange(100 * 48, dtype=torch.int32).reshape(100, 3, 4, 4)
    views = data.transform(stored, torch.Generator().manual_seed(0))
    turned = (views != stored).flatten(1).any(1)
    assert torch.equal(views[turned], stored[turned].flip(-1))
    assert 30 < turned.sum() < 70


def test_views_larger_than_what_is_stored_are_refused(tmp_path):
    """Both numbers are named, and the next move."""
    paint(tmp_path / "a.png")
    with pytest.raises(
        ValueError, match=r"load_size = 76 is smaller than size = 128.*set load_size"
    ):
        image_folder(root=tmp_path, size=128, load_size=76)


def test_a_pickled_folder_gives_the_same_items(tmp_path):
    """Workers of a data loader get a copy."""
    paint(tmp_path / "cat" / "a.png", (1, 2, 3))
    paint(tmp_path / "dog" / "b.png", (4, 5, 6))
    data = image_folder(root=tmp_path, size=8, load_size=10)
    copy = pickle.loads(pickle.dumps(data))
    assert copy.facts == data.facts
    assert copy.skipped == data.skipped
    assert copy.transform == data.transform
    for one, other in zip(data, copy, strict=True):
        assert torch.equal(one.sample, other.sample)
        assert one.annotations["label"] == other.annotations["label"]


def test_indices_beyond_the_end_are_index_errors(tmp_path):
    """So that a loop over a folder ends."""
    paint(tmp_path / "a.png")
    with pytest.raises(IndexError):
        image_folder(root=tmp_path)[1]
