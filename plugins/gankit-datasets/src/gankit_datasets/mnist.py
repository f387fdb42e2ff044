"""Handwritten digits. LeCun, Bottou, Bengio and Haffner 1998."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from torchvision import datasets  # type: ignore[import-untyped]

from gankit import Count, Whole
from gankit_datasets.stored import StoredImages, stored_images
from gankit_datasets.torchvision_sets import idx_source

DIGITS = tuple("0123456789")


def mnist(
    *,
    root: Path | str = "data",
    split: Literal["train", "test"] = "train",
    size: Count | None = None,
    skip: Whole = 0,
    take: Count | None = None,
    download: bool = True,
) -> StoredImages:
    """Load MNIST: 60,000 digits to train on and 10,000 to test, 28 x 28, grey.

    Goodfellow et al. 2014 train on ``take = 50_000`` and validate on
    ``skip = 50_000``. The folder may be a read-only share that holds the archives
    alone: they are then unpacked into $GANKIT_CACHE, by default ~/.cache/gankit.

    Args:
        root: the folder that holds MNIST/raw, or where to download it
        split: the images to train on, or those to test on
        size: pixels a side: 28 to 32 by a black border, any other by resizing
        skip: images to leave out at the start
        take: images to take after those; all by default
        download: fetch what is not there

    Raises:
        DataError: nothing is there and nothing can be fetched, or it is damaged.
    """
    return stored_images(
        idx_source("MNIST", datasets.MNIST, DIGITS),
        root=root,
        split=split,
        size=size,
        skip=skip,
        take=take,
        download=download,
    )
