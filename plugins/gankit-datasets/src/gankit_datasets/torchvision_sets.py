"""Torchvision's own loaders: made quiet, interruptible and safe on read-only shares.

Torchvision reads unpacked files only, and unpacks straight into the folder it reads. So
everything is unpacked in a passing folder first and then moved into place file by file:
neither an interruption nor a second process can leave half a file behind.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import tarfile
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from hashlib import md5
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen

from gankit.cache import cache_folder
from gankit.errors import DataError

_PATIENCE = 30.0  # seconds without an answer until a download counts as failed

# what a damaged file, a full disk or a lost network makes torchvision raise
_FAILURES = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    AssertionError,
    HTTPException,
    tarfile.TarError,
    zlib.error,
)


@frozen
class Source:
    """One of torchvision's data sets, and the files that it reads below its root."""

    title: str
    loader: Callable[..., Any]
    unpacked: tuple[str, ...]
    archives: Mapping[str, str]  # path below the root → MD5
    classes: tuple[str, ...] | None = None  # None: as torchvision names them
    border_up_to: int = 0  # up to this size pictures get a black border, no resizing


def idx_source(title: str, loader: Any, classes: tuple[str, ...] | None) -> Source:
    """Describe one of the MNIST family: four gzipped IDX files, 28 x 28 pixels.

    A border to 32 x 32 keeps every pixel, and halves down to 4 x 4 evenly.
    """
    folder = f"{loader.__name__}/raw"
    archives = {f"{folder}/{name}": digest for name, digest in loader.resources}
    unpacked = tuple(name.removesuffix(".gz") for name in archives)
    return Source(title, loader, unpacked, archives, classes, border_up_to=32)


def load(source: Source, root: Path | str, *, train: bool, download: bool) -> Any:
    """Load one half of a data set: torchvision's object, with data and targets.

    Unpacked files are read from ``root``; else the archives in ``root`` are unpacked;
    else, with ``download``, they are fetched. What is unpacked or fetched goes to
    ``root`` or, where that is not writable, to gankit's cache folder.

    Raises:
        DataError: nothing is there and nothing can be fetched, or it is damaged.
    """
    root = Path(root).expanduser()
    if root.exists() and not root.is_dir():
        raise DataError(
            f"{root} is not a folder; set root to the folder that holds "
            f"{source.unpacked[0]}"
        )
    home = root if _writable_for(source, root) else cache_folder()
    for place in (root, home):
        if all((place / name).is_file() for name in source.unpacked):
            return _read(source, place, train)
    return _unpack(source, root, home, train=train, download=download)


def _read(source: Source, place: Path, train: bool) -> Any:
    try:
        with _silence():
            return source.loader(place, train=train)
    except _FAILURES as error:
        folder = (place / source.unpacked[0]).parent
        raise DataError(
            f"the files of {source.title} in {folder} are damaged ({_reason(error)}); "
            "delete them, so that they are unpacked or downloaded anew"
        ) from None


def _unpack(
    source: Source, root: Path, home: Path, *, train: bool, download: bool
) -> Any:
    sound, damaged = _inspect(source, root)
    if len(sound) < len(source.archives) and not download:
        raise DataError(_absence(source, root, damaged, "download is off"))
    try:
        with TemporaryDirectory(prefix="gankit-", dir=_nearest(home)) as stage:
            for name in sound:
                (Path(stage) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / name, Path(stage) / name)
            with _silence():
                loaded = source.loader(stage, train=train, download=True)
            for name in source.unpacked:
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(stage) / name).replace(home / name)
    except _FAILURES as error:
        action = "downloading" if len(sound) < len(source.archives) else "unpacking"
        cause = f"{action} into {home} failed ({_reason(error)})"
        if home != root:
            cause += ", where GANKIT_CACHE may name another folder"
        raise DataError(_absence(source, root, damaged, cause)) from None
    return loaded


def _inspect(source: Source, root: Path) -> tuple[list[str], list[str]]:
    """Sort the archives below ``root`` into sound ones and damaged ones."""
    sound: list[str] = []
    damaged: list[str] = []
    for name, digest in source.archives.items():
        if (root / name).is_file():
            content = (root / name).read_bytes()
            right = md5(content, usedforsecurity=False).hexdigest() == digest
            (sound if right else damaged).append(name)
    return sound, damaged


def _absence(source: Source, root: Path, damaged: list[str], cause: str) -> str:
    found = "".join(f"; {name} is there, but its MD5 is wrong" for name in damaged)
    return (
        f"{root} holds no {source.title}: looked for {', '.join(source.unpacked)}, or "
        f"their archives{found}; {cause}. Put {', '.join(source.archives)} there, or "
        "set root to the folder that has them, or run once with download = true "
        "where there is a network"
    )


def _writable_for(source: Source, root: Path) -> bool:
    return all(_writable(root / name) for name in (".", *source.unpacked))


def _writable(path: Path) -> bool:
    """Whether ``path`` can be created; folders closed to all stay so for root too."""
    folder = _nearest(path)
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & 0o222)


def _nearest(path: Path) -> Path:
    """Return the nearest folder at or above ``path`` that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


@contextmanager
def _silence() -> Iterator[None]:
    """Keep torchvision's progress and NumPy's warnings from the terminal."""
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        with (
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
            warnings.catch_warnings(action="ignore"),
        ):
            yield
    finally:
        socket.setdefaulttimeout(patience)
