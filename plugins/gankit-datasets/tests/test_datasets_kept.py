"""Decoded pictures on the disk: the same numbers, and nothing stale or torn."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image

import gankit
from gankit.errors import BrokenItem, DataError
from gankit_datasets.captioned_folder import captioned_folder
from gankit_datasets.image_folder import image_folder
from gankit_datasets.pictures import Look

NAMES = [f"{i}.png" for i in range(6)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of pictures of noise, and a cache of its own."""
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed, name in enumerate(NAMES):
        _draw(folder / name, seed)
    return folder


def _draw(path: Path, seed: int) -> None:
    rng = numpy.random.default_rng(seed)
    pixels = rng.integers(0, 256, (40, 30, 3), dtype=numpy.uint8)
    Image.fromarray(pixels).save(path)


def _all(data: Any) -> torch.Tensor:
    return torch.stack([data[i].sample for i in range(len(data))])


def _rows(root: Path) -> Path:
    (path,) = (root.parent / "cache" / "pictures").iterdir()
    return path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the names of the files that are decoded."""
    names: list[str] = []
    read = Look.read

    def noted(look: Look, path: Path) -> torch.Tensor:
        names.append(path.name)
        return read(look, path)

    monkeypatch.setattr(Look, "read", noted)
    return names


def test_a_later_start_decodes_none_and_has_the_same_numbers(
    root: Path, decoded: list[str]
) -> None:
    """Each is decoded once, when it is first asked for."""
    plain = _all(image_folder(root=root, size=16))
    decoded.clear()
    first = image_folder(root=root, size=16, keep=True)
    assert decoded == []
    assert torch.equal(_all(first), plain)
    assert torch.equal(_all(first), plain)
    assert decoded == NAMES
    assert torch.equal(_all(image_folder(root=root, size=16, keep=True)), plain)
    assert decoded == NAMES


@pytest.mark.parametrize("data", ["resident", "streamed"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_has_the_same_bits_with_and_without(
    workers: int, data: str, root: Path, tmp_path: Path
) -> None:
    """Also where the pictures are kept by the workers, and read by others."""
    table = {
        "dataset": {"use": "image-folder", "root": str(root), "size": 16},
        "generator": {"use": "dcgan", "width": 2},
        "discriminator": {"use": "dcgan", "width": 2},
        "loss": {"use": "non-saturating"},
        "optimizer": {"use": "Adam", "lr": 1e-3},
        "train": {"steps": 4, "batch_size": 3, "data": data, "workers": workers},
    }
    digests = []
    for turn, keep in enumerate([False, True, True]):
        out = tmp_path / f"{turn}"
        gankit.train(table, {"dataset.keep": keep}, out=out)
        digests.append((out / "checkpoints/00000004/weights.safetensors").read_bytes())
    assert digests[0] == digests[1] == digests[2]
    size = 8 + 3 * 16 * 16
    assert _rows(root).stat().st_size == len(NAMES) * size


def test_a_folder_that_has_changed_is_decoded_anew(
    root: Path, decoded: list[str]
) -> None:
    """Another size or time of one file is enough; what was kept of before is gone."""
    _all(image_folder(root=root, size=16, keep=True))
    before = _rows(root)
    _draw(root / "3.png", 99)
    os.utime(root / "3.png", ns=(0, 0))
    decoded.clear()
    changed = _all(image_folder(root=root, size=16, keep=True))
    assert decoded == NAMES
    assert _rows(root) != before
    assert torch.equal(changed, _all(image_folder(root=root, size=16)))


def test_what_is_done_to_pictures_tells_them_apart(
    root: Path, decoded: list[str]
) -> None:
    """A size, a fit and the channels have a file each; mirror images share one."""
    options: list[dict[str, Any]] = [
        {"size": 16},
        {"size": 8},
        {"size": 16, "fit": "pad"},
        {"size": 16, "channels": 1},
    ]
    for each in options:
        kept = _all(image_folder(root=root, keep=True, **each))
        assert torch.equal(kept, _all(image_folder(root=root, **each)))
    decoded.clear()
    _all(image_folder(root=root, keep=True, size=16, mirror=True))
    _all(image_folder(root=root, keep=True, size=8, load_size=16))
    assert decoded == []


@pytest.mark.parametrize("damage", ["flipped", "cut off", "emptied", "zeroed"])
def test_a_damaged_record_is_decoded_anew(
    damage: str, root: Path, decoded: list[str]
) -> None:
    """And mended; also where power failed between a record and its pixels."""
    plain = _all(image_folder(root=root, size=16, keep=True))
    rows, size = _rows(root), 8 + 3 * 16 * 16
    content = bytearray(rows.read_bytes())
    torn = {
        "flipped": content[: 2 * size + 9]
        + bytes([content[2 * size + 9] ^ 1])
        + content[2 * size + 10 :],
        "cut off": content[:-5],
        "emptied": b"",
        "zeroed": content[: size + 8] + bytes(size - 8) + content[2 * size :],
    }[damage]
    rows.write_bytes(torn)
    decoded.clear()
    again = image_folder(root=root, size=16, keep=True)
    assert torch.equal(_all(again), plain)
    wanted = {"flipped": ["2.png"], "cut off": ["5.png"], "zeroed": ["1.png"]}
    assert decoded == wanted.get(damage, NAMES)
    decoded.clear()
    assert torch.equal(_all(again), plain)
    assert decoded == []


def test_a_picture_that_is_broken_is_not_kept(root: Path) -> None:
    """It may be mended, which its time tells; until then it is broken each time."""
    whole = (root / "2.png").read_bytes()
    (root / "2.png").write_bytes(whole[:-60])
    data = image_folder(root=root, size=16, keep=True)
    for _ in range(2):
        with pytest.raises(BrokenItem, match=r"2\.png"):
            data[2]


def test_a_disk_without_room_is_one_error_before_anything_is_decoded(
    root: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how much is wanted, and what to do."""
    full = shutil.disk_usage(root)._replace(free=4096)
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    with pytest.raises(DataError, match=r"0 MiB are free.*GANKIT_CACHE.*keep=false"):
        image_folder(root=root, size=64, keep=True)
    assert decoded == []


