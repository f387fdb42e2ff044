"""A folder of pictures with captions, as Reed et al. 2016 train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal
from unicodedata import normalize

from attrs import evolve

from gankit import Count
from gankit.errors import DataError, listed, nearest
from gankit_datasets.captions import Captions, read_jsonl, read_texts, without_suffix
from gankit_datasets.finding import find_files
from gankit_datasets.folders import (
    Entry,
    PictureFolder,
    folder_names,
    pictures_among,
    refuse_most,
    stored_side,
)
from gankit_datasets.holding import Share, parted
from gankit_datasets.packed import File, Place
from gankit_datasets.pictures import Channels, Fit, Look

_AUTO, _TEXTS, _FILE = "auto", "texts", "captions.jsonl"
_HELD_OUT = dict.fromkeys(("dev", "val", "valid"), "validation")  # as it is called here


def captioned_folder(
    *,
    root: Path | str,
    captions: str = "auto",
    split: str | None = None,
    hold_out: Share = 0.0,
    classes: Literal["auto", "none"] = "auto",
    only: tuple[str, ...] = (),
    size: Count = 64,
    fit: Fit = "crop",
    channels: Channels = 3,
    load_size: Count | None = None,
    mirror: bool = False,
    keep: bool = False,
) -> PictureFolder:
    """Read the pictures below a folder, with one or more captions each.

    Captions come from a JSON-lines file in the folder, of lines like ``{"image":
    "dogs/a.jpg", "captions": ["a dog", "it runs"], "class": "dog", "split": "train"}``
    (the last two optional; ``caption`` for a single one), or from a text file beside
    each picture, ``a.txt`` for ``a.jpg``, with one caption a line. Pictures without
    captions and captions without pictures are skipped and listed in ``skipped``.
    Reed et al. 2016: ``load_size = 76``, ``mirror = true``.

    Args:
        root: the folder of the pictures, searched to any depth; or a zip of it
        captions: a JSON-lines file in root, which may leave pictures out; "texts", a
            text file beside each picture; "auto", captions.jsonl or else "texts"
        split: keep only the lines of this split; the others are what is held out
        hold_out: where there are no splits, this share of the pictures is left out,
            and is the split "test"
        classes: take the lines' class or, where no line has one, the sub-folders; or
            take no classes
        only: keep only pictures of these classes; all, if left out. Where a single one
            is left, ``classes = "none"`` lets each caption be wrong for the others
        size: pixels a side of what the networks see
        fit: cut the centred square, pad to a square with white, or squash to one
        channels: 3 for colour, 1 for grey, 4 for colour with transparency
        load_size: store pictures at this size and cut random squares from them
        mirror: mirror half of the pictures, anew each time they are used
        keep: keep the decoded pictures in $GANKIT_CACHE, by default ~/.cache/gankit, so
            that a later start decodes none

    Raises:
        DataError: no folder, no pictures, no captions, wrong lines in the captions
            file, or most of the pictures unreadable or without captions; or
            the decoded ones cannot be kept.
        ValueError: a load_size below the size, or both a split and a hold_out.
    """
    if split is not None and hold_out:
        raise ValueError(
            f"split = {split!r} holds out the other splits already; leave out hold_out"
        )
    look = Look(side=stored_side(size, load_size), fit=fit, channels=channels)
    place, files, skipped = find_files(root)
    images = pictures_among(place, files)
    if captions == _TEXTS or (captions == _AUTO and not (place / _FILE).is_file()):
        known, lost = _match_texts(place, files, images)
    else:
        file = place / (_FILE if captions == _AUTO else captions)
        known, lost = _match_lines(file, files, images)
    refuse_most(
        lost, len(lost) + len(known), place, "set root to their pictures' folder"
    )
    chosen = _of_split(place, known, split)
    silent = [
        f"{image}: no caption"
        for image in images
        if image not in known or (image in chosen and not chosen[image].texts)
    ]
    if captions in (_AUTO, _TEXTS):  # a file that is named may leave pictures out
        remedy = f'caption them, or name the file that may leave some out: "{_FILE}"'
        refuse_most(silent, len(images), place, remedy)
    every = _entries(place, known)
    entries = [every[image] for image in sorted(chosen) if image in every]
    if not entries:
        raise DataError(f"every caption in {place} is empty; write some")
    kept, held = parted(_classed(place, entries, only), hold_out)
    splits: dict[str, list[Entry]] = {}
    for image, entry in every.items():
        other = known[image].split
        if split is None or other in (None, split) or not _among(entry, only):
            continue
        splits.setdefault(_HELD_OUT.get(str(other), str(other)), []).append(entry)
    splits |= {"test": held} if held else {}
    if classes == "none":
        kept = _unclassed(kept)
        splits = {name: _unclassed(entries) for name, entries in splits.items()}
    return PictureFolder(
        place,
        kept,
        look,
        size=size,
        mirror=mirror,
        keep=keep,
        skipped=[*skipped, *silent, *lost],
        splits=splits,
    )


def _match_lines(
    file: File, files: Sequence[str], images: Sequence[str]
) -> tuple[dict[str, Captions], list[str]]:
    """Bring pictures and lines together, and list the lines without a picture."""
    if not file.is_file():
        raise DataError(
            f"there is no captions file {file}; name one in root, or set captions to "
            f'"{_TEXTS}" or "{_AUTO}"{nearest(file.name, files)}'
        )
    stored = {normalize("NFC", image): image for image in images}
    known: dict[str, Captions] = {}
    lost = []
    for name, captions in read_jsonl(file).items():
        image = stored.get(name)
        if image is None:
            lost.append(f"{name}: captioned, but there is no such picture")
        else:
            known[image] = captions
    return known, lost


def _match_texts(
    root: Place, files: Sequence[str], images: Sequence[str]
) -> tuple[dict[str, Captions], list[str]]:
    """Bring pictures and text files together, and list the texts without a picture."""
    stems = {image: without_suffix(image) for image in images}
    texts = [name for name in files if name.lower().endswith(".txt")]
    pictured = set(stems.values())
    lost = [text for text in texts if without_suffix(text) not in pictured]
    found = read_texts(root, sorted({*texts} - {*lost}))
    known = {image: found[stem] for image, stem in stems.items() if stem in found}
    return known, [f"{text}: no picture of that name" for text in lost]


def _of_split(
    root: Place, known: Mapping[str, Captions], split: str | None
) -> dict[str, Captions]:
    if not known:
        raise DataError(
            f"no captions in {root}: looked for {_FILE}, and for a text file beside "
            "each picture (a.txt for a.jpg); add one of the two"
        )
    if split is None:
        return dict(known)
    chosen = {image: said for image, said in known.items() if said.split == split}
    if not chosen:
        splits = sorted({said.split for said in known.values() if said.split})
        raise DataError(
            f"no captions of split {split!r} in {root}{nearest(split, splits)}; "
            f"its splits are {listed(splits)}"
        )
    return chosen


def _entries(root: Place, known: Mapping[str, Captions]) -> dict[str, Entry]:
    """Make an entry of each picture with captions; of all, so that classes are one."""
    told = {image: said for image, said in sorted(known.items()) if said.texts}
    if not told:
        raise DataError(f"every caption in {root} is empty; write some")
    labels: Sequence[str | None] = [said.label for said in told.values()]
    if not any(labels):
        labels = folder_names(list(told))
    return {
        image: Entry(image, label, tuple(said.texts))
        for (image, said), label in zip(told.items(), labels, strict=True)
    }


def _unclassed(entries: Sequence[Entry]) -> list[Entry]:
    return [evolve(entry, label=None) for entry in entries]


def _among(entry: Entry, only: Sequence[str]) -> bool:
    return not only or entry.label in only


def _classed(
    root: Place, entries: Sequence[Entry], only: Sequence[str]
) -> Sequence[Entry]:
    """Keep pictures of some classes; all if there are none."""
    there = sorted({entry.label for entry in entries if entry.label})
    for name in only:
        if name not in there:
            raise DataError(
                f"only = {name!r}: no picture in {root} is of that class"
                f"{nearest(name, there)}; its classes are {listed(there)}"
            )
    return [entry for entry in entries if _among(entry, only)]
