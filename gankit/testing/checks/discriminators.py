"""Checks of discriminators."""

from __future__ import annotations

import torch
from torch import Tensor

from gankit.errors import told as in_words
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

_ROUNDING = 1e-9  # of the largest logit, in float64


def logits_shaped(subject: Subject) -> None:
    """It gives logits of the declared shape for 1, 2 and 7 samples."""
    for parts, conditional in forms(subject):
        declared = getattr(parts.part, "logits_shape", ())
        for count in counts(parts.part):
            samples = HERE.normal(count, *parts.shapes.sample, use="samples").tanh()
            given = parts.part(samples, told(parts, count, conditional=conditional))
            when = (
                f"for {count} samples {'with' if conditional else 'without'} conditions"
            )
            check_given(given, (count, *declared), when)


def input_gradient(subject: Subject) -> None:
    """Its logits have a gradient at the samples, from which a generator learns."""
    samples, logits, _ = _judged(subject)
    gradient = _gradient(samples, logits)
    if gradient is None or not gradient.any():
        raise Failed(
            "its logits have no gradient at the samples; leave out .detach(), "
            "torch.no_grad() and what rounds samples"
        )


def second_gradient(subject: Subject) -> None:
    """That gradient can be differentiated again, as penalties do."""
    samples, logits, parts = _judged(subject)
    advice = (
        "penalties such as r1 need that; use operations that have second derivatives, "
        "of attention the one that is written out"
    )
    try:
        gradient = _gradient(samples, logits, again=True)
        assert gradient is not None, "what was checked before"
        torch.autograd.backward(gradient.square().sum())
    except RuntimeError as error:
        raise Failed(
            f"it cannot be differentiated twice: {in_words(error)}; {advice}"
        ) from None
    if not any(p.grad is not None and p.grad.any() for p in parts.part.parameters()):
        raise Failed(
            f"its gradient at the samples moves no parameter of its own; {advice}"
        )


def _judged(subject: Subject) -> tuple[Tensor, Tensor, Parts]:
    parts = subject.parts()
    with global_stream(CPU, 0, "jitter"):
        network = jittered(parts.part).double().train()
        samples = DOUBLE.normal(BATCH, *parts.shapes.sample, use="samples").tanh()
        samples.requires_grad_()
        conditional = parts.shapes.condition > 0
        condition = told(parts, BATCH, conditional=conditional, where=DOUBLE)
        logits, _ = unpacked(network(samples, condition))
    return samples, logits, parts


def _gradient(samples: Tensor, logits: Tensor, *, again: bool = False) -> Tensor | None:
    if not logits.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(
        logits.sum(), samples, create_graph=again, allow_unused=True
    )
    return gradient


def judges_alone(subject: Subject) -> None:
    """In evaluation a sample is judged alike, whatever others are beside it."""
    parts = subject.parts()
    conditional = parts.shapes.condition > 0
    with global_stream(CPU, 0, "jitter"), torch.no_grad():
        network = jittered(parts.part).double().eval()
        samples = DOUBLE.normal(BATCH, *parts.shapes.sample, use="samples").tanh()
        condition = told(parts, BATCH, conditional=conditional, where=DOUBLE)
        joined, _ = unpacked(network(samples, condition))
        alone = [
            unpacked(network(samples[i : i + 1], _row(condition, i)))[0]
            for i in range(BATCH)
        ]
    apart = (torch.cat(alone) - joined).abs().max()
    if not apart <= _ROUNDING * joined.abs().max():
        raise Failed(
            f"in evaluation a sample's logit differs by {float(apart):g} with the "
            "samples beside it; use statistics of the batch in training alone"
        )


def _row(condition: Tensor | None, index: int) -> Tensor | None:
    return None if condition is None else condition[index : index + 1]
