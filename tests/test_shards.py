"""Shards: cut, averaged along one tree, each from the same state."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from games import Judge, Labels, Linear, make_assembly, make_run
from gankit.compute.processes import ALONE, Processes
from gankit.compute.shards import Mean, Shards, cut
from gankit.compute.state import State
from gankit.contracts import Shapes
from gankit.errors import UsageError

# (a + b) + (c + d) and ((a + b) + c) + d differ in float32: 1 is lost beside 2^25
UNEVEN = [2.0**25, 1.0, -(2.0**25), 3.0]


class Together(Processes):
    """One of several processes; the others' vectors are known beforehand."""

    others: tuple[Tensor, ...] = ()

    def all_of(self, vector: Tensor) -> Tensor:
        """Give this process's vector between those of the others."""
        before, after = self.others[: self.rank], self.others[self.rank :]
        return torch.stack([*before, vector, *after])


def _mean(shards: Shards, values: list[float]) -> Tensor:
    mean = Mean(shards)
    for value in values:
        mean.add([torch.tensor(value)])
    return mean.take()[0]


def test_shards_are_summed_along_a_binary_tree() -> None:
    """Not one after the other, which is another number."""
    a, b, c, d = map(torch.tensor, UNEVEN)
    assert (a + b) + (c + d) != ((a + b) + c) + d
    shards = Shards(4, 1, exact=True, processes=ALONE)
    assert _mean(shards, UNEVEN) == ((a + b) + (c + d)) / 4
    eight = Shards(8, 1, exact=True, processes=ALONE)
    e = torch.tensor(0.3)
    tree = (((a + b) + (c + d)) + ((a + e) + (e + b))) / 8
    assert _mean(eight, [*UNEVEN, UNEVEN[0], 0.3, 0.3, UNEVEN[1]]) == tree


@pytest.mark.parametrize("size", [2, 4])
def test_processes_go_on_with_the_same_tree(size: int) -> None:
    """Whichever of them holds which shard."""
    alone = _mean(Shards(4, 1, exact=True, processes=ALONE), UNEVEN)
    each = 4 // size
    held = [UNEVEN[i * each : (i + 1) * each] for i in range(size)]
    sums = [torch.tensor([sum(values)]) for values in held]  # of two: any order
    for rank in range(size):
        processes = Together(rank, size)
        others = tuple(s for r, s in enumerate(sums) if r != rank)
        object.__setattr__(processes, "others", others)
        shards = Shards(4, 1, exact=True, processes=processes)
        assert list(shards.own) == [*range(rank * each, (rank + 1) * each)]
        assert _mean(shards, held[rank]) == alone


def test_the_mean_keeps_shapes_types_and_order() -> None:
    """Though it is taken of one vector for each type."""
    found = [
        torch.ones(2, 3),
        torch.tensor(5.0).double(),
        torch.zeros(()),
        torch.ones(0),
    ]
    mean = Mean(Shards(2, 1, exact=True, processes=ALONE))
    mean.add(found)
    mean.add([3 * tensor for tensor in found])
    for tensor, taken in zip(found, mean.take(), strict=True):
        assert taken.dtype == tensor.dtype
        assert torch.equal(taken, 2 * tensor)


def test_one_shard_is_passed_on_as_it_is() -> None:
    """A run by itself pays for none of this."""
    tensor = torch.ones(3)
    mean = Mean(Shards(1, 8, exact=False, processes=ALONE))
    mean.add([tensor])
    assert mean.take()[0] is tensor


@pytest.mark.parametrize(
    ("batch", "size", "said"),
    [
        ((64, 4), 3, "3 processes cannot share 4 shards evenly"),
        ((64, 4), 8, "8 processes cannot share 4 shards evenly"),
        ((10,), 4, "10 cannot be cut into 4 equal shards; set it to a mu"),
    ],
)
def test_a_batch_that_cannot_be_cut_is_refused(
    batch: tuple[int, ...], size: int, said: str
) -> None:
    """With what would mend it."""
    with pytest.raises(UsageError, match=said):
        cut(*batch, processes=Processes(0, size))


def test_fast_has_a_shard_for_each_process_and_exact_as_many_as_are_set() -> None:
    """Each with its place in the global batch."""
    fast = cut(12, processes=Processes(2, 3))
    assert (fast.count, fast.size, list(fast.own)) == (3, 4, [2])
    assert fast.own_samples == slice(8, 12)
    exact = cut(16, 4, Processes(1, 2))
    assert (exact.count, exact.size, list(exact.own)) == (4, 4, [2, 3])
    assert exact.own_samples == slice(8, 16)


