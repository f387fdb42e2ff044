"""Folders of pictures with captions, good and bad."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from gankit.errors import DataError
from gankit_datasets.captioned_folder import captioned_folder

REAL = Path(
    os.environ.get("GANKIT_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")
)
FLICKR = REAL / "flickr8k" / "flickr8k_76.zip"


def paint(path: Path, colour="red") -> Path:
    """Save a small picture, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 12), colour).save(path)
    return path


def paint_all(root: Path, *names: str) -> Path:
    """Save pictures under a root, and return it."""
    for name in names:
        paint(root / name)
    return root


def write_lines(root: Path, *lines, name="captions.jsonl") -> Path:
    """Write a captions file of objects, or of lines as they are."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (root / name).write_text("\n".join(texts), encoding="utf-8")
    return root


def captions_by_name(root: Path, **options) -> dict[str, tuple[str, ...]]:
    """Return the captions that each picture got, by its sorted place."""
    data = captioned_folder(root=root, **options)
    return {f"{i}": data[i].annotations["captions"] for i in range(len(data))}


def test_lines_of_a_file(tmp_path):
    """One caption, several, or both; classes by sorted name; a split is optional."""
    paint_all(tmp_path, "x/a.png", "x/b.png", "x/c.png")
    write_lines(
        tmp_path,
        {"image": "x/c.png", "captions": ["two", "three"], "caption": "one"},
        {"image": "x/a.png", "caption": "a dog"},
        "",
        {"image": "x/b.png", "captions": ["a cat"], "split": None, "more": [1]},
    )
    data = captioned_folder(root=tmp_path, size=8)
    assert "captions" in data.facts.annotations
    assert "label" not in data.facts.annotations
    assert data.facts.sample_shape == (3, 8, 8)
    assert [item.annotations["captions"] for item in data] == [
        ("a dog",),
        ("a cat",),
        ("one", "two", "three"),
    ]
    assert data[0].sample.shape == (3, 8, 8)
    assert data[2].annotations == {"captions": ("one", "two", "three")}
    assert data.skipped == []


def test_classes_of_the_lines_come_before_those_of_the_folders(tmp_path):
    """Names sorted; folders count where no line has a class; or none at all."""
    paint_all(tmp_path, "x/a.png", "y/b.png")
    classed = [
        {"image": "x/a.png", "caption": "1", "class": "dog"},
        {"image": "y/b.png", "caption": "2", "class": "cat"},
    ]
    data = captioned_folder(root=write_lines(tmp_path, *classed))
    assert data.facts.annotations["label"].names == ("cat", "dog")
    assert [item.annotations["label"] for item in data] == [1, 0]
    plain = captioned_folder(root=tmp_path, classes="none")
    assert "label" not in plain.facts.annotations
    assert all(item.annotations.keys() == {"captions"} for item in plain)
    for line in classed:
        del line["class"]
    data = captioned_folder(root=write_lines(tmp_path, *classed))
    assert data.facts.annotations["label"].names == ("x", "y")


def test_a_class_missing_in_few_lines_is_skipped(tmp_path):
    """Labels are all or none, so that the picture without one goes."""
    paint_all(tmp_path, "a.png", "b.png", "c.png")
    lines = [{"image": f"{n}.png", "caption": n, "class": "k"} for n in "abc"]
    del lines[1]["class"]
    data = captioned_folder(root=write_lines(tmp_path, *lines))
    assert len(data) == 2
    assert data.skipped == ["b.png: no class"]


def test_a_split_keeps_its_lines_only(tmp_path):
    """Pictures of other splits are not missing anything."""
    paint_all(tmp_path, "a.png", "b.png", "c.png")
    write_lines(
        tmp_path,
        {"image": "a.png", "caption": "1", "split": "train"},
        {"image": "b.png", "caption": "2", "split": "test"},
        {"image": "c.png", "caption": "3"},
    )
    data = captioned_folder(root=tmp_path, split="test")
    assert [item.annotations["captions"] for item in data] == [("2",)]
    assert data.skipped == []
    assert len(captioned_folder(root=tmp_path)) == 3
    with pytest.raises(DataError, match=r"no captions of split 'tran' .*'train'\?"):
        captioned_folder(root=tmp_path, split="tran")


def test_text_files_beside_the_pictures(tmp_path):
    """One caption a line; sub-folders are classes."""
    paint_all(tmp_path, "cat/a.png", "dog/a.png", "dog/b.v2.png")
    (tmp_path / "cat" / "a.txt").write_text("a cat\n\n  it   sleeps \r\n")
    (tmp_path / "dog" / "a.TXT").write_text("a dog")
    (tmp_path / "dog" / "b.v2.txt").write_bytes("﻿ein Hündchen\n".encode())
    data = captioned_folder(root=tmp_path)
    assert [item.annotations["captions"] for item in data] == [
        ("a cat", "it sleeps"),
        ("a dog",),
        ("ein Hündchen",),
    ]
    assert [item.annotations["label"] for item in data] == [0, 1, 1]


def test_text_files_have_no_splits(tmp_path):
    """Asking for one says that there are none."""
    paint_all(tmp_path, "a.png")
    (tmp_path / "a.txt").write_text("a dog")
    with pytest.raises(DataError, match="its splits are none"):
        captioned_folder(root=tmp_path, split="train")


def test_where_captions_come_from_can_be_chosen(tmp_path):
    """By default the file, where there is one, else the texts."""
    paint_all(tmp_path, "a.png")
    (tmp_path / "a.txt").write_text("beside")
    write_lines(tmp_path, {"image": "a.png", "caption": "filed"})
    write_lines(tmp_path, {"image": "a.png", "caption": "other"}, name="other.jsonl")
    assert captions_by_name(tmp_path) == {"0": ("filed",)}
    assert captions_by_name(tmp_path, captions="texts") == {"0": ("beside",)}
    assert captions_by_name(tmp_path, captions="other.jsonl") == {"0": ("other",)}
    with pytest.raises(DataError, match=r"no captions file .*othr.jsonl; .*'other.js"):
        captioned_folder(root=tmp_path, captions="othr.jsonl")


def test_several_lines_of_one_picture_are_joined(tmp_path):
    """Each caption is kept once, in the order of the file."""
    paint_all(tmp_path, "a.png")
    write_lines(
        tmp_path,
        {"image": "a.png", "caption": "a dog", "class": "k"},
        {"image": "./a.png", "captions": ["it runs", "a  dog "], "class": "k"},
    )
    assert captions_by_name(tmp_path) == {"0": ("a dog", "it runs")}


@pytest.mark.parametrize("key", ["class", "split"])
def test_lines_of_one_picture_must_agree(tmp_path, key):
    """A picture is of one class and of one split."""
    paint_all(tmp_path, "a.png")
    write_lines(
        tmp_path,
        {"image": "a.png", "caption": "1", key: "x"},
        {"image": "a.png", "caption": "2", key: "y"},
    )
    with pytest.raises(
        DataError, match=rf"line 2: a\.png has {key} 'y' here and 'x' further up"
    ):
        captioned_folder(root=tmp_path)


def test_captions_may_be_of_any_script_and_length(tmp_path):
    """Folding and cutting them is the conditioner's business."""
    long = "word " * 500
    paint_all(tmp_path, "日本.png")
    write_lines(tmp_path, {"image": "日本.png", "captions": ["犬が走る 🐕", long]})
    assert captions_by_name(tmp_path) == {"0": ("犬が走る 🐕", long.strip())}


