"""Files within files: members of a zip or of tars, read where they lie.

Each is known by where it begins and how long it is, so that any can be read at any
time, by any thread or process, and nothing is unpacked.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import torch
from attrs import define, field, frozen
from torch import Tensor

PLAIN, STORED, DEFLATED = -1, 0, 8  # how a member lies there; the last two are a zip's

_HEAD = 30  # bytes of a zip member's own header, before its name
_LEAD = 512  # bytes that tables may take before the first is inflated
_BROKEN = "damaged: it is not as long as its archive says, or has another checksum"


@define(eq=False)
class Packed:
    """The members of some archives, by name; joined to one, it gives a `Member`.

    Args:
        root: what the user has named; its text stands before that of members.
        archives: the files that hold the members.
        names: of the N members.
        places: int64 (N, 6): the number of the archive; where in it the member begins,
            or for a zip its header; its bytes there; how it lies there; its bytes when
            read; and its CRC-32, for a zip.
        begins: how some members begin, where that is known already.
    """

    root: Path
    archives: Sequence[Path]
    names: Sequence[str]
    places: Tensor = field(repr=False)
    begins: Mapping[str, bytes] = field(factory=dict, repr=False)

    def __truediv__(self, name: str) -> Member:
        return Member(self, name)

    def __str__(self) -> str:
        return str(self.root)

    @cached_property
    def rows(self) -> dict[str, int]:
        """By name, the row of a member."""
        return {name: row for row, name in enumerate(self.names)}

    def read(self, name: str, only: int | None = None) -> bytes:
        """Read a member, or its first bytes alone.

        Raises:
            ValueError: it is damaged.
            OSError: the archive, or the member in it, cannot be read.
        """
        if name not in self.rows:
            raise FileNotFoundError(2, "no such member", f"{self}/{name}")
        row = self.places[self.rows[name]].tolist()
        archive, start, stored, how, size, checksum = row
        wanted = stored if only is None else min(stored, only + _LEAD)
        with self.archives[archive].open("rb", buffering=0) as file:
            file.seek(start)
            if how != PLAIN:
                head = file.read(_HEAD)
                if len(head) < _HEAD or head[:4] != b"PK\x03\x04":
                    raise ValueError(_BROKEN)
                lengths = (int.from_bytes(head[i : i + 2], "little") for i in (26, 28))
                file.seek(start + _HEAD + sum(lengths))
            data = file.read(wanted)
        if only is not None:
            return (_inflated(data, only) if how == DEFLATED else data)[:only]
        whole = _inflated(data, size) if how == DEFLATED else data
        if len(whole) != size or (how != PLAIN and zlib.crc32(whole) != checksum):
            raise ValueError(_BROKEN)
        return whole

    def begin(self, name: str, count: int) -> bytes:
        """Return the first bytes of a member, as :meth:`read`."""
        return self.begins.get(name) or self.read(name, only=count)

    def state(self, name: str) -> str:
        """Tell whether a member is the same as it was: its place, size and checksum.

        Where there are no checksums, also the time of its archive.
        """
        row = self.places[self.rows[name]].tolist()
        if row[3] != PLAIN:
            return f"{row[4]} {row[5]}"
        return f"{row} {self.archives[row[0]].stat().st_mtime_ns}"


@frozen
class Member:
    """One member, as a path is one file."""

    packed: Packed = field(repr=False)
    path: str

    def __str__(self) -> str:
        return f"{self.packed}/{self.path}"

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    def is_file(self) -> bool:
        """Tell whether there is such a member."""
        return self.path in self.packed.rows

    def open(self, mode: str = "rb") -> BytesIO:
        """Read it, into memory.

        Raises:
            ValueError: it is damaged.
            OSError: it cannot be read.
        """
        return BytesIO(self.packed.read(self.path))


Place: TypeAlias = Path | Packed  # a folder, or archives
File: TypeAlias = Path | Member  # what is in one


def places_of(rows: Sequence[tuple[int, ...]]) -> Tensor:
    """Return where members are, (N, 6), from a tuple of each."""
    return torch.tensor(rows, dtype=torch.int64).view(-1, 6)


def _inflated(data: bytes, most: int) -> bytes:
    """Decompress what was deflated, as far as it is there; one byte more than most."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError(_BROKEN) from error


def is_hidden(name: str) -> bool:
    """Whether a part of a relative path is hidden, or leads out of where it is."""
    return any(part.startswith(".") and part != "." for part in name.split("/"))
