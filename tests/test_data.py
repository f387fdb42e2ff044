"""Feeding: order, residence, streaming, broken items."""

from __future__ import annotations

import multiprocessing
import pickle
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
import torch
from torch import Tensor

from games import Linear, Numbers, make_run
from gankit.compute.processes import ALONE, Processes
from gankit.compute.shards import Shards
from gankit.contracts import UNBOUNDED, Shapes
from gankit.data.facts import Facts, Item
from gankit.data.feed import Feed
from gankit.data.items import Data
from gankit.data.reading import read_data
from gankit.data.samples import Readable
from gankit.errors import BrokenItem, DataError

CPU = torch.device("cpu")
T = TypeVar("T")


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


@pytest.mark.parametrize("error", [EOFError, ConnectionResetError])
def test_a_connection_that_breaks_off_is_a_worker_that_died(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it hands a tensor over: it is replaced once, and then told of."""

    def torn() -> Iterator[Any]:
        raise error
        yield

    start, left = Feed._start, [1]

    def starting(self: Feed, number: int) -> None:
        start(self, number)
        if left[0]:
            left[0] -= 1
            self._stream = torn()

    monkeypatch.setattr(Feed, "_start", starting)
    streamed = read_data(Numbers(20), device=CPU, mode="streamed")
    resident = read_data(Numbers(20), device=CPU)
    assert _first_numbers(_feed(streamed), 4) == _first_numbers(_feed(resident), 4)
    left[0] = 2
    with pytest.raises(DataError, match="died twice in a row"):
        _feed(streamed).batch(0)


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
        assert data.store.rows.dtype == torch.uint8
        samples = data.samples(torch.arange(3)).flatten().tolist()
        assert samples == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("mode", ["resident", "streamed"])
def test_broken_items_are_skipped_and_counted(mode: str) -> None:
    """What is left is numbered through, with the labels of what is left."""
    dataset = Numbers(10, classes=2, broken=(0, 3))
    data = read_data(dataset, device=CPU, mode=mode)
    assert len(data) == 8
    assert data.samples(torch.arange(8))[:, 0].tolist() == [1, 2, 4, 5, 6, 7, 8, 9]
    assert data.annotations["label"].tolist() == [1, 0, 0, 1, 0, 1, 0, 1]
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

    def annotations(self, index: int) -> dict[str, int]:
        return {"label": index % 3}


def test_a_streamed_set_with_annotations_is_not_read_beforehand() -> None:
    """Labels come from the annotations alone; one sample tells the form of all."""
    dataset = _Annotated()
    data = read_data(dataset, device=CPU, mode="streamed")
    assert dataset.reads == 1
    assert data.annotations["label"].tolist() == [i % 3 for i in range(12)]


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
    from gankit.plugins.importing import import_file

    path = tmp_path / "local_data_set.py"
    path.write_text(_PLUGIN)
    module = import_file(path)
    form = (1,), torch.float32
    readable = Readable(module.Local(), torch.arange(4), form, (path,))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        sample, place, reason = pool.apply(readable.__getitem__, (3,))
    assert (sample.tolist(), place, reason) == ([0.75], 3, "")


def test_a_generator_is_shown_items_from_all_over_the_data() -> None:
    """Of a set sorted by class, of which 10,000 items are seen, each class has a half.

    20,000 items, the first half 0 and the second 1: a draw without replacement of
    10,000 has the mean 0.5 with a standard deviation of 0.0035.
    """
    seen: list[Tensor] = []

    class Sorted(Numbers):
        def __getitem__(self, index: int) -> Item:
            late = index >= 10_000
            return Item(torch.full((2,), float(late)), label=int(late))

    class Watching(Linear):
        def observe(self, samples: Tensor) -> None:
            seen.append(samples)

    for _ in range(2):
        make_run(dataset=Sorted(20_000, 2), generator=Watching(Shapes((2,), 3)))
    assert seen[0].shape == (10_000, 2)
    assert float(seen[0].mean()) == pytest.approx(0.5, abs=4.5 * 0.0035)
    assert torch.equal(*seen)  # a function of the seed


class _Views(Numbers):
    """Items that are rows of one tensor, as those of a stored set."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.rows = torch.arange(2.0 * count).view(count, 2)

    def __getitem__(self, index: int) -> Item:
        return Item(self.rows[index], label=index % 4)


class _Telling(Processes):
    """One of several processes, the others of which say what is put in their mouths."""

    told: ClassVar[list[bytes]] = []

    def gather(self, value: T) -> list[T]:
        """Keep what is told, as it would be sent."""
        self.told.append(pickle.dumps(value))
        return [value] * self.size

    def any(self, asked: bool) -> bool:
        """Agree."""
        return asked


def test_processes_tell_each_other_what_is_broken_not_the_data() -> None:
    """Of a resident set of 100,000 views nothing is sent but that all can be read."""
    _Telling.told.clear()
    dataset = _Views(100_000)
    data = read_data(dataset, device=CPU, processes=_Telling(1, 2, 1, 2))
    assert sum(map(len, _Telling.told)) < 1000
    assert data.store is not None
    assert torch.equal(data.store.rows, dataset.rows)


@pytest.mark.parametrize("mode", ["resident", "streamed"])
def test_what_one_process_cannot_read_is_broken_for_all(mode: str) -> None:
    """They play one game, so that they must have the same items."""

    class Agreeing(_Telling):
        def gather(self, value: Any) -> list[Any]:
            """Let the other say that it cannot read item 3, and what it knows."""
            if "label" in value:  # all 20 items are in the first chunk, which is ours
                return [value, {"label": torch.empty(0, dtype=torch.int64)}]
            return [value, {3: "item 3: gone"}]

    dataset = Numbers(20, broken=(5,))
    data = read_data(dataset, device=CPU, mode=mode, processes=Agreeing(0, 2, 0, 2))
    assert data.indices.tolist() == [i for i in range(20) if i not in (3, 5)]
    assert data.skipped == ("item 3: gone", "item 5: broken on purpose")
    assert data.samples(torch.tensor([3]))[0].tolist() == [4.0, -4.0]


def test_rows_move_up_where_broken_ones_were() -> None:
    """Across chunks of 256 too."""
    broken = (0, 1, 255, 256, 300, 999)
    data = read_data(Numbers(1000, broken=broken), device=CPU, mode="resident")
    left = [i for i in range(1000) if i not in broken]
    assert data.store is not None
    assert data.store.rows[:, 0].tolist() == left


def test_items_of_another_type_than_the_first_are_refused() -> None:
    """A store has one type, and nothing is rounded in silence."""

    class Mixed(Numbers):
        def __getitem__(self, index: int) -> Item:
            item = super().__getitem__(index)
            double = Item(item.sample.double(), **item.annotations)
            return double if index == 7 else item

    with pytest.raises(DataError, match=r"item 7 .* torch.float64, but the first"):
        read_data(Mixed(20), device=CPU)
