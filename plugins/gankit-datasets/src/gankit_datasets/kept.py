"""Decoded pictures kept on the disk, so that a later start decodes none.

One file holds a record for each picture of a folder, in order: a checksum of 8 bytes,
then the pixels. A picture is put there when it is first decoded, by whatever process
does so; a record that is not there, was torn or cut off, is decoded anew. The file's
name tells what it is of: any file of the folder that is another in size or time, and
anything else done to the pictures, is another name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import weakref
import zlib
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gankit.cache import cache_folder
from gankit.errors import DataError
from gankit_datasets.packed import Packed, Place

_SUM = 8  # bytes of a record before its pixels; 0 where nothing is
_THERE = 1 << 32  # above every CRC-32, so that none is 0


class Kept:
    """The pictures of some files, (N, *shape) uint8, as far as they have been kept.

    Processes may share it: all write the same. It can be pickled, and be forked with.
    No page of it is mapped, so that a disk that is full is no more than an error.

    Args:
        path: of the file, which is there.
        shape: of a picture.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, shape
        self._size = _SUM + torch.Size(shape).numel()
        self._file = os.open(path, os.O_RDWR)
        weakref.finalize(self, os.close, self._file)

    def __reduce__(self) -> tuple[Any, ...]:
        return Kept, (self.path, self.shape)

    def read(self, index: int) -> Tensor | None:
        """Return a picture; None where it is not there, or not whole."""
        with suppress(OSError):
            record = os.pread(self._file, self._size, index * self._size)
            pixels = bytearray(record[_SUM:])
            told = int.from_bytes(record[:_SUM], "little")
            if len(record) == self._size and told == _checksum(pixels):
                return torch.frombuffer(pixels, dtype=torch.uint8).view(self.shape)
        return None

    def write(self, index: int, picture: Tensor) -> None:
        """Keep a picture, if the disk has room for it."""
        pixels = picture.numpy().tobytes()
        record = _checksum(pixels).to_bytes(_SUM, "little") + pixels
        with suppress(OSError):
            os.pwrite(self._file, record, index * self._size)


def keeping(
    root: Place, images: Iterable[str], look: object, shape: tuple[int, ...]
) -> Kept:
    """Open what is kept of some pictures of a folder, or begin to keep them.

    What was kept of the same files as they were before is removed.

    Args:
        root: the folder, or archives.
        images: paths of the pictures below it, in order.
        look: what is done to them, by its ``repr``.
        shape: of a picture then.

    Raises:
        DataError: they cannot be kept, or the disk has no room for them.
    """
    images = list(images)
    folder = cache_folder() / "pictures"
    name = _digest(str(Path(str(root)).resolve()), repr(look), *images)
    path = folder / f"{name}-{_state_of(root, images)}.rows"
    size = len(images) * (_SUM + torch.Size(shape).numel())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):
            pass
        for other in folder.glob(f"{name}-*.rows"):
            if other != path:
                other.unlink(missing_ok=True)
        lacking = size - path.stat().st_blocks * 512
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise _cannot(folder, error.strerror or str(error)) from error
    if lacking > free:
        wanted = f"{size / 2**20:,.0f} MiB are wanted, {free / 2**20:,.0f} MiB are free"
        raise _cannot(folder, wanted)
    return Kept(path, shape)


def _cannot(folder: Path, reason: str) -> DataError:
    return DataError(
        f"the decoded pictures cannot be kept in {folder} ({reason}); free some space, "
        "name another folder by GANKIT_CACHE, or set dataset.keep=false"
    )


def _state_of(root: Place, images: Iterable[str]) -> str:
    """Return a digest of the files as they are, and of what decodes them."""
    states = [version("gankit-datasets"), version("pillow")]
    for image in images:
        try:
            states.append(_file_state(root, image))
        except OSError:
            states.append("gone")
    return _digest(*states)


def _file_state(root: Place, image: str) -> str:
    if isinstance(root, Packed):
        return root.state(image)
    told = os.stat(f"{root}/{image}")  # noqa: PTH116 # no Path for each of many
    return f"{told.st_size} {told.st_mtime_ns}"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:32]


def _checksum(pixels: bytes | bytearray) -> int:
    return _THERE | zlib.crc32(pixels)
