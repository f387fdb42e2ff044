"""Captions from a JSON-lines file, or from a text file beside each picture.

A line of the file is an object with ``image`` (a path below the folder), ``caption`` (a
string), ``captions`` (a list of strings) or both, and optionally ``class`` and
``split``. Several lines may be of one picture. A text file has one caption a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from unicodedata import normalize

from attrs import define, field

from gankit.errors import DataError
from gankit_datasets.folders import abridged
from gankit_datasets.packed import File, Place

_TYPES = {
    "image": str,
    "caption": str | None,
    "captions": list | None,
    "class": str | None,
    "split": str | None,
}


@define
class Captions:
    """What is said of one picture; ``texts`` keeps each caption once."""

    texts: list[str] = field(factory=list)
    label: str | None = None
    split: str | None = None

    def add(self, texts: Iterable[str]) -> None:
        """Add captions, each on one line, without empty ones and repetitions."""
        folded = (" ".join(text.split()) for text in texts)
        self.texts = list(dict.fromkeys([*self.texts, *filter(None, folded)]))


def read_jsonl(path: File) -> dict[str, Captions]:
    """Read a captions file: picture's path → captions.

    Raises:
        DataError: the file cannot be read, or some of its lines are wrong; names the
            file, the first few lines and what is wrong with each.
    """
    found: dict[str, Captions] = {}
    problems: list[str] = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            if line.strip():
                _take(_decoded(line, number), found)
        except UnicodeDecodeError:
            problems.append(f"line {number}: not UTF-8")
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        raise DataError(f"{path} has {len(problems)} wrong lines: {abridged(problems)}")
    return found


def read_texts(root: Place, texts: Sequence[str]) -> dict[str, Captions]:
    """Read text files, paths below ``root``: path without suffix → captions.

    Raises:
        DataError: a file cannot be read, or is not UTF-8.
    """
    found: dict[str, Captions] = {}
    for name in texts:
        captions = found.setdefault(without_suffix(name), Captions())
        for number, line in enumerate(_lines(root / name), start=1):
            try:
                captions.add([_decoded(line, number)])
            except UnicodeDecodeError:
                raise DataError(
                    f"{root / name}, line {number}: not UTF-8; save it in that encoding"
                ) from None
    return found


def without_suffix(name: str) -> str:
    """Return a path without its last suffix."""
    return str(PurePosixPath(name).with_suffix(""))


def _lines(path: File) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:  # in bytes, so that only a newline ends a line
            yield from file
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path} cannot be read ({reason}); "
            'mend it, or name another file in the option "captions"'
        ) from None


def _decoded(line: bytes, number: int) -> str:
    # a file may begin with a byte order mark
    return line.decode("utf-8-sig" if number == 1 else "utf-8")


def _take(line: str, found: dict[str, Captions]) -> None:
    """Add one line; ValueError says what is wrong with it."""
    entry = _parsed(line)
    image = _inside(entry["image"])
    label, split = entry.get("class") or None, entry.get("split")
    captions = found.setdefault(image, Captions(label=label, split=split))
    for key, new, old in (
        ("class", label, captions.label),
        ("split", split, captions.split),
    ):
        if new != old:
            raise ValueError(f"{image} has {key} {new!r} here and {old!r} further up")
    one = entry.get("caption")
    captions.add([*([] if one is None else [one]), *(entry.get("captions") or [])])


def _parsed(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if "\\ud" in line.lower() and not is_text(entry):
        raise ValueError("a \\u escape that is half of a character")
    if not isinstance(entry, dict):
        raise ValueError('not an object like {"image": "a.jpg", "caption": "a dog"}')
    if "image" not in entry:
        raise ValueError('no "image"')
    for key, kind in _TYPES.items():
        if key in entry and not isinstance(entry[key], kind):
            wanted = "a list of strings" if key == "captions" else "a string"
            raise ValueError(f'"{key}" is {entry[key]!r}, not {wanted}')
    for text in entry.get("captions") or []:
        if not isinstance(text, str):
            raise ValueError(f'"captions" holds {text!r}, not a string')
    return entry


def is_text(entry: Any) -> bool:
    """Whether parsed JSON can be written as UTF-8."""
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _inside(image: str) -> str:
    """Check that a path stays below the root, and write it in one way.

    Backslashes become slashes, and ü is one letter, not u and two dots: programs and
    file systems differ in both.
    """
    path = PureWindowsPath(image)  # takes both kinds of slashes, and knows drives
    if path.anchor or ".." in path.parts:
        raise ValueError(f'"image" is {image!r}, which leads out of the folder')
    if not path.parts:
        raise ValueError(f'"image" is {image!r}, not the path of a file')
    return normalize("NFC", path.as_posix())