class Drift:
    """A part with a state of every sort."""

    def __init__(self) -> None:
        self.mean, self.count, self.seen, self.name = 0.0, 0, torch.zeros(2), "drift"

    def state_dict(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "mean": self.mean,
            "count": self.count,
            "nested": {"seen": self.seen, "name": self.name},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set all of it."""
        self.mean, self.count = state["mean"], state["count"]
        self.seen, self.name = state["nested"].values()


def test_a_parts_state_is_averaged_over_shards() -> None:
    """Floats and tensors; whole numbers, which are alike, and words stay."""
    drift = Drift()
    state = State([], [drift])
    mean = Mean(Shards(2, 1, exact=True, processes=ALONE))
    put_back = state.keep()
    for value in (1.0, 4.0):
        put_back()
        assert drift.count == 0
        drift.mean += value
        drift.count += 3
        drift.seen += torch.tensor([value, 1.0])
        mean.add(state.tensors())
    state.put(mean.take())
    assert (drift.mean, drift.count, drift.name) == (2.5, 3, "drift")
    assert type(drift.count) is int
    assert drift.seen.tolist() == [2.5, 1.0]


def test_what_is_put_back_is_not_what_the_next_shard_changes() -> None:
    """A part may change its state in place."""
    drift, norm = Drift(), nn.BatchNorm1d(2)
    state = State([norm], [drift])
    put_back = state.keep()
    for _ in range(2):
        norm(torch.randn(4, 2))
        drift.seen.add_(1.0)
        put_back()
        assert norm.running_mean.tolist() == drift.seen.tolist() == [0.0, 0.0]
        assert int(norm.num_batches_tracked) == 0


def test_a_buffer_that_a_module_assigns_anew_is_found() -> None:
    """As ``self.center = 0.9 * self.center + …``, which is ordinary torch."""
    norm = nn.BatchNorm1d(2)
    state = State([norm], [])
    put_back = state.keep()
    norm.running_mean = norm.running_mean + 3.0
    assert state.tensors()[0].tolist() == [3.0, 3.0]
    put_back()
    assert norm.running_mean.tolist() == [0.0, 0.0]


def _exact(shards: int) -> Any:
    return make_run(train={"reduce": "exact", "shards": shards}, conditioner=Labels())


def test_batch_statistics_are_those_of_each_shard() -> None:
    """After a step the running mean has moved by the mean of the shards' means."""
    run = _exact(4)
    norm = run.game.generator.network.norm
    seen: list[Tensor] = []
    norm.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    run.game.play(0)
    assert [len(samples) for samples in seen] == [2] * 8  # two rounds of four shards
    moved = torch.zeros(2)
    for part in (seen[:4], seen[4:]):
        shard_means = torch.stack([samples.mean(0) for samples in part])
        moved = 0.9 * moved + 0.1 * shard_means.mean(0)
    assert torch.allclose(norm.running_mean, moved, atol=1e-7)
    assert int(norm.num_batches_tracked) == 2


def test_the_mean_over_shards_is_the_gradient_of_the_whole_batch() -> None:
    """Where no layer mixes samples, and noise is given."""

    class Same(nn.Module):
        output_range = (float("-inf"), float("inf"))

        def __init__(self) -> None:
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(2))

        def forward(self, noise: Tensor, _: Tensor | None) -> Tensor:
            return self.shift.expand(len(noise), 2)

    moved = []
    for settings in ({}, {"reduce": "exact", "shards": 8}):
        torch.manual_seed(0)
        judge = Judge(Shapes((2,), 3))
        run = make_run(train=settings, generator=Same(), discriminator=judge)
        measured = run.game.play(0)
        moved.append((judge.layer.weight, measured["loss/discriminator"]))
    (whole, loss), (sharded, mean) = moved
    assert torch.allclose(whole, sharded, atol=1e-6)
    assert torch.allclose(loss, mean, atol=1e-6)


def test_shards_draw_noise_of_their_own() -> None:
    """Else a batch of four shards would be one of a quarter's size, four times."""
    run = _exact(4)
    drawn: list[Tensor] = []
    layer = run.game.generator.network.layer
    layer.register_forward_pre_hook(lambda _, given: drawn.append(given[0][:, :3]))
    run.game.play(0)
    rows = {tuple(row) for noise in drawn for row in noise.tolist()}
    assert len(rows) == 2 * 8


def test_a_parameter_that_no_shard_uses_keeps_no_gradient() -> None:
    """The optimiser leaves it alone, as it does without shards."""

    class Partial(Linear):
        def __init__(self, shapes: Shapes) -> None:
            super().__init__(shapes)
            self.unused = nn.Parameter(torch.ones(2))

    torch.manual_seed(0)
    network = Partial(Shapes((2,), 3))
    run = make_run(train={"reduce": "exact"}, generator=network)
    for index in range(2):
        run.game.play(index)
    assert network.unused.grad is None
    assert network.unused not in run.game.generator.optimizer.state
    assert network.layer.weight in run.game.generator.optimizer.state


def test_exact_settings_are_checked_before_anything_is_built() -> None:
    """Both at once need no processes to be seen."""
    with pytest.raises(UsageError, match=r"train\.shards: 3 is no power of two"):
        make_assembly(train={"reduce": "exact", "shards": 3})
    with pytest.raises(UsageError, match=r"train\.batch_size: 8 cannot be cut into 16"):
        make_assembly(train={"reduce": "exact", "shards": 16})
