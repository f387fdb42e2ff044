"""A tar of files: where its members are, found once and kept in gankit's cache."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor

from gankit import cache
from gankit.errors import DataError

_VERSION = 1  # of what is kept
_BLOCK = tarfile.BLOCKSIZE
_BEGINS = 12  # bytes that tell a picture
_LONGEST = 1 << 20  # of a text beside a picture
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")


@frozen
class Shard:
    """The members of a tar, in their order.

    Attributes:
        names: of the N members.
        places: int64 (N, 2): where each begins, and how long it is.
        contents: all of those that are texts, and how the others begin.
        skipped: what was left out, and why.
    """

    names: list[str]
    places: Tensor
    contents: list[bytes]
    skipped: list[str]


def read_tar(path: Path, texts: tuple[str, ...]) -> Shard:
    """Find the members of a tar; all of it is walked through once, and not again.

    Args:
        path: of the tar.
        texts: how names of members end whose contents are kept with their places.

    Raises:
        DataError: it is no tar, is compressed, or is not whole.
    """
    try:
        told = path.stat()
        facts = {
            "path": str(path.resolve()),
            "size": told.st_size,
            "time": told.st_mtime_ns,
            "texts": texts,
            "version": _VERSION,
        }
        kept = cache.path_of("shards", facts)
        state = cache.read(kept)
        if state is None:
            state = _written(_walked(path, texts))
            cache.write(kept, state)
    except OSError as error:
        raise DataError(
            f"the shard {path} cannot be read ({error.strerror}); mend it, or leave it "
            "out of shards"
        ) from None
    return _as_shard(state)


def _walked(path: Path, texts: tuple[str, ...]) -> Shard:
    names, rows = list[str](), list[tuple[int, int]]()
    contents, skipped = list[bytes](), list[str]()
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(6).startswith(_PACKED):
            raise DataError(
                f"the shard {path} is compressed as a whole, so that no picture in it "
                "can be found without reading all before it; decompress it, as by "
                "gunzip: pictures are compressed already"
            )
        file.seek(0)
        for member in _members(path, file):
            if member.isdir():
                continue
            if not member.isreg() or member.sparse:
                skipped.append(f"{path.name}/{member.name}: no plain file")
                continue
            if member.offset_data + member.size > size:
                raise _cut_off(path, len(names), size)
            if not _is_unicode(member.name):
                skipped.append(f"{path.name}/{member.name!a}: the name is not UTF-8")
                continue
            whole = member.name.lower().endswith(texts)
            if whole and member.size > _LONGEST:
                skipped.append(f"{path.name}/{member.name}: more than 1 MiB of text")
                continue
            here = file.tell()
            file.seek(member.offset_data)
            contents.append(file.read(member.size if whole else _BEGINS)[: member.size])
            file.seek(here)
            names.append(member.name)
            rows.append((member.offset_data, member.size))
    places = torch.tensor(rows, dtype=torch.int64).view(-1, 2)
    return Shard(names, places, contents, skipped)


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # of bytes that tarfile could not read
        return False
    return True


def _members(path: Path, file: object) -> Iterator[tarfile.TarInfo]:
    """Give the members of a tar one by one, and hold none of them.

    tarfile takes a header that is damaged, or nothing, for the end; a whole tar ends by
    a block of noughts.
    """
    count = 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:  # type: ignore[call-overload] # a binary file
            while (member := tar.next()) is not None:
                yield member
                tar.members.clear()
                count += 1
            end = tar.offset
    except tarfile.TarError as error:
        if count:
            raise _cut_off(path, count, path.stat().st_size) from None
        raise DataError(
            f"the shard {path} is no tar ({error}); name tar files in shards"
        ) from None
    with path.open("rb") as again:
        again.seek(end)
        if again.read(_BLOCK) != bytes(_BLOCK):
            raise _cut_off(path, count, end)


def _cut_off(path: Path, count: int, place: int) -> DataError:
    return DataError(
        f"the shard {path} is cut off or damaged at byte {place:,}, after {count:,} "
        "members; copy it anew, or leave it out of shards"
    )


def _written(shard: Shard) -> dict[str, Tensor]:
    """Turn what was found into tensors, as the cache keeps them."""
    lists = {"names": [name.encode(errors="surrogateescape") for name in shard.names]}
    lists["contents"] = shard.contents
    lists["skipped"] = [line.encode(errors="replace") for line in shard.skipped]
    state = {"places": shard.places}
    for name, items in lists.items():
        joined = bytearray(b"".join(items)) + b"\n"  # of no bytes torch makes nothing
        state[name] = torch.frombuffer(joined, dtype=torch.uint8)
        lengths = list(map(len, items))
        state[f"{name} lengths"] = torch.tensor(lengths, dtype=torch.int64)
    return state


def _as_shard(state: dict[str, Tensor]) -> Shard:
    lists = {}
    for name in ("names", "contents", "skipped"):
        joined = state[name].numpy().tobytes()
        ends = state[f"{name} lengths"].cumsum(0).tolist()
        lists[name] = [joined[a:b] for a, b in pairwise([0, *ends])]
    return Shard(
        [name.decode(errors="surrogateescape") for name in lists["names"]],
        state["places"],
        lists["contents"],
        [line.decode() for line in lists["skipped"]],
    )
