"""train.accumulate: a batch in pieces, with the result of the whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from games import Judge, Labels, Numbers, make_assembly, make_run
from gankit.compute.processes import ALONE
from gankit.compute.shards import Mean, cut
from gankit.contracts import UNBOUNDED, Shapes
from gankit.errors import MisfitError
from gankit.game.settings import PLAYERS, Optimizer

# of how far a weight has moved; pieces add the same numbers in another order
BOUND = 1e-4


class Plain(nn.Module):
    """A generator without a batch norm."""

    output_range = UNBOUNDED

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.layer = nn.Linear(shapes.noise + shapes.condition, *shapes.sample)

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Map (B, n) and (B, c) to (B, 2)."""
        joined = noise if condition is None else torch.cat([noise, condition], 1)
        return self.layer(joined)


class Mismatching:
    """A loss of everything that a step draws for a batch, but for augmentations."""

    needs_mismatch = True

    def discriminator(self, step: Any) -> Tensor:
        """Tell real samples from generated ones, and from those of wrong conditions."""
        more = step.draw_noise(step.size)
        other = step.discriminate(step.generate(more, step.condition), step.condition)
        told = step.fake_logits + step.mismatched_logits + other.detach()
        return (told**2).mean() - step.real_logits.mean()

    def generator(self, step: Any) -> Tensor:
        """Draw nearer."""
        return (step.fake_logits - 1).square().mean()


class Shaking(Numbers):
    """Numbers that are moved a little at each use."""

    def transform(self, samples: Tensor, rng: torch.Generator) -> Tensor:
        """Add noise."""
        return samples + torch.rand(samples.shape, generator=rng)


def _played(accumulate: int, order: str, **parts: Any) -> dict[str, Tensor]:
    """Play four steps, and return all weights."""
    shapes = Shapes((2,), 3, 3)
    torch.manual_seed(1)
    descent = Optimizer(use="SGD", options={"lr": 1e-2})
    given = {
        "generator": Plain(shapes),
        "discriminator": Judge(shapes),
        "loss": Mismatching(),
        "conditioner": Labels(),
        "dataset": Shaking(),
        "optimizers": dict.fromkeys(PLAYERS, descent),
    }
    train = {"accumulate": accumulate, "batch_size": 12, "order": order, "ema": 50}
    run = make_run(train=train, **(given | parts))
    assert len(run.game.feed.batch(0)) == accumulate
    for _ in run.steps():
        pass
    return {
        f"{name}/{key}": tensor.clone()
        for name, network in run.game.networks().items()
        for key, tensor in network.state_dict().items()
    }


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
@pytest.mark.parametrize("accumulate", [2, 3, 12])
def test_pieces_come_to_what_the_whole_batch_does(accumulate: int, order: str) -> None:
    """Real samples, their transform, noise and wrong conditions are those of it."""
    whole, pieces = _played(1, order), _played(accumulate, order)
    began = _played(1, order, optimizers=_still())
    for name, tensor in whole.items():
        moved = (tensor - began[name]).abs().max()
        assert moved > 1e-4, f"{name} has not moved"
        assert (pieces[name] - tensor).abs().max() <= BOUND * moved, name


def _still() -> dict[str, Optimizer]:
    return dict.fromkeys(PLAYERS, Optimizer(use="SGD", options={"lr": 0.0}))


def test_what_is_not_drawn_by_rows_differs_from_piece_to_piece() -> None:
    """Dropout of all pieces is no copy of that of the first."""

    class Dropping(nn.Module):
        output_range = UNBOUNDED

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))
            self.seen: list[Tensor] = []

        def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
            mask = torch.rand(len(noise), 2)
            self.seen.append(mask)
            return mask * self.weight

    shapes = Shapes((2,), 3, 0)
    generator = Dropping()
    run = make_run(
        generator=generator,
        discriminator=Judge(shapes),
        train={"accumulate": 2, "batch_size": 8, "steps": 1},
    )
    generator.seen.clear()
    next(iter(run.steps()))
    first, second = generator.seen[:2]
    assert not torch.equal(first, second)


def test_running_statistics_are_the_mean_over_the_pieces() -> None:
    """A batch norm counts one batch, whose mean is that of the whole."""
    whole = make_run(train={"batch_size": 8, "steps": 1, "order": "simultaneous"})
    train = {"accumulate": 4, "batch_size": 8, "steps": 1, "order": "simultaneous"}
    pieces = make_run(train=train)
    for run in (whole, pieces):
        for _ in run.steps():
            pass
    ours, theirs = (r.assembly.generator.norm for r in (pieces, whole))
    assert ours.num_batches_tracked == theirs.num_batches_tracked == 1
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)


@pytest.mark.parametrize("count", [3, 5, 6, 7])
def test_the_mean_is_of_any_number_of_pieces(count: int) -> None:
    """Not of powers of two alone."""
    mean = Mean(cut(count * 2, 0, ALONE, count))
    for value in range(count):
        mean.add([torch.tensor(float(value))])
    assert mean.take()[0] == (count - 1) / 2


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"batch_size": 8, "accumulate": 3}, "a batch of 8 cannot be cut into 3 equal"),
        ({"accumulate": 2, "reduce": "exact"}, "leave it at 1, and raise train.shards"),
        ({"accumulate": 2, "fakes": "shared"}, "set train.fakes to 'fresh'"),
    ],
)
def test_what_cannot_be_or_would_save_nothing_is_refused(
    train: dict[str, Any], said: str
) -> None:
    """With what to set instead."""
    with pytest.raises(MisfitError, match=said):
        make_assembly(train=train)


def test_a_run_says_in_which_pieces_it_takes_a_batch() -> None:
    """Because that is what a batch norm sees."""
    run = make_run(train={"accumulate": 4, "batch_size": 8})
    assert "batch: in 4 pieces of 2, as batch norms see them" in run.choices
    assert not any("pieces" in line for line in make_run().choices)
