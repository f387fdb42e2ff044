"""A folder of pictures of any size and mode."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from gankit import Count
from gankit_datasets.finding import find_files
from gankit_datasets.folders import (
    Entry,
    PictureFolder,
    folder_names,
    pictures_among,
    stored_side,
)
from gankit_datasets.holding import Share, parted
from gankit_datasets.pictures import Channels, Fit, Look


def image_folder(
    *,
    root: Path | str,
    size: Count = 64,
    fit: Fit = "crop",
    channels: Channels = 3,
    load_size: Count | None = None,
    mirror: bool = False,
    keep: bool = False,
    labels: Literal["folders", "none"] = "folders",
    hold_out: Share = 0.0,
) -> PictureFolder:
    """Read the pictures below a folder; its sub-folders are classes, if it has any.

    Transparency is laid on white, unless ``channels`` keeps it, and the camera's
    orientation is followed. Hidden files are passed over; files that are no pictures
    are skipped and counted in ``skipped``, and so is a picture beside the sub-folders
    that are classes.

    Args:
        root: the folder of the pictures, searched to any depth; or a zip of it
        size: pixels a side of what the networks see
        fit: cut the centred square, pad to a square with white, or squash to one
        channels: 3 for colour, 1 for grey, 4 for colour with transparency
        load_size: store pictures at this size and cut random squares from them
        mirror: mirror half of the pictures, anew each time they are used
        keep: keep the decoded pictures in $GANKIT_CACHE, by default ~/.cache/gankit, so
            that a later start decodes none
        labels: take sub-folders as classes, or take no classes
        hold_out: this share of the pictures is left out, and is the split "test"

    Raises:
        DataError: no folder, no pictures in it, or most of them unreadable;
            or the decoded ones cannot be kept.
        ValueError: a load_size below the size.
    """
    look = Look(side=stored_side(size, load_size), fit=fit, channels=channels)
    place, files, skipped = find_files(root)
    images = pictures_among(place, files)
    names = folder_names(images) if labels == "folders" else [None] * len(images)
    entries = [Entry(*pair) for pair in zip(images, names, strict=True)]
    kept, held = parted(entries, hold_out)
    return PictureFolder(
        place,
        kept,
        look,
        size=size,
        mirror=mirror,
        keep=keep,
        skipped=skipped,
        splits={"test": held} if held else {},
    )
