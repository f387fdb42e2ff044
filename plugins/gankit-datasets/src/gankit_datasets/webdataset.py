"""Pictures in WebDataset's shards: tars in which a picture's files stand together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import torch
from attrs import evolve

from gankit import Count
from gankit.errors import DataError, listed
from gankit_datasets.captions import Captions, is_text
from gankit_datasets.folders import (
    Entry,
    PictureFolder,
    refuse_most,
    stored_side,
)
from gankit_datasets.holding import Share, parted
from gankit_datasets.packed import PLAIN, Packed, is_hidden
from gankit_datasets.pictures import SUFFIXES, Channels, Fit, Look
from gankit_datasets.tarred import Shard, read_tar

_TEXTS = (".cls", ".json", ".txt")
_MOST = 100_000  # shards that braces may name


def webdataset(
    *,
    root: Path | str,
    shards: tuple[str, ...] = ("*.tar",),
    captions: Literal["auto", "none"] = "auto",
    classes: Literal["auto", "none"] = "auto",
    hold_out: Share = 0.0,
    size: Count = 64,
    fit: Fit = "crop",
    channels: Channels = 3,
    load_size: Count | None = None,
    mirror: bool = False,
    keep: bool = False,
) -> PictureFolder:
    """Read pictures from tars, where they lie, in any order.

    Members that stand one after the other and are called alike up to the first dot are
    one item: a picture (``a.jpg``), its captions (``a.txt``, one a line, or ``caption``
    or ``captions`` in ``a.json``) and its class (``a.cls``, or ``class`` in
    ``a.json``). Of several pictures the first is taken. Each shard is walked through
    once; where its members are is kept in $GANKIT_CACHE, by default ~/.cache/gankit,
    with their captions and classes. Classes that are all numbers are in the order of
    numbers. What has no caption or no class, where others have, is skipped and listed
    in ``skipped``.

    Args:
        root: the folder of the shards
        shards: their names in root, with braces or wildcards: "train-{000..127}.tar"
        captions: take captions where there are any, or take none
        classes: take classes where there are any, or take none
        hold_out: this share of the pictures is left out, and is the split "test"
        size: pixels a side of what the networks see
        fit: cut the centred square, pad to a square with white, or squash to one
        channels: 3 for colour, 1 for grey, 4 for colour with transparency
        load_size: store pictures at this size and cut random squares from them
        mirror: mirror half of the pictures, anew each time they are used
        keep: keep the decoded pictures in $GANKIT_CACHE, by default ~/.cache/gankit, so
            that a later start decodes none

    Raises:
        DataError: no such shard, one that is cut off or compressed, no pictures, or
            most of them unreadable; or the decoded ones cannot be kept.
        ValueError: a load_size below the size.
    """
    look = Look(side=stored_side(size, load_size), fit=fit, channels=channels)
    folder = Path(root).expanduser()
    paths = _found(folder, shards)
    skipped: list[str] = []
    entries: list[Entry] = []
    names: list[str] = []
    begins: dict[str, bytes] = {}
    places = []
    for number, path in enumerate(paths):
        shard = read_tar(path, _TEXTS)
        skipped += shard.skipped
        rows = []
        for entry, row in _entries(path.relative_to(folder), shard, skipped):
            if entry.image in begins:
                skipped.append(f"{entry.image}: there twice")
                continue
            entries.append(entry)
            names.append(entry.image)
            begins[entry.image] = shard.contents[row]
            rows.append(row)
        start, length = shard.places[rows].unbind(1)
        one = torch.ones_like(start)
        columns = (number * one, start, length, PLAIN * one, length, 0 * one)
        places.append(torch.stack(columns, 1))
    if not entries:
        raise DataError(
            f"no pictures in {len(paths)} shards of {folder}: looked for members that "
            f"end in {', '.join(SUFFIXES)}; name other shards"
        )
    packed = Packed(folder, paths, names, torch.cat(places), begins)
    chosen = _chosen(packed, entries, skipped, captions=captions, classes=classes)
    kept, held = parted(chosen, hold_out)
    made = PictureFolder(
        packed,
        kept,
        look,
        size=size,
        mirror=mirror,
        keep=keep,
        skipped=skipped,
        splits={"test": held} if held else {},
        numbered=True,
    )
    begins.clear()  # which only held-out items ask for again, and read anew
    return made


def _found(folder: Path, shards: Sequence[str]) -> list[Path]:
    """Find the shards, each once, in the order of their names."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; set root to that of the shards")
    found: set[Path] = set()
    for pattern in shards:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise DataError(
                f"shards: {pattern!r} leads out of root; set root to the folder of the "
                "shards, and name them as they are called there"
            )
        for name in _unbraced(pattern):
            wild = any(mark in name for mark in "*?[")
            some = [folder / name]
            if wild:  # archivers of macOS leave ._a.tar beside a.tar
                some = [p for p in folder.glob(name) if not is_hidden(p.name)]
            lost = [path.name for path in some if not path.is_file()]
            if lost or not some:
                raise DataError(
                    f"shards: there is no {listed(lost or [name])} in {folder}; set "
                    "root to the folder of the shards, or name those that are there"
                )
            found.update(some)
    return sorted(found)


