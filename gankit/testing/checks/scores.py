"""Checks of what is minimised: losses and penalties."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gankit.game.assembly import player_of
from gankit.game.given import unpacked
from gankit.game.settings import PLAYERS
from gankit.game.trial import FewSamples
from gankit.randomness import global_stream
from gankit.testing.settings import CPU, Parts
from gankit.testing.subject import Subject
from gankit.testing.verdicts import Failed

GENERATOR, DISCRIMINATOR = PLAYERS
_LARGE = 1e4
_SHIFT = 10.0  # of all logits at once
_SURE = 1.0  # a logit of who is neither undecided nor certain


def scores_scalar(subject: Subject) -> None:
    """It gives each player a floating-point scalar."""
    parts = subject.parts()
    players = PLAYERS if subject.kind == "loss" else (player_of(parts.part),)
    for player in players:
        value = _scored(parts, player, parts.batch)
        if not isinstance(value, Tensor) or value.ndim or not value.is_floating_point():
            given = (
                f"{value.dtype} of the shape {tuple(value.shape)}"
                if isinstance(value, Tensor)
                else f"a {type(value).__name__}"
            )
            raise Failed(
                f"it gives the {player} {given}; return one floating-point number, as "
                "by .mean()"
            )


def _scored(
    parts: Parts, player: str, batch: FewSamples, dialled: nn.Module | None = None
) -> Any:
    score = getattr(parts.part, player) if parts.place == "loss" else parts.part
    with global_stream(CPU, 0, "kit"):
        return score(parts.step(player, batch, discriminator=dialled))


class _Dialled(nn.Module):
    """A discriminator whose logits are set, whatever it makes of samples."""

    def __init__(
        self, parts: Parts, batch: FewSamples, real: float, fake: float
    ) -> None:
        super().__init__()
        self.inner, self.levels = parts["discriminator"], (real, fake)
        self.seen: list[
            tuple[Tensor, Tensor]
        ] = []  # logits, and which are of real ones
        self._real, self._told = batch.samples.flatten(1), None
        if parts["conditioner"] is not None:
            self._told = parts["conditioner"](batch.tokens).detach()

    def forward(self, samples: Tensor, condition: Any, **inputs: Tensor) -> Any:
        """Judge, and put the levels in place of the logits; gradients pass through."""
        tensor, extras = unpacked(self.inner(samples, condition, **inputs))
        real = self._is_real(samples, condition)
        at_real, at_fake = map(torch.tensor, self.levels)
        level: Tensor = torch.where(real, at_real, at_fake)
        logits = level.view(-1, *[1] * (tensor.ndim - 1)) + (tensor - tensor.detach())
        if logits.requires_grad:
            logits.retain_grad()
        self.seen.append((logits, real))
        return logits, extras

    def _is_real(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Tell which are real samples, each with its own condition."""
        rows = samples.detach().flatten(1)
        same = (rows[:, None] == self._real[None]).all(2)  # (B, N)
        if condition is not None and self._told is not None:
            same &= (condition.detach()[:, None] == self._told[None]).all(2)
        return same.any(1)

    def pulls(self) -> tuple[float | None, float | None]:
        """Return the sums of the gradients at real and at fake logits."""
        sums: list[float | None] = []
        for wanted in (True, False):
            found = [
                logits.grad[real == wanted].sum()
                for logits, real in self.seen
                if logits.grad is not None and (real == wanted).any()
            ]
            sums.append(float(torch.stack(found).sum()) if found else None)
        return sums[0], sums[1]


def _at(
    subject: Subject, player: str, real: float, fake: float
) -> tuple[Tensor, _Dialled]:
    """Score a player where real and fake samples have these logits."""
    parts = subject.parts()
    batch = parts.batch
    dialled = _Dialled(parts, batch, real, fake)
    value: Tensor = _scored(parts, player, batch, dialled)
    if value.requires_grad:
        torch.autograd.backward(value)
    return value.detach(), dialled


def finite_when_sure(subject: Subject) -> None:
    """At logits of ±10,000 its values and their gradients are finite."""
    for player in PLAYERS:
        for real in (_LARGE, -_LARGE):
            for fake in (_LARGE, -_LARGE):
                value, dialled = _at(subject, player, real, fake)
                grads = [x.grad for x, _ in dialled.seen if x.grad is not None]
                if value.isfinite() and all(bool(g.isfinite().all()) for g in grads):
                    continue
                raise Failed(
                    f"at real logits of {real:g} and fake ones of {fake:g} the "
                    f"{player}'s loss is {float(value):g}, or its gradient is no "
                    "number; use softplus or logsigmoid, not log of sigmoid or exp"
                )


def direction(subject: Subject) -> None:
    """The discriminator tells real from fake, and the generator makes it err."""
    _, wrong = _at(subject, DISCRIMINATOR, -_SURE, _SURE)
    at_real, at_fake = wrong.pulls()
    for what, pull, sign in (("real", at_real, -1), ("fake", at_fake, 1)):
        if pull is None or pull * sign <= 0:
            way = "up" if sign < 0 else "down"
            raise Failed(
                f"where the discriminator is wrong, its loss does not draw {what} "
                f"logits {way}: the gradient there is {_shown(pull)}; a loss is "
                "minimised, so look at its signs"
            )
    _, right = _at(subject, GENERATOR, _SURE, -_SURE)
    _, pull = right.pulls()
    if pull is not None and pull > 0:
        raise Failed(
            "where the discriminator is right, the generator's loss draws fake logits "
            f"down: the gradient there is {_shown(pull)}; a loss is minimised, so look "
            "at its signs"
        )


def relative_declared(subject: Subject) -> None:
    """It says so where only differences between logits matter to the discriminator."""
    pulls = [
        _at(subject, DISCRIMINATOR, level + _SURE / 2, level - _SURE / 2)[1].pulls()
        for level in (0.0, _SHIFT, -_SHIFT)
    ]
    numbers = torch.tensor([[pull or 0.0 for pull in pair] for pair in pulls])
    if not numbers.any():
        return  # it looks at no logits
    alike = torch.allclose(numbers, numbers[0].expand_as(numbers), atol=1e-4)
    said = bool(getattr(subject.parts().part, "relative", False))
    if alike and not said:
        raise Failed(
            "where all logits are moved by one number, its gradients stay: only their "
            "differences matter, and their signs tell nothing of what is real; set "
            "relative = True"
        )
    if said and not alike:
        raise Failed(
            "it says that it is relative, and where all logits are moved by one number "
            "its gradients change; leave relative out"
        )


def _shown(pull: float | None) -> str:
    return "nought" if not pull else f"{pull:g}"


def leaks_nothing(subject: Subject) -> None:
    """The discriminator's loss moves no generator, and neither changes a network."""
    for player in PLAYERS:
        parts = subject.parts()
        batch = parts.batch
        before = _weights(parts)
        value = _scored(parts, player, batch)
        if not all(map(torch.equal, before, _weights(parts))):
            raise Failed(
                f"the {player}'s loss changes the weights of a network; leave that to "
                "the optimiser, or to a hook after its update"
            )
        if player != DISCRIMINATOR or not value.requires_grad:
            continue
        own = [p for p in parts[GENERATOR].parameters() if p.requires_grad]
        reached = torch.autograd.grad(value, own, allow_unused=True) if own else ()
        if any(gradient is not None for gradient in reached):
            raise Failed(
                "the discriminator's loss has a gradient at the generator's weights; "
                "look at step.fake, or detach what step.generate gives"
            )


def _weights(parts: Parts) -> list[Tensor]:
    return [p.detach().clone() for name in PLAYERS for p in parts[name].parameters()]
