"""A zip of a folder is what the folder is; what is broken in it is told."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import gankit
from formats import write_captions, write_pictures
from gankit.errors import BrokenItem, DataError
from gankit_datasets.captioned_folder import captioned_folder
from gankit_datasets.image_folder import image_folder

DEFLATED, STORED = zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED


def zipped(folder: Path, how: int = DEFLATED) -> Path:
    """Put all of a folder into a zip beside it."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", how) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def same(one, other) -> None:
    """Compare all that two data sets give."""
    assert len(one) == len(other)
    assert one.facts == other.facts
    for index in range(len(one)):
        assert torch.equal(one[index].sample, other[index].sample)
        assert one[index].annotations == other[index].annotations


@pytest.mark.parametrize("how", [DEFLATED, STORED])
def test_a_zip_is_as_its_folder(tmp_path, how):
    """Classes, pixels and what is held out."""
    write_pictures(tmp_path / "all")
    options = {"size": 16, "hold_out": 0.3}
    folder = image_folder(root=tmp_path / "all", **options)
    data = image_folder(root=str(zipped(tmp_path / "all", how)), **options)
    same(data, folder)
    same(data.splits["test"](), folder.splits["test"]())


def test_captions_are_read_in_the_zip(tmp_path):
    """From one file, or from a text beside each picture."""
    write_captions(tmp_path / "lines")
    for name in write_pictures(tmp_path / "texts"):
        (tmp_path / "texts" / name).with_suffix(".txt").write_text(f"called {name}")
    for kind in ("lines", "texts"):
        folder = captioned_folder(root=tmp_path / kind, size=8)
        same(captioned_folder(root=zipped(tmp_path / kind), size=8), folder)


def test_hidden_files_of_a_zip_are_passed_over(tmp_path):
    """As in a folder, and what a Mac adds."""
    write_pictures(tmp_path / "all")
    path = zipped(tmp_path / "all")
    with zipfile.ZipFile(path, "a") as archive:
        for name in (".a.png", "disc/.b.png", "__MACOSX/disc/._1.png"):
            archive.writestr(name, b"nothing")
    data = image_folder(root=path, size=8)
    assert (len(data), data.skipped) == (12, [])


def test_names_may_begin_with_the_folder_itself(tmp_path):
    """As some archivers write them: ./disc/1.png."""
    write_pictures(tmp_path / "all")
    path = tmp_path / "dotted.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((tmp_path / "all").rglob("*.*")):
            name = f"./{file.relative_to(tmp_path / 'all').as_posix()}"
            archive.writestr(zipfile.ZipInfo(name), file.read_bytes())
    same(image_folder(root=path, size=8), image_folder(root=tmp_path / "all", size=8))


def test_what_is_no_picture_is_skipped(tmp_path):
    """And told by its name and reason, as in a folder."""
    write_pictures(tmp_path / "all")
    (tmp_path / "all/disc/a.png").write_text("a text")
    (tmp_path / "all/disc/b.png").write_bytes(b"")
    data = image_folder(root=zipped(tmp_path / "all"), size=8)
    assert len(data) == 12
    assert data.skipped == [
        "disc/a.png: not a picture that Pillow can read",
        "disc/b.png: empty file",
    ]


def test_a_damaged_member_is_a_broken_item(tmp_path):
    """Its checksum tells, and its name is told; the others are read."""
    names = write_pictures(tmp_path / "all")
    path = zipped(tmp_path / "all", STORED)
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(names[1])
    content = bytearray(path.read_bytes())
    content[member.header_offset + 30 + len(names[1]) + member.file_size - 20] ^= 1
    path.write_bytes(content)
    data = image_folder(root=path, size=8)
    bad = sorted(names).index(names[1])
    with pytest.raises(BrokenItem, match=rf"all\.zip/{names[1]}: damaged"):
        data[bad]
    assert data[bad + 1].sample.shape == (3, 8, 8)


def test_a_deflated_member_that_is_damaged_is_a_broken_item(tmp_path):
    """What cannot be inflated says so, and not how."""
    noise = torch.randint(256, (40, 40, 3), dtype=torch.uint8).numpy()
    (tmp_path / "all").mkdir()
    for name in "abc":
        Image.fromarray(noise).save(tmp_path / f"all/{name}.png")
    path = zipped(tmp_path / "all")
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("b.png")
    content = bytearray(path.read_bytes())
    middle = member.header_offset + 35 + member.compress_size // 2
    content[middle : middle + 99] = bytes(99)
    path.write_bytes(content)
    with pytest.raises(BrokenItem, match=r"b\.png: damaged: it is not as long"):
        image_folder(root=path, size=8)[1]


def test_a_zip_that_is_cut_off_is_refused(tmp_path):
    """Its table is at its end."""
    write_pictures(tmp_path / "all")
    path = zipped(tmp_path / "all")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"all\.zip is no zip file, or not all of one"):
        image_folder(root=path)
    path.write_text("no zip")
    with pytest.raises(DataError, match=r"copy it anew, or set root to"):
        image_folder(root=path)