@pytest.mark.parametrize("order", [1, -1])
def test_composed_and_decomposed_names_are_the_same(tmp_path, order):
    """Apple's file systems store u with two dots where a file says ü."""
    stored, written = ["Hu\u0308ndchen.png", "H\u00fcndchen.png"][::order]
    paint_all(tmp_path, stored)
    write_lines(tmp_path, {"image": written, "caption": "a puppy"})
    assert captions_by_name(tmp_path) == {"0": ("a puppy",)}


def test_an_empty_class_is_none(tmp_path):
    """As some programs write what they do not know."""
    paint_all(tmp_path, "a.png", "b.png", "c.png")
    kinds = {"a": "", "b": "dog", "c": "cat"}
    lines = [{"image": f"{n}.png", "caption": n, "class": k} for n, k in kinds.items()]
    data = captioned_folder(root=write_lines(tmp_path, *lines))
    assert data.facts.annotations["label"].names == ("cat", "dog")
    assert data.skipped == ["a.png: no class"]


def test_backslashes_are_slashes(tmp_path):
    """A file that was written on Windows is read everywhere."""
    paint_all(tmp_path, "x/a.png")
    write_lines(tmp_path, {"image": "x\\a.png", "caption": "a dog"})
    assert captions_by_name(tmp_path) == {"0": ("a dog",)}


