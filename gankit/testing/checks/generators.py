"""Checks of generators."""

from __future__ import annotations

import torch
from torch import Tensor

from gankit.contracts import UNBOUNDED
from gankit.game.given import unpacked
from gankit.randomness import global_stream
from gankit.testing.checks.networks import (
    DOUBLE,
    check_given,
    counts,
    forms,
    jittered,
    told,
)
from gankit.testing.probing import HERE
from gankit.testing.settings import BATCH, CPU, Parts
from gankit.testing.subject import Subject
from gankit.testing.verdicts import Failed

_MANY = 64  # samples whose range is looked at
_FAR = 10.0  # noise as strong, to reach what is rarely reached
_ROUNDING = 1e-3  # of a range's width


def samples_shaped(subject: Subject) -> None:
    """It gives (B, *sample) for 1, 2 and 7 noises, with conditions and without."""
    for parts, conditional in forms(subject):
        shapes = parts.shapes
        for count in counts(parts.part):
            noise = HERE.normal(count, shapes.noise, use="noise")
            given = parts.part(noise, told(parts, count, conditional=conditional))
            when = (
                f"for {count} noises {'with' if conditional else 'without'} conditions"
            )
            check_given(given, (count, *shapes.sample), when)


def range_kept(subject: Subject) -> None:
    """Its samples are finite, and within the range that it declares."""
    parts = subject.parts()
    low, high = parts.part.output_range
    for training in (True, False):
        parts.part.train(training)
        for strength in (1.0, _FAR):
            made = _made(parts, strength, _MANY)
            if not made.isfinite().all():
                raise Failed(
                    f"with noise of deviation {strength:g} it gives values that are "
                    "not finite; normalise its layers, or bound what is divided by or "
                    "taken the exponential of"
                )
            _check_range(made, low, high)
    if (low, high) == UNBOUNDED:
        return
    # weights are small at first; what is declared holds for any
    with torch.no_grad():
        for parameter in parts.part.parameters():
            parameter.mul_(_FAR)
    made = _made(parts, _FAR, _MANY)
    _check_range(made[~made.isnan()], low, high, f"with weights {_FAR:g} times as far ")


def _check_range(made: Tensor, low: float, high: float, when: str = "") -> None:
    slack = 0.0 if (low, high) == UNBOUNDED else _ROUNDING * (high - low)
    if not made.numel():
        return
    least, most = float(made.min()), float(made.max())
    if least < low - slack or most > high + slack:
        raise Failed(
            f"{when}it gives values from {least:g} to {most:g}, and declares "
            f"output_range = {(low, high)}; squash its output, as by .tanh(), or "
            "declare the range that it has, gankit.UNBOUNDED for none"
        )


def _made(parts: Parts, strength: float, count: int) -> Tensor:
    noise = HERE.normal(count, parts.shapes.noise, use="noise") * strength
    conditional = parts.shapes.condition > 0
    with torch.no_grad():
        made, _ = unpacked(
            parts.part(noise, told(parts, count, conditional=conditional))
        )
    return made


def noise_matters(subject: Subject) -> None:
    """Two noises give two samples, for one condition."""
    parts = subject.parts()
    noise = HERE.normal(2, parts.shapes.noise, use="noise")
    condition = told(parts, 1, conditional=parts.shapes.condition > 0)
    both = condition if condition is None else condition.expand(2, -1)
    if not _differ(parts, noise, both):
        raise Failed("two noises give the same sample; let the noise reach the output")


def condition_matters(subject: Subject) -> None:
    """Two conditions give two samples, for one noise."""
    parts = subject.parts()
    if not parts.shapes.condition:
        return  # it has refused every condition
    noise = HERE.normal(1, parts.shapes.noise, use="noise").expand(2, -1)
    if not _differ(parts, noise, told(parts, 2, conditional=True)):
        raise Failed(
            "two conditions give the same sample; join the condition to what the noise "
            "becomes or, if it can take none, raise ValueError where shapes.condition "
            "is not 0"
        )


def _differ(parts: Parts, noise: Tensor, condition: Tensor | None) -> bool:
    with global_stream(CPU, 0, "jitter"):
        network = jittered(parts.part).eval()
    made = []
    for row in range(2):
        told_one = condition if condition is None else condition[row : row + 1]
        # what it draws itself, as random noise of a layer, is the same both times
        with global_stream(CPU, 0, "ask"), torch.no_grad():
            made.append(unpacked(network(noise[row : row + 1], told_one))[0])
    return not torch.equal(*made)


def gradients_reach(subject: Subject) -> None:
    """What samples are worth moves every parameter that learns."""
    parts = subject.parts()
    with global_stream(CPU, 0, "jitter"):
        network = jittered(parts.part).double().train()
        noise = DOUBLE.normal(BATCH, parts.shapes.noise, use="noise")
        conditional = parts.shapes.condition > 0
        condition = told(parts, BATCH, conditional=conditional, where=DOUBLE)
        made, extras = unpacked(network(noise, condition))
        worth = (made * DOUBLE.normal(*made.shape, use="worth")).sum()
        worth = worth + sum(x.sum() for x in extras.values() if x.requires_grad)
        torch.autograd.backward(worth)
    unmoved = [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
        and (parameter.grad is None or not parameter.grad.any())
    ]
    if unmoved:
        more = f" and {len(unmoved) - 1} more" if len(unmoved) > 1 else ""
        raise Failed(
            f"no gradient reaches {unmoved[0]}{more}; leave out .detach(), .data and "
            "torch.no_grad(), or set requires_grad of what does not learn to False"
        )
