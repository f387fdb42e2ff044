"""Shards: what stands together in a tar is one item; what is broken is told."""

from __future__ import annotations

import json
import pickle
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image

from formats import add_member, write_shards
from gankit.errors import BrokenItem, DataError
from gankit_datasets import tarred
from gankit_datasets.webdataset import webdataset


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give a cache of its own."""
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(green: int) -> bytes:
    """Return a PNG of one colour."""
    file = BytesIO()
    Image.new("RGB", (4, 4), (0, green, 0)).save(file, "png")
    return file.getvalue()


def shard(path: Path, members: dict[str, bytes]) -> Path:
    """Write a tar of some files, in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            add_member(tar, name, content)
    return path


def greens(data) -> list[int]:
    """Return the green of each item, by which a test knows the pictures apart."""
    return [int(data[i].sample[1, 0, 0]) for i in range(len(data))]


def test_what_stands_together_is_one_item(tmp_path):
    """Captions from .txt and .json, each once; classes from .cls or .json."""
    shard(
        tmp_path / "a.tar",
        {
            "x/1.cls": b"dog\n",
            "x/1.json": json.dumps({"caption": "a dog", "url": None}).encode(),
            "x/1.png": picture(10),
            "x/1.txt": b"a dog\na brown  dog\n",
            "x/2.json": json.dumps({"captions": ["a cat"], "class": "cat"}).encode(),
            "x/2.seg.png": picture(20),
            "y/2.png": picture(30),
            "y/2.txt": b"another",
            "y/2.cls": b"cat",
        },
    )
    data = webdataset(root=tmp_path, size=4)
    assert greens(data) == [10, 20, 30]
    assert data.facts.annotations["label"].names == ("cat", "dog")
    assert [data.annotations(i) for i in range(3)] == [
        {"label": 1, "captions": ("a dog", "a brown dog")},
        {"label": 0, "captions": ("a cat",)},
        {"label": 0, "captions": ("another",)},
    ]
    assert data.skipped == []
    bare = webdataset(root=tmp_path, size=4, captions="none", classes="none")
    assert bare.facts.annotations == {}


def test_numbers_are_classes_in_the_order_of_numbers(tmp_path):
    """So that the label of ten comes after that of two."""
    shard(
        tmp_path / "a.tar",
        {
            f"{i}.{suffix}": content
            for i in (10, 2, 0)
            for suffix, content in (("png", picture(i)), ("cls", str(i).encode()))
        },
    )
    data = webdataset(root=tmp_path, size=4)
    assert data.facts.annotations["label"].names == ("0", "2", "10")
    assert [data.annotations(i)["label"] for i in range(3)] == [2, 1, 0]


@pytest.mark.parametrize(
    ("shards", "found"),
    [
        (("*.tar",), [0, 1, 2, 10]),
        (("s-{00..02}.tar",), [0, 1, 2]),
        (("s-{10,01}.tar",), [1, 10]),
        (("s-0[02].tar", "s-{00..01}.tar"), [0, 1, 2]),
        (("{s-10,s-00}.{tar,tar}",), [0, 10]),
        (("*/*.tar", "s-00.tar"), [0, 77]),
    ],
)
def test_shards_are_named_by_braces_and_wildcards(tmp_path, shards, found):
    """Each is read once, in the order of the names."""
    for number in (0, 1, 2, 10):
        shard(tmp_path / f"s-{number:02}.tar", {"a.png": picture(number)})
    shard(tmp_path / "sub/s.tar", {"a.png": picture(77)})
    assert greens(webdataset(root=tmp_path, shards=shards, size=4)) == found


@pytest.mark.parametrize(
    ("shards", "said"),
    [
        (("s-{0..2}.tar",), r"there is no 's-1\.tar' and 's-2\.tar' in|s-1\.tar"),
        (("*.tgz",), r"there is no .*\*\.tgz.* in .*; set root"),
        (("s-{5..2}.tar",), r"\{5\.\.2\} names no shards"),
        (("../s-0.tar",), r"leads out of root"),
        (("/s-0.tar",), r"leads out of root"),
    ],
)
def test_shards_that_are_not_there_are_named(tmp_path, shards, said):
    """With the next move."""
    shard(tmp_path / "s-0.tar", {"a.png": picture(0)})
    with pytest.raises(DataError, match=said):
        webdataset(root=tmp_path, shards=shards)
    with pytest.raises(DataError, match=r"there is no folder .*nowhere; set root"):
        webdataset(root=tmp_path / "nowhere")


def test_what_cannot_be_used_is_skipped(tmp_path):
    """No picture, no caption, a text that is no text, a name that comes twice."""
    good = {
        f"{i}.{s}": c for i in range(6) for s, c in (("png", picture(i)), ("txt", b"t"))
    }
    shard(
        tmp_path / "a.tar",
        {
            **good,
            "a.png": b"no picture",
            "a.txt": b"t",
            "b.png": picture(9),
            "c.png": picture(9),
            "c.txt": b"\xff\xfe\x00",
            "d.png": picture(9),
            "d.json": b"[1",
            "e.txt": b"alone",
            "h.png": picture(9),
            "h.json": b'{"captions": "a disc"}',
            "i.png": picture(9),
            "i.json": b'{"caption": "\\ud800"}',
            ".f.png": picture(9),
        },
    )
    with tarfile.open(tmp_path / "a.tar", "a") as tar:
        link = tarfile.TarInfo("g.png")
        link.type, link.linkname = tarfile.SYMTYPE, "0.png"
        tar.addfile(link)
        add_member(tar, "0.png", picture(0))
        add_member(tar, "caf\udce9.png", picture(0))
    (tmp_path / "._a.tar").write_bytes(b"of a Mac")
    data = webdataset(root=tmp_path, size=4)
    assert greens(data) == [0, 1, 2, 3, 4, 5]
    said = "\n".join(data.skipped)
    for reason in (
        "a.tar/a.png: not a picture that Pillow can read",
        "a.tar/b.png: no caption",
        "a.tar/c.png: its .txt is not UTF-8",
        "a.tar/d.png: its .json cannot be read: ",
        'a.tar/h.png: its .json cannot be read: "captions" in it is no list',
        "a.tar/i.png: its .json cannot be read: a caption in it has a \\u escape",
        "the name is not UTF-8",
        "a.tar/g.png: no plain file",
        "a.tar/0.png: there twice",
    ):
        assert reason in said
    assert len(data.skipped) == 9