def test_what_lacks_its_counterpart_is_skipped_and_listed(tmp_path):
    """Pictures without a caption, captions without a picture, unreadable pictures."""
    paint_all(tmp_path, *(f"{name}.png" for name in "abcdefg"))
    (tmp_path / "e.png").write_bytes(b"")
    write_lines(
        tmp_path,
        *({"image": f"{name}.png", "caption": name} for name in "abcde"),
        {"image": "f.png", "captions": ["", "  "]},
        {"image": "z.png", "caption": "lost"},
        {"image": "captions.jsonl", "caption": "no picture at all"},
    )
    data = captioned_folder(root=tmp_path)
    assert [item.annotations["captions"] for item in data] == [
        ("a",),
        ("b",),
        ("c",),
        ("d",),
    ]
    assert data.skipped == [
        "f.png: no caption",
        "g.png: no caption",
        "z.png: captioned, but there is no such picture",
        "captions.jsonl: captioned, but there is no such picture",
        "e.png: empty file",
    ]


def test_texts_without_a_picture_are_skipped(tmp_path):
    """A note among the captions does no harm."""
    paint_all(tmp_path, "a.png", "b.png")
    for name in ("a", "b", "README"):
        (tmp_path / f"{name}.txt").write_text(name)
    data = captioned_folder(root=tmp_path)
    assert len(data) == 2
    assert data.skipped == ["README.txt: no picture of that name"]


def test_most_pictures_without_captions_is_refused(tmp_path):
    """Unless a captions file is named, which may leave pictures out on purpose."""
    paint_all(tmp_path, "a.png", "b.png", "c.png")
    write_lines(tmp_path, {"image": "a.png", "caption": "1"})
    with pytest.raises(DataError, match=r"2 of 3 in .*b\.png: no caption.*\.jsonl"):
        captioned_folder(root=tmp_path)
    data = captioned_folder(root=tmp_path, captions="captions.jsonl")
    assert len(data) == 1
    assert data.skipped == ["b.png: no caption", "c.png: no caption"]


def test_most_captions_without_pictures_is_refused(tmp_path):
    """The root is then hardly the folder that the captions are of."""
    paint_all(tmp_path, "a.png")
    lines = [{"image": f"{name}.png", "caption": name} for name in "abc"]
    write_lines(tmp_path, *lines)
    with pytest.raises(DataError, match=r"2 of 3 in .*no such picture.*set root to"):
        captioned_folder(root=tmp_path)


def test_no_captions_at_all_is_refused(tmp_path):
    """The error says where they were looked for."""
    paint_all(tmp_path, "a.png")
    with pytest.raises(DataError, match=r"no captions in .*captions\.jsonl.*a\.txt"):
        captioned_folder(root=tmp_path)
    write_lines(tmp_path, "")
    with pytest.raises(DataError, match="no captions in"):
        captioned_folder(root=tmp_path)


