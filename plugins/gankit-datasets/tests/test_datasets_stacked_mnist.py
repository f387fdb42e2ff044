"""Stacked MNIST, from a tiny stand-in for MNIST."""

from __future__ import annotations

import pickle

import pytest
import torch

from gankit_datasets import stacked_mnist as module
from gankit_datasets.stacked_mnist import stacked_mnist
from gankit_datasets.stored import StoredImages

HALVES = {"train": 60, "test": 30}


def digits(*, split="train", size=None, **_):
    """Return digits whose pixels are all their class, and one that tells the half."""
    count = HALVES[split]
    labels = [i % 10 for i in range(count) if i % 10 != 3 or i == 3]
    samples = (
        torch.tensor(labels, dtype=torch.uint8).view(-1, 1, 1, 1).repeat(1, 1, 4, 4)
    )
    samples[:, 0, 0, 0] = 255 if split == "test" else 0
    return StoredImages(samples, labels, [str(i) for i in range(10)])


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setattr(module, "mnist", digits)


def test_the_label_is_the_number_that_the_channels_write():
    """Red counts hundreds, green tens, blue ones."""
    data = stacked_mnist(items=200)
    for item in map(data.__getitem__, range(200)):
        red, green, blue = item.sample[:, 1, 1].tolist()
        assert item.annotations["label"] == 100 * red + 10 * green + blue
    assert data.facts.sample_shape == (3, 4, 4)
    assert data.facts.annotations["label"].names[::333] == ("000", "333", "666", "999")


def test_every_digit_is_as_likely_however_rare_it_is():
    """The 3 is one of 54 digits; still a tenth of each channel shows it."""
    data = stacked_mnist(items=20_000)
    labels = torch.tensor([data.annotations(i)["label"] for i in range(len(data))])
    for place in (100, 10, 1):
        share = (labels // place % 10 == 3).double().mean()
        assert abs(share - 0.1) < 4 * (0.09 / 20_000) ** 0.5
    assert labels.unique().numel() == 1000


def test_a_smaller_set_is_the_beginning_of_a_larger_one():
    """And another seed draws other digits."""
    few, many, other = (
        stacked_mnist(items=n, seed=s) for n, s in ((100, 1), (70_001, 1), (100, 2))
    )
    told = [[d.annotations(i)["label"] for i in range(100)] for d in (few, many, other)]
    assert told[0] == told[1] != told[2]


def test_test_pictures_are_stacked_of_test_digits():
    """And ``single`` are the digits that are trained on, alone."""
    data = stacked_mnist(items=50)
    test, single = data.splits["test"](), data.splits["single"]()
    assert [int(item.sample[0, 0, 0]) for item in map(test.__getitem__, range(50))] == (
        [255] * 50
    )
    assert not any(
        int(item.sample[0, 0, 0]) for item in map(data.__getitem__, range(50))
    )
    assert test.facts == data.facts
    assert single.facts.sample_shape == (1, 4, 4)


def test_it_can_be_pickled():
    """As workers that are spawned need it."""
    data = stacked_mnist(items=5)
    data.splits.clear()  # whose stand-in for MNIST is this module's own
    again = pickle.loads(pickle.dumps(data))
    assert torch.equal(again[3].sample, data[3].sample)