def test_a_shard_that_is_cut_off_is_refused(tmp_path):
    """In a header, in or after a member, or by other bytes in the middle."""
    members = {f"{i}.png": picture(i) for i in range(8)}
    path = shard(tmp_path / "a.tar", members)
    whole = path.read_bytes()
    assert len(webdataset(root=tmp_path, size=4)) == 8
    for length in (512 * 9 + 80, 512 * 10, 700):
        path.write_bytes(whole[:length])
        with pytest.raises(
            DataError, match=r"a\.tar is cut off or damaged at byte .*,"
        ):
            webdataset(root=tmp_path)
    path.write_bytes(whole[:2048] + b"?" * 512 + whole[2560:])
    with pytest.raises(
        DataError, match=r"a\.tar is cut off or damaged at byte 2,048, after 2 members"
    ):
        webdataset(root=tmp_path)


def test_what_is_no_tar_is_refused(tmp_path):
    """And what is compressed as a whole, with what to do."""
    (tmp_path / "a.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(DataError, match=r"a\.tar is no tar .*; name tar files"):
        webdataset(root=tmp_path)
    with tarfile.open(tmp_path / "a.tar", "w:gz") as tar:
        add_member(tar, "a.png", picture(1))
    with pytest.raises(DataError, match=r"compressed as a whole.*gunzip"):
        webdataset(root=tmp_path)
    shard(tmp_path / "a.tar", {"a.txt": b"alone"})
    with pytest.raises(DataError, match=r"no pictures in 1 shards .*\.png"):
        webdataset(root=tmp_path)


def test_a_picture_that_breaks_off_is_a_broken_item(tmp_path):
    """It begins as one does, and is found out when it is decoded."""
    members = {f"{i}.png": picture(i) for i in range(3)}
    members["1.png"] = members["1.png"][:40]
    shard(tmp_path / "a.tar", members)
    data = webdataset(root=tmp_path, size=4)
    with pytest.raises(BrokenItem, match=r"a\.tar/1\.png: "):
        data[1]
    assert int(data[2].sample[1, 0, 0]) == 2


def test_where_members_are_is_found_once(tmp_path, monkeypatch):
    """A later start walks through no shard, until one is another."""
    write_shards(tmp_path / "s")
    walked = []
    walk = tarred._walked
    monkeypatch.setattr(
        tarred,
        "_walked",
        lambda path, texts: walked.append(path.name) or walk(path, texts),
    )
    first = webdataset(root=tmp_path / "s", size=8)
    assert walked == ["part-0.tar", "part-1.tar"]
    again = webdataset(root=tmp_path / "s", size=8)
    assert len(walked) == 2
    assert len(again) == len(first) == 12
    for i in range(12):
        assert torch.equal(first[i].sample, again[i].sample)
        assert first.annotations(i) == again.annotations(i)
    shard(
        tmp_path / "s/part-0.tar",
        {"a.png": picture(7), "a.txt": b"a disc", "a.cls": b"disc"},
    )
    assert len(webdataset(root=tmp_path / "s", size=8)) == 8
    assert walked[2:] == ["part-0.tar"]


def test_long_names_and_names_that_are_not_utf8_are_read(tmp_path):
    """As tars of any kind have them."""
    name = f"{'folder/' * 30}ünï"
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(tmp_path / "a.tar", "w", format=kind) as tar:
            add_member(tar, f"{name}.png", picture(3))
            add_member(tar, f"{name}.txt", b"three")
        data = webdataset(root=tmp_path, size=4)
        assert (greens(data), data.annotations(0)) == ([3], {"captions": ("three",)})


def test_it_is_held_out_mirrored_pickled_and_kept_as_a_folder_is(tmp_path, cache):
    """All that a folder's options do."""
    write_shards(tmp_path / "s")
    data = webdataset(root=tmp_path / "s", size=8, hold_out=0.4, load_size=9, keep=True)
    held = data.splits["test"]()
    assert len(data) + len(held) == 12
    assert held.facts == data.facts
    samples = [data[i].sample for i in range(len(data))]
    assert samples[0].shape == (3, 9, 9)
    assert data.transform(torch.stack(samples), torch.Generator()).shape[2:] == (8, 8)
    copy = pickle.loads(pickle.dumps(data))
    assert torch.equal(copy[0].sample, samples[0])
    assert len(list((cache / "pictures").iterdir())) == 2  # of both parts
    with pytest.raises(ValueError, match="load_size = 3 is smaller"):
        webdataset(root=tmp_path / "s", size=8, load_size=3)