def test_empty_captions_only_is_refused(tmp_path):
    """A picture counts only with something said of it."""
    paint_all(tmp_path, "a.png")
    write_lines(tmp_path, {"image": "a.png", "caption": " "})
    with pytest.raises(DataError, match="empty; write some"):
        captioned_folder(root=tmp_path, captions="captions.jsonl")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"image": "a.png", ', r"not JSON \(.*column 20\)"),
        ("[" * 100_000, "nested too deeply"),
        ('["a.png", "a dog"]', "not an object like"),
        ('"a.png"', "not an object like"),
        ('{"caption": "a dog"}', 'no "image"'),
        ('{"image": 3, "caption": "a dog"}', '"image" is 3, not a string'),
        ('{"image": "", "caption": "a dog"}', "not the path of a file"),
        ('{"image": "a.png", "caption": ["a"]}', r'"caption" is \[\'a\'\], not a str'),
        ('{"image": "a.png", "captions": "a"}', "\"captions\" is 'a', not a list"),
        ('{"image": "a.png", "captions": ["a", 1]}', '"captions" holds 1, not a str'),
        ('{"image": "a.png", "caption": "a", "class": 7}', '"class" is 7, not a str'),
        ('{"image": "a.png", "caption": "a", "split": true}', '"split" is True, not'),
        (r'{"image": "a.png", "caption": "\ud83d"}', "half of a character"),
        ('{"image": "/etc/a.png", "caption": "a"}', "leads out of the folder"),
        (r'{"image": "C:\\a.png", "caption": "a"}', "leads out of the folder"),
        ('{"image": "x/../../a.png", "caption": "a"}', "leads out of the folder"),
        (r'{"image": "..\\a.png", "caption": "a"}', "leads out of the folder"),
    ],
)
def test_a_wrong_line_is_named_by_file_number_and_reason(tmp_path, line, reason):
    """Nothing of a wrong file is used."""
    paint_all(tmp_path, "a.png")
    write_lines(tmp_path, {"image": "a.png", "caption": "fine"}, line)
    with pytest.raises(DataError, match=f"line 2: .*{reason}") as caught:
        captioned_folder(root=tmp_path)
    assert str(tmp_path / "captions.jsonl") in str(caught.value)


def test_all_wrong_lines_are_counted_and_the_first_few_named(tmp_path):
    """One run of the program is enough to mend a file."""
    paint_all(tmp_path, "a.png")
    write_lines(tmp_path, *["{"] * 8)
    with pytest.raises(DataError, match=r"8 wrong lines: line 1: .* and 3 more"):
        captioned_folder(root=tmp_path)


