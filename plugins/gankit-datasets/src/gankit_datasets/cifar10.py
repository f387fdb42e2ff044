"""Ten kinds of animals and vehicles. Krizhevsky 2009."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from torchvision import datasets  # type: ignore[import-untyped]

from gankit import Count, Whole
from gankit_datasets.stored import StoredImages, stored_images
from gankit_datasets.torchvision_sets import Source


def cifar10(
    *,
    root: Path | str = "data",
    split: Literal["train", "test"] = "train",
    size: Count | None = None,
    skip: Whole = 0,
    take: Count | None = None,
    download: bool = True,
    mirror: bool = False,
) -> StoredImages:
    """Load CIFAR-10: 50,000 pictures to train on, 10,000 to test, 32 x 32, colour.

    The folder may be a read-only share that holds the archives alone: they are then
    unpacked into $GANKIT_CACHE, by default ~/.cache/gankit.

    Args:
        root: the folder that holds cifar-10-batches-py, or where to download it
        split: the images to train on, or those to test on
        size: pixels a side; any but 32 by resizing
        skip: images to leave out at the start
        take: images to take after those; all by default
        download: fetch what is not there
        mirror: mirror half of the pictures, anew each time they are used

    Raises:
        DataError: nothing is there and nothing can be fetched, or it is damaged.
    """
    return stored_images(
        _source(datasets.CIFAR10),
        root=root,
        split=split,
        size=size,
        skip=skip,
        take=take,
        download=download,
        mirror=mirror,
    )


def _source(loader: Any) -> Source:
    batches = [*loader.train_list, *loader.test_list]
    names = [*(name for name, _ in batches), loader.meta["filename"]]
    return Source(
        title="CIFAR-10",
        loader=loader,
        unpacked=tuple(f"{loader.base_folder}/{name}" for name in names),
        archives={loader.filename: loader.tgz_md5},
    )