def _unbraced(pattern: str) -> list[str]:
    """Write braces out: ``{a,b}``, and ``{00..12}`` with its leading noughts."""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None:
        return [pattern]
    inside, span = match[1], re.fullmatch(r"(\d+)\.\.(\d+)", match[1])
    if span:
        first, last = map(int, span.groups())
        if not 0 <= last - first < _MOST:
            raise DataError(f"shards: {{{inside}}} names no shards, or too many")
        ways = [str(i).zfill(len(span[1])) for i in range(first, last + 1)]
    else:
        ways = inside.split(",")
    before, after = pattern[: match.start()], pattern[match.end() :]
    return [name for way in ways for name in _unbraced(before + way + after)]


def _entries(
    place: Path, shard: Shard, skipped: list[str]
) -> Iterator[tuple[Entry, int]]:
    """Give an entry for each picture of a shard, and its row there."""
    rows = (row for row, name in enumerate(shard.names) if not is_hidden(name))
    for _, group in groupby(rows, key=lambda row: _key(shard.names[row])):
        members = list(group)
        pictures = [
            row for row in members if shard.names[row].lower().endswith(SUFFIXES)
        ]
        if not pictures:
            continue
        name = f"{place.as_posix()}/{shard.names[pictures[0]]}"
        try:
            said = _said((shard.names[row], shard.contents[row]) for row in members)
        except ValueError as error:
            skipped.append(f"{name}: {error}")
            continue
        yield Entry(name, said.label, tuple(said.texts)), pictures[0]


def _key(name: str) -> str:
    """Return what the members of one item have in common."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def _said(members: Iterator[tuple[str, bytes]]) -> Captions:
    """Read what the texts beside a picture say of it.

    Raises:
        ValueError: one of them cannot be read.
    """
    said = Captions()
    for name, content in members:
        suffix = name.lower()[name.rfind(".") :]
        if suffix not in _TEXTS:
            continue
        try:
            text = content.decode("utf-8-sig")
            if suffix == ".txt":
                said.add(text.splitlines())
            elif suffix == ".cls":
                said.label = text.strip() or None
            else:
                _take(json.loads(text), said)
        except UnicodeDecodeError:
            raise ValueError(f"its {suffix} is not UTF-8") from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"its {suffix} cannot be read: {error}") from None
    return said


def _take(known: Any, said: Captions) -> None:
    if not isinstance(known, dict):
        raise ValueError('it is no object like {"caption": "a dog"}')
    one, several = known.get("caption"), known.get("captions")
    if not isinstance(several, list | None):
        raise ValueError('"captions" in it is no list of strings')
    texts = [*([] if one is None else [one]), *(several or [])]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a caption in it is no string")
    if not is_text(texts):
        raise ValueError("a caption in it has a \\u escape that is half of a character")
    said.add(texts)
    label = known.get("class")
    if said.label is None and isinstance(label, str | int) and label is not True:
        said.label = str(label) or None


def _chosen(
    packed: Packed,
    entries: list[Entry],
    skipped: list[str],
    *,
    captions: Literal["auto", "none"],
    classes: Literal["auto", "none"],
) -> list[Entry]:
    """Take what is asked for, and leave out what lacks it."""
    if captions == "none":
        entries = [evolve(entry, captions=()) for entry in entries]
    if classes == "none":
        entries = [evolve(entry, label=None) for entry in entries]
    if not any(entry.captions for entry in entries):
        return entries
    silent = [f"{entry.image}: no caption" for entry in entries if not entry.captions]
    refuse_most(silent, len(entries), packed, 'caption them, or set captions to "none"')
    skipped += silent
    return [entry for entry in entries if entry.captions]
