"""Holding out a share of some pictures, for who measures."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated

from gankit import Range
from gankit.errors import DataError

if TYPE_CHECKING:
    from gankit_datasets.folders import Entry

Share = Annotated[float, Range(at_least=0, at_most=0.9)]


def parted(entries: Sequence[Entry], share: float) -> tuple[list[Entry], list[Entry]]:
    """Hold out a share of the pictures, by a digest of their paths: (kept, held out).

    Which they are does not depend on what other pictures there are.

    Raises:
        DataError: none is left.
    """
    bound = int(share * 2**64)
    held = [entry for entry in entries if _drawn(entry.image) < bound]
    kept = [entry for entry in entries if _drawn(entry.image) >= bound]
    if held and not kept:
        raise DataError(
            f"hold_out = {share}: all {len(held)} pictures would be held out; lower it"
        )
    return kept, held


def _drawn(image: str) -> int:
    """Turn a path into 64 bits."""
    return int.from_bytes(blake2b(image.encode(), digest_size=8).digest(), "big")
