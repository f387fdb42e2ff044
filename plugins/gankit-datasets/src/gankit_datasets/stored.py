"""Small pictures held in memory whole: what torchvision's sets become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gankit import Classes, Facts, Item
from gankit.errors import DataError
from gankit_datasets.torchvision_sets import Source, load
from gankit_datasets.views import RandomView

_CHUNK = 1024  # pictures converted to float at once, to bound memory


class StoredImages:
    """Pictures and labels, each item a row of one tensor.

    ``splits`` builds held-out ones, by name. With ``mirror`` it has a ``transform``.

    Args:
        samples: (N, C, H, W), uint8
        labels: N class indices
        classes: the names that the labels index
        mirror: mirror half of the pictures, anew each time they are used
    """

    def __init__(
        self,
        samples: Tensor,
        labels: Sequence[int],
        classes: Sequence[str],
        *,
        mirror: bool = False,
    ) -> None:
        self.all_samples = samples
        self._labels = list(labels)
        self.facts = Facts(samples.shape[1:], label=Classes(classes))
        self.splits: dict[str, Callable[[], StoredImages]] = {}
        if mirror:
            self.transform = RandomView(samples.shape[-1], mirror=True)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> Item:
        return Item(self.all_samples[index], **self.annotations(index))

    def annotations(self, index: int) -> dict[str, int]:
        """Return the label of a picture."""
        return {"label": self._labels[index]}


def stored_images(
    source: Source,
    *,
    root: Path | str,
    split: str,
    size: int | None,
    skip: int,
    take: int | None,
    download: bool,
    mirror: bool = False,
) -> StoredImages:
    """Load a data set of torchvision, cut the wanted items out and fit their size.

    What of the training half is not taken is its validation split.

    Raises:
        DataError: it cannot be loaded, or has fewer items than asked for.
    """
    how: dict[str, Any] = {"size": size, "mirror": mirror}
    half = partial(_half, source, root=root, download=download, **how)
    loaded = load(source, root, train=split == "train", download=download)
    kept = _span(len(loaded.data), skip, take, f"{source.title}'s {split} split")
    images = _cut(source, loaded, slice(*kept), **how)
    if split == "train":
        left = [*range(kept[0]), *range(kept[1], len(loaded.data))]
        if left:
            images.splits["validation"] = partial(half, "train", left)
        images.splits["test"] = partial(half, "test", slice(None))
    return images


def _half(
    source: Source,
    split: str,
    rows: slice | list[int],
    *,
    root: Path | str,
    download: bool,
    **how: Any,
) -> StoredImages:
    """Load some items of one half of a data set."""
    loaded = load(source, root, train=split == "train", download=download)
    return _cut(source, loaded, rows, **how)


def _cut(
    source: Source,
    loaded: Any,
    rows: slice | list[int],
    *,
    size: int | None,
    mirror: bool,
) -> StoredImages:
    """Cut items out of what was loaded, and fit their size."""
    samples = torch.as_tensor(loaded.data)[rows]
    if samples.ndim == 3:  # (N, H, W)
        samples = samples.unsqueeze(1)
    else:  # (N, H, W, C)
        samples = samples.permute(0, 3, 1, 2).contiguous()
    labels = torch.as_tensor(loaded.targets)[rows].tolist()
    if size is not None:
        wide = max(samples.shape[-2:])
        grow = _bordered if wide <= size <= source.border_up_to else _resized
        samples = grow(samples, size)
    classes = source.classes or loaded.classes
    return StoredImages(samples, labels, classes, mirror=mirror)


def _span(length: int, skip: int, take: int | None, title: str) -> tuple[int, int]:
    """Return where ``take`` items after the first ``skip`` begin and end."""
    stop = length if take is None else skip + take
    if skip >= length or stop > length:
        wanted = f"skip = {skip}" + ("" if take is None else f" and take = {take}")
        raise DataError(
            f"{wanted}: more than the {length} items of {title}; "
            f"lower them until skip + take is at most {length}"
        )
    return skip, stop


def _bordered(images: Tensor, size: int) -> Tensor:
    """Centre pictures (N, C, H, W) on black; an odd row or column goes last."""
    rows, columns = size - images.shape[-2], size - images.shape[-1]
    edges = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return functional.pad(images, edges)  # (N, C, size, size)


def _resized(images: Tensor, size: int) -> Tensor:
    """Resize uint8 pictures (N, C, H, W) by antialiased bilinear interpolation."""
    result = images.new_empty((*images.shape[:2], size, size))
    for start in range(0, len(images), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        scaled = functional.interpolate(
            images[chunk].float(), (size, size), mode="bilinear", antialias=True
        )
        result[chunk] = scaled.round()  # a mean of pixels, so within 0 and 255
    return result  # (N, C, size, size)
