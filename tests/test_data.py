"""Feeding: order, residence, streaming, broken items."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from games import Numbers
from gankit.batches import Feed, _Readable
from gankit.data import Data, read_data
from gankit.errors import BrokenItem, DataError
from gankit.parts import UNBOUNDED, Facts, Item
from gankit.processes import ALONE
from gankit.shards import Shards

CPU = torch.device("cpu")


class Pixels:
    """Three pictures of one uint8 pixel each: black, grey, white."""

    facts = Facts((1, 1, 1))

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Item:
        value = (0, 51, 255)[index]
        return Item(torch.full((1, 1, 1), value, dtype=torch.uint8))


def _feed(data: Data, **options: int) -> Feed:
    settings = {"batch_size": 7, "seed": 3, "workers": 0} | options
    size = settings.pop("batch_size")
    return Feed(data, shards=Shards(1, size, exact=False, processes=ALONE), **settings)


def _first_numbers(feed: Feed, count: int) -> list[float]:
    return [v for n in range(count) for v in feed.batch(n)[0].samples[:, 0].tolist()]


@pytest.mark.parametrize("mode", ["resident", "streamed"])
def test_each_epoch_is_a_permutation_though_batches_cross_its_end(mode: str) -> None:
    """7 into 20 does not go: still every item comes once in each run of 20."""
    data = read_data(Numbers(20), device=CPU, mode=mode)
    drawn = _first_numbers(_feed(data), 20)  # 140 samples, seven epochs
    epochs = [drawn[i : i + 20] for i in range(0, 140, 20)]
    assert all(sorted(epoch) == [float(i) for i in range(20)] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 7


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_batches_are_the_resident_ones(workers: int) -> None:
    """Where the data lies changes no bit, nor does the number of workers."""
    resident = read_data(Numbers(20), device=CPU, mode="resident")
    streamed = read_data(Numbers(20), device=CPU, mode="streamed")
    assert resident.store is not None
    assert streamed.store is None
    feed = _feed(streamed, workers=workers)
    try:
        assert _first_numbers(feed, 9) == _first_numbers(_feed(resident), 9)
    finally:
        feed.close()


def test_a_batch_is_a_function_of_its_number() -> None:
    """A feed that starts in the middle, as after a resume, gives the same batches."""
    data = read_data(Numbers(20), device=CPU, mode="streamed")
    straight = _feed(data)
    from_start = [straight.batch(n)[0].positions.tolist() for n in range(8)]
    resumed = _feed(data)
    again = [resumed.batch(n)[0].positions.tolist() for n in range(5, 8)]
    assert again == from_start[5:]
    assert straight.batch(2)[0].positions.tolist() == from_start[2]


def test_pixels_are_scaled_to_the_range_of_the_generator() -> None:
    """0, 51 and 255 are 0, 0.2 and 1 of the way from lowest to highest."""
    for wanted, values in (
        ((0.0, 1.0), [0.0, 0.2, 1.0]),
        ((-1.0, 1.0), [-1.0, -0.6, 1.0]),
        (UNBOUNDED, [-1.0, -0.6, 1.0]),
    ):
        data = read_data(Pixels(), device=CPU, output_range=wanted)
        assert data.store is not None
        assert data.store.dtype == torch.uint8
        samples = data.samples(torch.arange(3)).flatten().tolist()
        assert samples == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("mode", ["resident", "streamed"])
def test_broken_items_are_skipped_and_counted(mode: str) -> None:
    """What is left is numbered through, with the labels of what is left."""
    dataset = Numbers(10, classes=2, broken=(0, 3))
    data = read_data(dataset, device=CPU, mode=mode)
    assert len(data) == 8
    assert data.samples(torch.arange(8))[:, 0].tolist() == [1, 2, 4, 5, 6, 7, 8, 9]
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0, 0, 1, 0, 1, 0, 1]
    assert [line[:6] for line in data.skipped] == ["item 0", "item 3"]


@pytest.mark.parametrize("mode", ["resident", "streamed"])
def test_a_set_that_is_mostly_broken_is_refused(mode: str) -> None:
    """The message counts them, names some and says what to do."""
    dataset = Numbers(10, broken=(0, 1, 2, 3, 4))
    with pytest.raises(DataError, match=r"5 of 10 items.*item 0.*mend or remove"):
        read_data(dataset, device=CPU, mode=mode)


def test_an_empty_set_is_refused() -> None:
    """There is nothing to train on."""
    with pytest.raises(DataError, match="empty"):
        read_data(Numbers(0), device=CPU)


class _Fragile(Numbers):
    """A set whose item 4 breaks after it has been read once."""

    breaks = False

    def __getitem__(self, index: int) -> Item:
        if index == 4 and self.breaks:
            raise BrokenItem("item 4: gone")
        return super().__getitem__(index)


def test_an_item_that_breaks_while_streaming_is_replaced_by_the_next() -> None:
    """The batch stays full, and its positions say what it really holds."""
    dataset = _Fragile(10)
    data = read_data(dataset, device=CPU, mode="streamed")
    dataset.breaks = True
    feed = _feed(data, batch_size=10)
    (batch,) = feed.batch(0)
    assert Counter(batch.samples[:, 0].tolist())[5.0] == 2
    assert batch.positions.tolist() == [int(v) for v in batch.samples[:, 0]]


def test_items_of_another_shape_than_declared_are_refused() -> None:
    """The message gives the item and both shapes."""

    class Lying(Pixels):
        facts = Facts((1, 2, 2))

    with pytest.raises(DataError, match=r"item 0.*\(1, 1, 1\).*\(1, 2, 2\)"):
        read_data(Lying(), device=CPU)


class _Annotated(Numbers):
    """A set that tells labels without reading samples, and counts its reads."""

    def __init__(self) -> None:
        super().__init__(12, classes=3)
        self.reads = 0

    def __getitem__(self, index: int) -> Item:
        self.reads += 1
        return super().__getitem__(index)

    def annotation(self, index: int) -> tuple[int, tuple[str, ...]]:
        return index % 3, ()


def test_a_streamed_set_with_annotations_is_not_read_beforehand() -> None:
    """Labels come from the annotations alone."""
    dataset = _Annotated()
    data = read_data(dataset, device=CPU, mode="streamed")
    assert dataset.reads == 0
    assert data.labels is not None
    assert data.labels.tolist() == [i % 3 for i in range(12)]


def test_transform_is_a_function_of_the_batch_number() -> None:
    """Random crops and mirrors of a batch are the same whenever it is drawn."""

    class Noisy(Numbers):
        def transform(self, samples: Tensor, rng: torch.Generator) -> Tensor:
            return samples + torch.rand(samples.shape, generator=rng)

    data = read_data(Noisy(20), device=CPU)
    first, second = _feed(data), _feed(data)
    second.batch(0)
    assert torch.equal(first.batch(1)[0].samples, second.batch(1)[0].samples)
    same_items = first.batch(0)[0].positions
    a = first.data.samples(same_items, torch.Generator().manual_seed(1))
    b = first.data.samples(same_items, torch.Generator().manual_seed(2))
    assert not torch.equal(a, b)


def test_the_fingerprint_tells_data_sets_apart() -> None:
    """Equal data have equal fingerprints, wherever they lie; other data other ones."""
    prints = [
        read_data(Numbers(20, classes=4), device=CPU, mode="resident").fingerprint(),
        read_data(Numbers(20, classes=4), device=CPU, mode="streamed").fingerprint(),
        read_data(Numbers(20, classes=2), device=CPU).fingerprint(),
        read_data(Numbers(19, classes=4), device=CPU).fingerprint(),
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


_PLUGIN = """
import torch
from gankit import Facts, Item

class Local:
    facts = Facts((1,), sample_range=(0.0, 1.0))
    def __len__(self):
        return 4
    def __getitem__(self, index):
        return Item(torch.tensor([index / 4]))
"""


def test_a_spawned_worker_finds_a_local_plugins_data_set(tmp_path: Path) -> None:
    """A worker that starts from nothing imports the file before it unpickles."""
    from gankit.plugins import import_file

    path = tmp_path / "local_data_set.py"
    path.write_text(_PLUGIN)
    module = import_file(path)
    readable = _Readable(module.Local(), torch.arange(4), (path,))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        sample, place = pool.apply(readable.__getitem__, (3,))
    assert (sample.tolist(), place) == ([0.75], 3)