def test_an_empty_zip_has_no_pictures(tmp_path):
    """It says what it looked for."""
    (tmp_path / "all").mkdir()
    with pytest.raises(DataError, match=r"no pictures in .*all\.zip"):
        image_folder(root=zipped(tmp_path / "all"))


def test_members_that_cannot_be_read_in_place_are_skipped(tmp_path):
    """With what to do; where most are such, the zip is refused."""
    write_pictures(tmp_path / "all")
    path = zipped(tmp_path / "all")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_BZIP2) as archive:
        archive.write(tmp_path / "all/disc/1.png", "disc/x.png")
    data = image_folder(root=path, size=8)
    assert len(data) == 12
    assert data.skipped == [
        "disc/x.png: compressed by method 12; make the zip with the methods store or "
        "deflate"
    ]


def test_a_zip_most_of_which_cannot_be_read_is_refused(tmp_path):
    """It says why, and not that there are no pictures."""
    write_pictures(tmp_path / "all")
    with pytest.raises(DataError, match=r"12 of 12 in .*all\.zip.*by method 14"):
        image_folder(root=zipped(tmp_path / "all", zipfile.ZIP_LZMA))


def test_a_captions_file_that_is_not_there_is_named(tmp_path):
    """With the zip."""
    write_captions(tmp_path / "all")
    with pytest.raises(DataError, match=r"no captions file .*all\.zip/other\.jsonl"):
        captioned_folder(root=zipped(tmp_path / "all"), captions="other.jsonl")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_it_too(tmp_path, method):
    """However they are started."""
    write_pictures(tmp_path / "all")
    data = image_folder(root=zipped(tmp_path / "all"), size=8)
    how = {"num_workers": 2, "multiprocessing_context": method}
    # a function of this file could not be sent to a worker that is spawned by xdist's
    batches = DataLoader(data, batch_size=3, timeout=60, collate_fn=list, **how)
    read = torch.stack([item.sample for batch in batches for item in batch])
    assert torch.equal(read, torch.stack([data[i].sample for i in range(len(data))]))


def test_it_is_pickled_without_its_contents(tmp_path):
    """What is sent to a worker is where members are: some bytes for each."""
    write_pictures(tmp_path / "all")
    data = image_folder(root=zipped(tmp_path / "all", STORED), size=8)
    copy = pickle.loads(pickle.dumps(data))
    same(copy, data)
    (tmp_path / "all.zip").rename(tmp_path / "gone.zip")
    with pytest.raises(BrokenItem, match="No such file"):
        data[0]


def test_decoded_pictures_of_a_zip_are_kept(tmp_path, monkeypatch):
    """Until a member is another, by its checksum."""
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / "cache"))
    write_pictures(tmp_path / "all")
    path = zipped(tmp_path / "all")
    first = image_folder(root=path, size=8, keep=True)
    samples = [first[i].sample for i in range(12)]
    (kept,) = (tmp_path / "cache/pictures").iterdir()
    again = image_folder(root=path, size=8, keep=True)
    assert all(torch.equal(again[i].sample, samples[i]) for i in range(12))
    assert list((tmp_path / "cache/pictures").iterdir()) == [kept]
    Image.new("RGB", (9, 9), "blue").save(tmp_path / "all/disc/1.png")
    zipped(tmp_path / "all")
    changed = image_folder(root=path, size=8, keep=True)
    assert changed[0].sample[:, 0, 0].tolist() == [0, 0, 255]


def test_transparent_pictures_of_a_zip_are_played_with(tmp_path):
    """Four channels from the file to the samples, and a grid that is drawn."""
    names = write_pictures(tmp_path / "all")
    for name in names:
        with Image.open(tmp_path / "all" / name) as image:
            image.putalpha(image.convert("L").point(lambda level: level // 2))
            image.save(tmp_path / "all" / name)
    recipe = {
        "dataset": {"use": "image-folder", "root": str(zipped(tmp_path / "all"))}
        | {"channels": 4, "size": 16},
        "generator": {"use": "dcgan", "width": 2},
        "discriminator": {"use": "dcgan", "width": 2, "norm": "none"},
        "loss": {"use": "non-saturating"},
        "augmentations": [{"use": "ada", "target": 0.0, "images": 4, "every": 1}],
        "train": {"steps": 2, "batch_size": 4, "device": "cpu", "samples": 4},
    }
    gankit.train(recipe, out=tmp_path / "run")
    drawn = gankit.load(tmp_path / "run").sample(2)
    assert drawn.samples.shape == (2, 4, 16, 16)
    with Image.open(tmp_path / "run/samples/00000002.png") as grid:
        assert grid.mode == "RGB"


def test_a_line_of_the_captions_file_is_told_with_its_number(tmp_path):
    """As in a folder."""
    write_captions(tmp_path / "all")
    lines = (tmp_path / "all/captions.jsonl").read_text().splitlines()
    lines[1] = json.dumps({"image": 3})
    (tmp_path / "all/captions.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"all\.zip/captions\.jsonl has 1 .*line 2: "):
        captioned_folder(root=zipped(tmp_path / "all"))
