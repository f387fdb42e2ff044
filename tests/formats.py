"""Tiny data in the formats of the real ones, which no test downloads."""

from __future__ import annotations

import json
import pickle
import struct
import tarfile
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image, ImageDraw

ITEMS = 12


def write_all(root: Path) -> None:
    """Write what each first-party data set reads into a folder of its name."""
    write_idx(root / "mnist" / "MNIST" / "raw")
    write_idx(root / "stacked-mnist" / "MNIST" / "raw")
    write_idx(root / "fashion-mnist" / "FashionMNIST" / "raw")
    write_cifar(root / "cifar10" / "cifar-10-batches-py")
    write_pictures(root / "image-folder")
    write_captions(root / "captioned-folder")
    write_shards(root / "webdataset")


def write_idx(folder: Path) -> None:
    """Write the four files of a tiny MNIST, unpacked."""
    folder.mkdir(parents=True)
    rng = torch.Generator().manual_seed(0)
    for split in ("train", "t10k"):
        pixels = torch.randint(0, 256, (ITEMS * 784,), generator=rng).tolist()
        head = struct.pack(">4i", 0x803, ITEMS, 28, 28)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(head + bytes(pixels))
        labels = bytes(i % 10 for i in range(ITEMS))
        head = struct.pack(">2i", 0x801, ITEMS)
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(head + labels)


def write_cifar(folder: Path) -> None:
    """Write the batches of a tiny CIFAR-10, unpacked."""
    folder.mkdir(parents=True)
    rng = torch.Generator().manual_seed(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        pixels = torch.randint(0, 256, (4, 3072), generator=rng, dtype=torch.uint8)
        batch = {"data": pixels.numpy(), "labels": [0, 1, 2, 3]}
        (folder / name).write_bytes(pickle.dumps(batch))
    meta = {"label_names": [f"kind {i}" for i in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))


def write_pictures(folder: Path) -> list[str]:
    """Draw squares and discs into a folder of each; return their paths in it."""
    names = []
    for i in range(ITEMS):
        shape = ("square", "disc")[i % 2]
        picture = Image.new("RGB", (20, 16), (20 * i, 100, 200))
        draw = ImageDraw.Draw(picture)
        (draw.rectangle if i % 2 == 0 else draw.ellipse)((4, 3, 12, 11), "white")
        names.append(f"{shape}/{i}.png")
        (folder / shape).mkdir(parents=True, exist_ok=True)
        picture.save(folder / names[-1])
    return names


def write_captions(folder: Path) -> None:
    """Draw pictures, and say what is on them."""
    lines = [
        json.dumps({"image": name, "captions": [f"a {name[:4]}", f"number {i}"]})
        for i, name in enumerate(write_pictures(folder))
    ]
    (folder / "captions.jsonl").write_text("\n".join(lines), "utf-8")


def write_shards(folder: Path) -> None:
    """Draw pictures into two tars, with a caption and a class beside each."""
    folder.mkdir(parents=True)
    with TemporaryDirectory() as aside:
        names = write_pictures(Path(aside))
        for number, part in enumerate((names[:5], names[5:])):
            with tarfile.open(folder / f"part-{number}.tar", "w") as tar:
                for name in part:
                    shape, key = name.removesuffix(".png").split("/")
                    add_member(tar, f"{key}.cls", shape.encode())
                    add_member(tar, f"{key}.png", (Path(aside) / name).read_bytes())
                    add_member(tar, f"{key}.txt", f"a {shape}\nnumber {key}".encode())


def add_member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Write one file into a tar."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, BytesIO(content))
