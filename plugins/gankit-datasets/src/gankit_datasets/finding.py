"""Finding the files of a folder, or of a zip of one."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from gankit.errors import DataError
from gankit_datasets.packed import Place
from gankit_datasets.zipped import read_zip


def find_files(root: Path | str) -> tuple[Place, list[str], list[str]]:
    """List the files below a folder or in a zip, without hidden ones, in a fixed order.

    Links are followed, but no folder is read twice: a loop of links ends.

    Returns:
        the folder or zip, paths in it with forward slashes, and what was skipped.

    Raises:
        DataError: the root is neither a folder nor a zip, or cannot be read.
    """
    root = _checked(Path(root).expanduser())
    if root.is_file():
        packed, skipped = read_zip(root)
        return packed, sorted(packed.names), skipped
    return root, *_below_folder(root)


def _below_folder(root: Path) -> tuple[list[str], list[str]]:
    files: list[str] = []
    skipped: list[str] = []
    seen: set[str] = set()
    real, links = deque([root]), deque[Path]()
    while real or links:
        # links last, so that a folder is known by its own name, not by a link's
        folder = real.popleft() if real else links.popleft()
        place = os.path.realpath(folder)
        if place in seen:
            skipped.append(f"{_below(folder, root)}: a link to a folder read already")
            continue
        seen.add(place)
        below = "" if folder == root else f"{_below(folder, root)}/"
        for entry in _visible(folder, root, skipped):
            if not _is_folder(entry):
                files.append(below + entry.name)
            else:
                (links if entry.is_symlink() else real).append(Path(entry.path))
    return sorted(files), skipped


def _checked(root: Path) -> Path:
    if not root.exists():
        raise DataError(f"there is no folder {root}; set root to one with pictures")
    if root.is_file() and root.suffix.lower() == ".zip":
        return root
    if not root.is_dir():
        raise DataError(
            f"{root} is not a folder, nor a .zip of one; set root to the folder it "
            "lies in"
        )
    try:
        os.scandir(root).close()
    except OSError as error:
        raise DataError(
            f"{root} cannot be read ({error.strerror}); get the right to read it from "
            "its owner, or set another root"
        ) from None
    return root


def _visible(folder: Path, root: Path, skipped: list[str]) -> list[os.DirEntry[str]]:
    """List what is in a folder and not hidden; what cannot be read is skipped."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        skipped.append(f"{_below(folder, root)}: {error.strerror}")
        return []
    shown = [entry for entry in entries if not entry.name.startswith(".")]
    garbled = [entry for entry in shown if not _is_text(entry.name)]
    skipped.extend(f"{entry.name!a}: the name is not UTF-8" for entry in garbled)
    return [entry for entry in shown if entry not in garbled]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_text(name: str) -> bool:
    """Whether a file name can be printed; undecodable bytes cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
