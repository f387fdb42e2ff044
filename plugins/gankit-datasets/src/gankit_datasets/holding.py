"""Holding out a share of some pictures, for who measures."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gankit_datasets.folders import Entry


def parted(entries: Sequence[Entry], share: float) -> tuple[list[Entry], list[Entry]]:
    """Hold out a share of the pictures, by a digest of their paths: (kept, held out).

    Which they are does not depend on what other pictures there are.
    """
    bound = int(share * 2**64)
    held = [entry for entry in entries if _drawn(entry.image) < bound]
    kept = [entry for entry in entries if _drawn(entry.image) >= bound]
    return kept, held


def _drawn(image: str) -> int:
    """Turn a path into 64 bits."""
    return int.from_bytes(blake2b(image.encode(), digest_size=8).digest(), "big")
