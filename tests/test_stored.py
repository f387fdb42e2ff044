"""Samples as they are stored, and the digest that is taken over all of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gankit.data.facts import Facts, Item
from gankit.data.items import Data
from gankit.data.reading import read_data

CPU = torch.device("cpu")
RESIDENCE = pytest.mark.parametrize("mode", ["resident", "streamed"])


class Pictures:
    """600 pictures of 4 x 4 random pixels, of which one pixel can be changed."""

    facts = Facts((1, 4, 4))

    def __init__(self, changed: int | None = None) -> None:
        rng = torch.Generator().manual_seed(0)
        self.pixels = torch.randint(0, 256, (600, 1, 4, 4), generator=rng).byte()
        if changed is not None:
            self.pixels[changed, 0, 3, 3] ^= 1

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Item:
        return Item(self.pixels[index])


class Cropped(Pictures):
    """The same pictures, of which a random half of the columns is used."""

    facts = Facts((1, 4, 2))

    def transform(self, samples: Tensor, rng: torch.Generator) -> Tensor:
        """Cut the same two columns out of all."""
        first = int(torch.randint(0, 3, (), generator=rng))
        return samples[..., first : first + 2]


def _read(dataset: Pictures, mode: str = "resident") -> Data:
    return read_data(dataset, device=CPU, mode=mode)


@RESIDENCE
def test_stored_samples_are_what_the_data_set_holds(mode: str) -> None:
    """Neither cropped nor scaled, in the order asked for, wherever they lie."""
    dataset, positions = Cropped(), torch.tensor([599, 0, 7, 0])
    data = _read(dataset, mode)
    assert torch.equal(data.stored(positions), dataset.pixels[positions])
    assert data.stored(positions).dtype == torch.uint8
    assert data.samples(positions).shape == (4, 1, 4, 2)


@RESIDENCE
@pytest.mark.parametrize("changed", [0, 1, 255, 256, 300, 598, 599])
def test_one_pixel_of_any_item_changes_the_fingerprint(changed: int, mode: str) -> None:
    """By a step of 1 of 255, in whichever chunk of the data it is."""
    assert (
        _read(Pictures(changed), mode).fingerprint() != _read(Pictures()).fingerprint()
    )


def test_equal_data_have_equal_fingerprints_wherever_they_lie() -> None:
    """Resident or streamed, whenever they are asked."""
    prints = {
        _read(Pictures(), mode).fingerprint() for mode in ("resident", "streamed")
    }
    assert prints == {_read(Pictures()).fingerprint()}


def test_another_transform_is_another_fingerprint() -> None:
    """The same pixels, of the same shape in the end, but mirrored on their way."""

    class Mirrored(Cropped):
        def transform(self, samples: Tensor, rng: torch.Generator) -> Tensor:
            return super().transform(samples, rng).flip(-1)

    assert _read(Mirrored()).fingerprint() != _read(Cropped()).fingerprint()


def test_another_range_of_pixels_is_another_fingerprint() -> None:
    """What is fitted to pixels within [0, 1] is not fitted to those within [-1, 1]."""
    wide, narrow = (
        read_data(Pictures(), device=CPU, output_range=bounds).fingerprint()
        for bounds in ((-1.0, 1.0), (0.0, 1.0))
    )
    assert wide != narrow
