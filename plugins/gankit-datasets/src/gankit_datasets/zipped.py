"""A zip of files: where its members are."""

from __future__ import annotations

import posixpath
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from gankit.errors import DataError
from gankit_datasets.folders import refuse_most
from gankit_datasets.packed import (
    DEFLATED,
    STORED,
    Packed,
    is_hidden,
    places_of,
)

_ENCRYPTED = 1  # a bit of a member's flags
_FOREIGN = "__MACOSX/"  # what a Mac adds about each file


def read_zip(path: Path) -> tuple[Packed, list[str]]:
    """Read the table of a zip; its members stay where they are.

    Hidden files are passed over, as in a folder.

    Returns:
        the members, and what was skipped.

    Raises:
        DataError: it is no zip, or not all of one, or most of it cannot be read.
    """
    try:
        with ZipFile(path) as archive:
            members = archive.infolist()
    except (BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(
            f"{path} is no zip file, or not all of one ({error}); copy it anew, or set "
            "root to a folder or a zip that can be read"
        ) from None
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); get the right to read it from "
            "its owner, or set another root"
        ) from None
    places: dict[str, tuple[int, ...]] = {}
    skipped = []
    for member in members:
        if member.is_dir() or _is_hidden(member.filename):
            continue
        if reason := _fault(member):
            skipped.append(f"{member.filename}: {reason}")
            continue
        places[
            posixpath.normpath(member.filename)
        ] = (  # of two of one name the later one holds
            0,
            member.header_offset,
            member.compress_size,
            member.compress_type,
            member.file_size,
            member.CRC,
        )
    total = len(places) + len(skipped)
    refuse_most(skipped, total, path, "make the zip anew, or unpack it")
    return Packed(path, [path], list(places), places_of([*places.values()])), skipped


def _is_hidden(name: str) -> bool:
    return name.startswith(_FOREIGN) or is_hidden(name)


def _fault(member: ZipInfo) -> str:
    if member.flag_bits & _ENCRYPTED:
        return "encrypted; make the zip without a password"
    if member.compress_type not in (STORED, DEFLATED):
        return (
            f"compressed by method {member.compress_type}; make the zip with the "
            "methods store or deflate"
        )
    return ""
