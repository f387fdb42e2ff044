"""Stacked MNIST: three digits in the channels of one picture, a thousand modes.

Metz et al. 2017 (unrolled GANs), section 3.3.1; with Srivastava et al. 2017 (VEEGAN),
section 5.2, it is how mode collapse of pictures is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from gankit import Classes, Count, Facts, Item, Whole
from gankit_datasets.gaussians import apart
from gankit_datasets.mnist import mnist
from gankit_datasets.stored import StoredImages

_CHANNELS, _DIGITS = 3, 10
_HELD_OUT = 26_000  # pictures of the split "test": as many as those papers generate


class StackedDigits:
    """Pictures (3, H, W) of three digits each, drawn at random with repetition.

    Args:
        digits: pictures (1, H, W) of ten classes
        items: number of pictures
        seed: of the digits
    """

    def __init__(self, digits: StoredImages, items: int, seed: int) -> None:
        self._digits = digits.all_samples
        known = [digits.annotations(i)["label"] for i in range(len(digits))]
        labels = torch.tensor(known)
        count = labels.bincount(minlength=_DIGITS)
        first = count.cumsum(0) - count
        rng = torch.Generator().manual_seed(seed)
        # in float64, so that each of thousands of digits can be drawn
        drawn = torch.rand(items, 2, _CHANNELS, generator=rng, dtype=torch.float64)
        classes = (drawn[:, 0] * _DIGITS).long()  # (N, 3)
        places = (drawn[:, 1] * count[classes]).long()
        self._rows = labels.argsort(stable=True)[first[classes] + places]  # (N, 3)
        self._labels = classes @ torch.tensor([100, 10, 1])
        names = tuple(f"{number:03}" for number in range(_DIGITS**_CHANNELS))
        _, height, width = digits.facts.sample_shape
        self.facts = Facts((_CHANNELS, height, width), label=Classes(names))
        self.splits: dict[str, Callable[[], StackedDigits | StoredImages]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Item:
        sample = self._digits[self._rows[index], 0]
        return Item(sample, **self.annotations(index))

    def annotations(self, index: int) -> dict[str, int]:
        """Return the label of a picture without stacking it."""
        return {"label": int(self._labels[index])}


def stacked_mnist(
    *,
    root: Path | str = "data",
    size: Count | None = None,
    items: Count = 128_000,
    download: bool = True,
    seed: Whole = 0,
) -> StackedDigits:
    """Stack digits of MNIST: red, green and blue are a digit each, 28 x 28.

    The label is the number that the three write. All thousand are equally likely,
    because each digit is drawn for its class first. ``splits`` has ``test``, of test
    digits; and ``single``, the training digits alone in grey, whose labels a classifier
    of single channels learns. Item n depends on the seed and on n alone.

    Args:
        root: the folder that holds MNIST/raw, or where to download it
        size: pixels a side: 28 to 32 by a black border, any other by resizing
        items: number of pictures
        download: fetch what is not there
        seed: of the digits

    Raises:
        DataError: nothing is there and nothing can be fetched, or it is damaged.
    """
    half = partial(mnist, root=root, size=size, download=download)
    stacked = StackedDigits(half(), items, seed)
    stacked.splits["test"] = partial(_test, half, min(items, _HELD_OUT), seed)
    stacked.splits["single"] = half
    return stacked


def _test(half: Callable[..., StoredImages], items: int, seed: int) -> StackedDigits:
    """Stack test digits."""
    return StackedDigits(half(split="test"), items, apart(seed, "test"))
