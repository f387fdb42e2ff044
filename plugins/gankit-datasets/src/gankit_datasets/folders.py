"""The room that the two folder data sets share: finding, checking, labelling, serving.

What cannot be used is skipped and listed in ``skipped``; where most of a folder cannot
be used, the folder is refused, because then the recipe or the folder is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import takewhile
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from attrs import frozen
from torch import Tensor

from gankit import Classes, Facts, Item, Texts
from gankit.errors import DataError
from gankit_datasets.kept import keeping
from gankit_datasets.packed import Place
from gankit_datasets.pictures import SUFFIXES, Look, faults
from gankit_datasets.views import RandomView

_SHOWN = 5  # problems spelled out in an error


@frozen
class Entry:
    """One picture of a folder, by its path below the root, and what is known of it."""

    image: str
    label: str | None = None
    captions: tuple[str, ...] = ()


class PictureFolder:
    """Pictures of a folder, decoded when asked for; each fits ``look``.

    Whether a file is a picture is seen from its first bytes; whether all of it can be
    decoded, when it is.

    With ``keep`` what was decoded is kept on the disk (`gankit_datasets.kept`).
    With ``look.side`` above ``size``, or with ``mirror``, it has a ``transform`` to
    random views of ``size`` pixels. ``skipped`` says what was left out and why, one
    line each, beginning with ``skipped`` as given. ``splits`` builds what is held out,
    by name: pictures of classes that are among the entries too. Classes are in the
    order of their names, or, with ``numbered``, of numbers if all of them are.

    Raises:
        DataError: no entry can be used, or most cannot.
    """

    def __init__(
        self,
        root: Place,
        entries: Sequence[Entry],
        look: Look,
        *,
        size: int,
        mirror: bool,
        keep: bool = False,
        skipped: Iterable[str] = (),
        splits: Mapping[str, Sequence[Entry]] = MappingProxyType({}),
        numbered: bool = False,
    ) -> None:
        readable, unreadable = _readable(root, entries)
        refuse_most(unreadable, len(entries), root, "mend or remove these files")
        kept, classless = _classed(readable)
        refuse_most(
            classless,
            len(readable),
            root,
            "give them one, or take no classes from the folder",
        )
        self.skipped = [*skipped, *unreadable, *classless]
        self.root, self.look, self._entries = root, look, kept
        names = sorted({entry.label for entry in kept if entry.label is not None})
        if numbered and all(name.isdecimal() for name in names):
            names.sort(key=int)
        self.indices = {name: index for index, name in enumerate(names)}
        declared: dict[str, Any] = {}
        if names:
            declared["label"] = Classes(names)
        if any(entry.captions for entry in kept):
            declared["captions"] = Texts()
        self.facts = Facts((look.channels, size, size), **declared)
        images = [entry.image for entry in kept]
        shape = (look.channels, look.side, look.side)
        self._kept = keeping(root, images, look, shape) if keep else None
        if look.side != size or mirror:
            self.transform = RandomView(size, mirror)
        self.splits = {
            name: partial(_held_out, self, others, size=size, mirror=mirror, keep=keep)
            for name, others in splits.items()
        }

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Item:
        return Item(self._sample(index), **self.annotations(index))

    def _sample(self, index: int) -> Tensor:
        known = self._kept.read(index) if self._kept else None
        if known is not None:
            return known
        sample = self.look.read(self.root / self._entries[index].image)
        if self._kept:
            self._kept.write(index, sample)
        return sample

    def annotations(self, index: int) -> dict[str, Any]:
        """Return the class and captions of a picture without reading it."""
        entry = self._entries[index]
        known: dict[str, Any] = {}
        if entry.label is not None:
            known["label"] = self.indices[entry.label]
        if "captions" in self.facts.annotations:
            known["captions"] = entry.captions
        return known


def _held_out(
    known: PictureFolder, entries: Sequence[Entry], **how: Any
) -> PictureFolder:
    """Build what is held out, with the classes that are known and no others."""
    classed = "label" in known.facts.annotations
    kept = [entry for entry in entries if not classed or entry.label in known.indices]
    held = PictureFolder(known.root, kept, known.look, **how)
    held.skipped += [
        f"{entry.image}: its class {entry.label!r} is not among those trained on"
        for entry in entries
        if classed and entry.label not in known.indices
    ]
    held.indices, held.facts = known.indices, known.facts
    return held


def stored_side(size: int, load_size: int | None) -> int:
    """Return the side of the pictures as stored, from which views are cut.

    Raises:
        ValueError: pictures smaller than the views that are cut from them.
    """
    if load_size is not None and load_size < size:
        raise ValueError(
            f"load_size = {load_size} is smaller than size = {size}, which is cut from "
            f"it; set load_size to {size} or more, or leave it out"
        )
    return load_size or size


def pictures_among(root: Place, files: Iterable[str]) -> list[str]:
    """Return the files whose names end like a picture's.

    Raises:
        DataError: there are none.
    """
    found = [name for name in files if name.lower().endswith(SUFFIXES)]
    if not found:
        raise DataError(
            f"no pictures in {root} or its sub-folders: looked for files that end in "
            f"{', '.join(SUFFIXES)}; set root to the folder that has some"
        )
    return found


def folder_names(images: Sequence[str]) -> list[str | None]:
    """Name the class of each picture after the sub-folder that it lies in.

    The folders that all pictures share tell none apart and are passed over; what lies
    deeper in a sub-folder is of its class. None for a picture in no sub-folder.
    """
    folders = [PurePosixPath(image).parent.parts for image in images]
    # what the first and the last in order share, all share
    ends = zip(min(folders), max(folders), strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    return [parts[shared] if len(parts) > shared else None for parts in folders]


def refuse_most(problems: Sequence[str], total: int, root: Place, remedy: str) -> None:
    """Refuse a folder more than half of which has problems.

    Raises:
        DataError: names the first few problems and the remedy.
    """
    if 2 * len(problems) > total:
        raise DataError(
            f"{len(problems)} of {total} in {root} cannot be used: "
            f"{abridged(problems)}; {remedy}"
        )


def abridged(problems: Sequence[str]) -> str:
    """Return the first few problems and the count of the rest, in one line."""
    rest = len(problems) - _SHOWN
    shown = ", ".join(problems[:_SHOWN])
    return shown + (f" and {rest} more" if rest > 0 else "")


def _readable(root: Place, entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Part the entries that begin as pictures do from those that do not."""
    reasons = faults(root, [entry.image for entry in entries])
    pairs = list(zip(entries, reasons, strict=True))
    kept = [entry for entry, reason in pairs if reason is None]
    return kept, [f"{entry.image}: {reason}" for entry, reason in pairs if reason]


def _classed(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Where some entries have a class, part those with from those without."""
    if all(entry.label is None for entry in entries):
        return list(entries), []
    kept = [entry for entry in entries if entry.label is not None]
    return kept, [
        f"{entry.image}: no class" for entry in entries if entry.label is None
    ]