def test_a_cache_that_cannot_be_made_is_one_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a file stands in its place."""
    monkeypatch.setenv("GANKIT_CACHE", str(root / "0.png"))
    with pytest.raises(DataError, match=r"cannot be kept in .*Not a directory"):
        image_folder(root=root, size=16, keep=True)


def test_a_disk_that_fills_up_later_only_keeps_no_more(
    root: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture is there, and a run goes on."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    plain = _all(image_folder(root=root, size=16))
    data = image_folder(root=root, size=16, keep=True)
    monkeypatch.setattr(os, "pwrite", full)
    assert torch.equal(_all(data), plain)
    monkeypatch.undo()
    assert _rows(root).stat().st_size == 0


def _ask(root: Path, done: Any) -> None:
    data = image_folder(root=root, size=16, keep=True)
    done.put([int(data[i].sample.sum()) for i in range(len(data))])


def test_two_processes_at_once_keep_the_same(root: Path, decoded: list[str]) -> None:
    """Each reads what either has kept; a data set may be pickled and forked with."""
    data = image_folder(root=root, size=16, keep=True)
    context = multiprocessing.get_context("fork")
    answers: Any = context.Queue()
    both = [context.Process(target=_ask, args=(root, answers)) for _ in range(2)]
    for process in both:
        process.start()
    sums = [answers.get(timeout=60) for _ in both]
    for process in both:
        process.join()
    assert decoded == []  # here
    again = pickle.loads(pickle.dumps(data))
    mine = [int(again[i].sample.sum()) for i in range(len(again))]
    assert sums == [mine, mine]
    assert decoded == []


def test_captioned_pictures_are_kept_too(root: Path, decoded: list[str]) -> None:
    """Under the same name, where the same is done to the same files."""
    for name in NAMES:
        (root / name).with_suffix(".txt").write_text("noise")
    _all(captioned_folder(root=root, size=16, keep=True))
    assert decoded == NAMES
    _all(image_folder(root=root, size=16, keep=True))
    assert decoded == NAMES
