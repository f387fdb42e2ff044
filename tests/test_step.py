"""What a loss may look at: computed when asked for, once, of the right things."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from games import Labels, Linear, make_run
from gankit.contracts import Shapes
from gankit.game.misfits import Tried
from gankit.game.step import Step


class Counted(nn.Module):
    """Counts the passes through a network."""

    def __init__(self, network: nn.Module, calls: Counter[str], name: str) -> None:
        super().__init__()
        self.network, self.calls, self.called = network, calls, name
        self.output_range = getattr(network, "output_range", None)

    def forward(self, *given: Any) -> Any:
        """Count one."""
        self.calls[self.called] += 1
        return self.network(*given)


class Sums(nn.Module):
    """A discriminator whose logit tells what it was given: sample plus 100 × condition.

    Its weight is 1, there to have something to learn.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, samples: Tensor, condition: Tensor) -> Tensor:
        """Map (B, 2) and (B, 3) to (B,)."""
        return self.weight * (samples[:, 0] + 100 * condition[:, 0])


class Plain(Labels):
    """A conditioner without parameters: the class index, three times."""

    def __init__(self) -> None:
        super().__init__()
        del self.table

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B,) to (B, 3)."""
        return tokens[:, None].float().expand(-1, 3)


def _step(calls: Counter[str], turn: int = 0) -> Step:
    torch.manual_seed(0)
    generator = Counted(Linear(Shapes((2,), 3, 3)), calls, "generator")
    run = make_run(
        generator=generator,
        discriminator=Counted(Sums(), calls, "discriminator"),
        conditioner=Plain(),
    )
    object.__setattr__(run.assembly, "tried", Tried())
    calls.clear()  # the assembly's own trial
    movers = run.game.rounds[turn]
    return run.game._step(0, turn, 0, *run.game.feed.batch(0), movers, False, [])


def test_nothing_is_computed_unless_it_is_asked_for() -> None:
    """A loss that looks at real samples alone costs no pass of the generator."""
    calls: Counter[str] = Counter()
    step = _step(calls)
    assert step.size == 8
    assert calls == {}
    _ = step.real_logits
    assert calls == {"discriminator": 1}


def test_everything_is_computed_once() -> None:
    """However often losses and penalties look at it."""
    calls: Counter[str] = Counter()
    step = _step(calls)
    for _ in range(3):
        _ = step.fake, step.fake_logits, step.real_logits, step.mismatched_logits
    assert calls == {"generator": 1, "discriminator": 3}
    assert step.fake is step.fake


def test_logits_are_of_the_samples_and_conditions_that_their_name_says() -> None:
    """Real with its own class, fake with the same, real again with another."""
    step = _step(Counter())
    index = step.real[:, 0]  # a sample of Numbers is its own index
    own = index % 4
    assert torch.equal(step.condition[:, 0], own)
    assert torch.equal(step.real_logits, index + 100 * own)
    assert torch.equal(step.fake_logits, step.fake[:, 0] + 100 * own)
    other = (step.mismatched_logits - index) / 100
    assert torch.equal(other, step.mismatched_condition[:, 0])
    assert (other != own).all()


def test_fakes_carry_a_gradient_only_to_a_generator_that_moves() -> None:
    """In the discriminator's turn they are data; what a loss generates is not."""
    step = _step(Counter(), turn=0)
    assert not step.fake.requires_grad
    assert step.generate(step.noise, step.condition).requires_grad
    step = _step(Counter(), turn=1)
    assert step.fake.requires_grad


def test_a_measurement_is_kept_without_its_gradient() -> None:
    """Else a whole step's graph would live until somebody reads it."""
    step = _step(Counter())
    step.log("mine", step.real_logits.mean())
    assert not step.measurements["mine"].requires_grad
    assert step.measurements["mine"] == step.real_logits.mean()