def test_what_is_not_utf8_is_named(tmp_path):
    """By line, in a captions file and in a text."""
    paint_all(tmp_path, "a.png")
    content = '{"image": "a.png", "caption": "Hündchen"}'.encode("latin-1")
    (tmp_path / "captions.jsonl").write_bytes(b"\n" + content)
    with pytest.raises(DataError, match=r"captions\.jsonl .*line 2: not UTF-8"):
        captioned_folder(root=tmp_path)
    (tmp_path / "captions.jsonl").unlink()
    (tmp_path / "a.txt").write_bytes("ein\nHündchen".encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.txt, line 2: not UTF-8"):
        captioned_folder(root=tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    """Some editors write one."""
    paint_all(tmp_path, "a.png")
    line = json.dumps({"image": "a.png", "caption": "a dog"})
    (tmp_path / "captions.jsonl").write_text(line, encoding="utf-8-sig")
    assert captions_by_name(tmp_path) == {"0": ("a dog",)}


def test_line_separators_inside_a_caption_end_no_line(tmp_path):
    """JSON allows U+2028 unescaped; a caption is folded to one line."""
    paint_all(tmp_path, "a.png")
    line = {"image": "a.png", "caption": "a\u2028dog\nruns"}
    text = json.dumps(line, ensure_ascii=False)
    (tmp_path / "captions.jsonl").write_text(text, encoding="utf-8")
    assert captions_by_name(tmp_path) == {"0": ("a dog runs",)}


def test_reeds_views(tmp_path):
    """76 x 76 stored, 64 x 64 used, mirrored half of the time."""
    paint_all(tmp_path, "a.png")
    write_lines(tmp_path, {"image": "a.png", "caption": "a dog"})
    data = captioned_folder(root=tmp_path, load_size=76, mirror=True)
    assert data[0].sample.shape == (3, 76, 76)
    assert data.facts.sample_shape == (3, 64, 64)
    stored = torch.randint(256, (16, 3, 76, 76), dtype=torch.uint8)
    views = data.transform(stored, torch.Generator().manual_seed(0))
    assert views.shape == (16, 3, 64, 64)
    assert views.dtype == torch.uint8
    plain = captioned_folder(root=tmp_path)
    assert not hasattr(plain, "transform")


def test_a_pickled_folder_gives_the_same_items(tmp_path):
    """Workers of a data loader get a copy."""
    paint_all(tmp_path, "a.png", "b.png")
    lines = [{"image": f"{n}.png", "caption": n, "class": n} for n in "ab"]
    data = captioned_folder(root=write_lines(tmp_path, *lines), mirror=True)
    copy = pickle.loads(pickle.dumps(data))
    assert copy.facts == data.facts
    for one, other in zip(data, copy, strict=True):
        assert torch.equal(one.sample, other.sample)
        assert one.annotations == other.annotations


@pytest.mark.skipif(not FLICKR.is_file(), reason="no Flickr8k in the test data")
def test_real_captioned_photographs(tmp_path):
    """Three hundred of Flickr8k: five captions each, 76 x 76, every one readable."""
    with zipfile.ZipFile(FLICKR) as archive:
        lines = archive.read("captions.jsonl").decode().splitlines()[:300]
        archive.extractall(tmp_path, [json.loads(line)["image"] for line in lines])
    write_lines(tmp_path, *lines)
    known = {json.loads(line)["image"]: json.loads(line) for line in lines}
    data = captioned_folder(root=tmp_path, load_size=76, mirror=True)
    assert len(data) == 300
    assert data.skipped == []
    assert set(data.facts.annotations["label"].names) == {
        line["class"] for line in known.values()
    }
    for (_, line), item in zip(sorted(known.items()), data, strict=True):
        assert item.sample.shape == (3, 76, 76)
        assert (
            data.facts.annotations["label"].names[item.annotations["label"]]
            == line["class"]
        )
        assert set(item.annotations["captions"]) == {
            " ".join(c.split()) for c in line["captions"]
        }
    train = captioned_folder(root=tmp_path, split="train")
    assert len(train) == sum(line["split"] == "train" for line in known.values())


def test_other_splits_are_held_out_with_the_classes_trained_on(tmp_path):
    """``dev`` is called validation; a class that is not trained on has no index."""
    paint_all(tmp_path, "a.png", "b.png", "c.png", "d.png", "e.png")
    write_lines(
        tmp_path,
        {"image": "a.png", "caption": "a", "split": "train", "class": "dog"},
        {"image": "b.png", "caption": "b", "split": "train", "class": "fox"},
        {"image": "c.png", "caption": "c", "split": "dev", "class": "fox"},
        {"image": "d.png", "caption": "d", "split": "dev", "class": "cat"},
        {"image": "e.png", "caption": "e", "split": "test", "class": "fox"},
    )
    data = captioned_folder(root=tmp_path, split="train", size=8)
    assert data.splits.keys() == {"validation", "test"}
    held = data.splits["validation"]()
    assert [item.annotations for item in held] == [{"label": 1, "captions": ("c",)}]
    assert held.facts == data.facts
    assert held.skipped == ["d.png: its class 'cat' is not among those trained on"]


def test_only_some_classes_are_kept_in_every_split(tmp_path):
    """A class that is not there is an error that names the nearest."""
    paint_all(tmp_path, "a.png", "b.png", "c.png", "d.png")
    write_lines(
        tmp_path,
        {"image": "a.png", "caption": "a", "split": "train", "class": "dog"},
        {"image": "b.png", "caption": "b", "split": "train", "class": "fox"},
        {"image": "c.png", "caption": "c", "split": "test", "class": "dog"},
        {"image": "d.png", "caption": "d", "split": "test", "class": "fox"},
    )
    data = captioned_folder(root=tmp_path, split="train", only=("fox",))
    texts = [[item.annotations["captions"] for item in s] for s in (data, held(data))]
    assert texts == [[("b",)], [("d",)]]
    assert "label" in data.facts.annotations
    data = captioned_folder(root=tmp_path, split="train", only=("fox",), classes="none")
    same = [[item.annotations["captions"] for item in s] for s in (data, held(data))]
    assert same == texts
    assert "label" not in data.facts.annotations
    assert "label" not in held(data).facts.annotations
    with pytest.raises(DataError, match=r"only = 'dgo': .*did you mean 'dog'"):
        captioned_folder(root=tmp_path, only=("dgo",))


def held(data):
    """Return the test split."""
    return data.splits["test"]()


def test_a_share_is_held_out_whatever_else_is_there(tmp_path):
    """Kept and held out make all; a picture stays on its side when others come."""
    names = [f"{i}.png" for i in range(40)]
    write_lines(
        paint_all(tmp_path, *names), *({"image": n, "caption": n} for n in names)
    )
    data = captioned_folder(root=tmp_path, hold_out=0.25)
    kept, out = (
        {item.annotations["captions"][0] for item in some}
        for some in (data, held(data))
    )
    assert kept | out == {*names}
    assert 4 <= len(out) <= 16
    (tmp_path / "captions.jsonl").unlink()
    write_lines(tmp_path, *({"image": n, "caption": n} for n in names[:20]))
    fewer = captioned_folder(root=tmp_path, hold_out=0.25)
    assert {i.annotations["captions"][0] for i in held(fewer)} == out & {*names[:20]}
    with pytest.raises(ValueError, match="leave out hold_out"):
        captioned_folder(root=tmp_path, split="train", hold_out=0.25)


def test_splits_share_their_classes_and_their_names(tmp_path):
    """Folders are classes in all; dev and val are one; the uncaptioned are none."""
    paint_all(tmp_path, "cat/a.png", "dog/b.png", "dog/c.png", "dog/d.png", "cat/e.png")
    write_lines(
        tmp_path,
        {"image": "cat/a.png", "caption": "a", "split": "train"},
        {"image": "dog/b.png", "caption": "b", "split": "train"},
        {"image": "dog/c.png", "caption": "c", "split": "dev"},
        {"image": "dog/d.png", "caption": "d", "split": "val"},
        {"image": "cat/e.png", "captions": [], "split": "test"},
    )
    data = captioned_folder(root=tmp_path, split="train", size=8)
    assert data.splits.keys() == {"validation"}
    validation = data.splits["validation"]()
    assert [item.annotations["label"] for item in validation] == [1, 1]


def test_all_cannot_be_held_out(tmp_path):
    """By chance neither: something is left to train on."""
    write_lines(paint_all(tmp_path, "a.png"), {"image": "a.png", "caption": "a"})
    shares = [0.1 * i for i in range(10)]
    outcomes = set()
    for share in shares:
        try:
            outcomes.add(len(captioned_folder(root=tmp_path, hold_out=share)))
        except DataError as error:
            outcomes.add(str(error).partition(":")[2])
    assert outcomes == {1, " all 1 pictures would be held out; lower it"}
