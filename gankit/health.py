"""Run health: what goes wrong in GANs while every number stays finite, said early.

Four troubles are looked for: a discriminator that overpowers the generator, a generator
whose gradient has vanished, samples that are all alike, and a condition that changes
nothing. Looks at the players read numbers that every step measures; looks at samples
draw some of their own, with the weights, buffers and random numbers of the game left as
they are. A hook implementation like anybody's: ``--disable-plugin gankit.health``.

What is not noticed: a generator that knows some of many modes, or one picture for each
caption. Their samples differ from each other about as much as real ones do.
"""

from __future__ import annotations

import math
from statistics import median
from typing import Any

import torch
from attrs import asdict, define
from torch import Tensor

from gankit.data import Data
from gankit.hookspecs import hookimpl
from gankit.randomness import generator, seed_global
from gankit.sampling import evaluating
from gankit.trainer import Report, Run

NAME = "gankit.health"
DIVERSITY, EFFECT = "diversity", "condition effect"  # as measured

OVERPOWERING = "overpowering discriminator"
VANISHING = "vanishing generator gradients"
COLLAPSE = "collapse"
IGNORED = "ignored condition"

# What the numbers rest on: runs that learn, in batches of 32, looked at every 10 to 50
# steps. D(x) > 0.98 and D(G(z)) < 0.02 was seen at 4 looks in a row at most, by maxout
# on digits; a discriminator that has won for good soon comes nearer to 1 and 0. The
# gradient stayed above a seventh of its early median. Diversity: 0.3 to 1.2 in 1,500
# steps of drawn scenes, 0.26 to 0.67 in 300 of convolutions on digits; perceptrons on
# digits had 0.02 to 0.05 in their first 500, and 0.15 to 0.7 after 1,000. Perceptrons
# that drew one picture of each digit had 0.003 to 0.08 within a digit. The effect of a
# condition was 0.3 to 1.
_PATIENCE = {  # looks in a row, and steps from the first to the last of them
    OVERPOWERING: (10, 300),
    VANISHING: (10, 300),
    COLLAPSE: (3, 500),
    IGNORED: (3, 500),
}
_REAL, _FAKE = 0.98, 0.02  # D(x) above, and D(G(z)) below
_EARLY = 20  # looks whose median gradient is the usual one
_VANISHED = 1e-3  # of it
_GROWN = 1000  # steps, after which samples are judged
_COLLAPSED = 0.1  # of the distance between real samples
_NO_EFFECT = 0.05  # of the distance between samples that share nothing
_PROBED = 64  # samples of a kind at a look


@define
class Streak:
    """Looks in a row at which something was seen."""

    since: int = 0  # the step of the first of them
    looks: int = 0

    def look(self, step: int, *, seen: bool) -> None:
        """Take one more look into account."""
        if seen and not self.looks:
            self.since = step
        self.looks = self.looks + 1 if seen else 0


class Health:
    """Looks at a run from time to time, and warns of each trouble once.

    A trouble has to be there at every look for a while. A look that only the end of the
    run brings about does not count: had the run gone on, there would have been none.
    """

    def __init__(self) -> None:
        self._streaks = {kind: Streak() for kind in _PATIENCE}
        self._early: list[float] = []  # norms of the generator's gradient
        self._probe: Probe | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return what has been seen so far."""
        return {
            "streaks": {kind: asdict(streak) for kind, streak in self._streaks.items()},
            "early": list(self._early),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self._streaks |= {kind: Streak(**s) for kind, s in state["streaks"].items()}
        self._early = list(state["early"])

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Go on with what was seen before, where the run goes on."""
        run.keep(NAME, self)

    @hookimpl(tryfirst=True)  # so that what it measures is in the step's own line
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Look at the players, and at samples, when it is time."""
        train = run.assembly.train
        if run.step % train.log_every == 0:
            self._look_at_players(run, report)
        if run.due(train.sample_every):
            self._look_at_samples(run)

    def _look_at_players(self, run: Run, report: Report) -> None:
        wanted = ("D(x)", "D(G(z))", "loss/discriminator", "gradient/generator")
        real, fake, loss, norm = (
            float(report.measurements.get(name, math.nan)) for name in wanted
        )
        self._judge(
            run,
            OVERPOWERING,
            # a loss below zero is a critic's, whose logits are scores, not odds
            seen=real > _REAL and fake < _FAKE and loss >= 0,
            text=f"it tells real from generated samples all but surely: D(x) is "
            f"{real:.3f} and D(G(z)) {fake:.3f}; a lower optimizer.discriminator.lr, a "
            "gradient penalty or, where data is scarce, a differentiable augmentation "
            "usually helps",
        )
        early = median(self._early or [norm])
        whole = len(self._early) == _EARLY  # until then, zeros alone count
        self._judge(
            run,
            VANISHING,
            seen=norm <= (_VANISHED * early if whole else 0),
            text=f"the generator's gradient has all but vanished: its norm is "
            f"{norm:.2g}, and was {early:.2g} early in the run; a loss that does not "
            "saturate, a lower optimizer.discriminator.lr or a gradient penalty "
            "usually helps",
        )
        if not whole and math.isfinite(norm):
            self._early.append(norm)

    def _look_at_samples(self, run: Run) -> None:
        self._probe = self._probe or Probe(run)
        seen = self._probe.look(run)
        for name, value in seen.items():
            run.measure(name, value)
        every = run.assembly.train.sample_every
        if not every or run.step % every or run.step < _GROWN:
            return
        diversity, effect = (seen.get(name, math.nan) for name in (DIVERSITY, EFFECT))
        what = "samples of one class" if self._probe.within else "samples"
        self._judge(
            run,
            COLLAPSE,
            seen=diversity < _COLLAPSED,
            text=f"{what} are nearly alike: the mean distance between two is "
            f"{diversity:.2g} of that between real ones; a lower optimizer.lr, a "
            "gradient penalty, a loss that judges samples in pairs or a larger "
            "train.batch_size usually helps",
        )
        self._judge(
            run,
            IGNORED,
            seen=effect < _NO_EFFECT,
            text=f"another condition hardly changes a sample: by {effect:.2g} of what "
            "another condition and other noise do together; a loss that shows the "
            "discriminator wrong conditions, a smaller "
            "noise.size or a conditioner that tells its conditions further apart "
            "usually helps",
        )

    def _judge(self, run: Run, kind: str, *, seen: bool, text: str) -> None:
        """Take a look into account, and warn where the trouble has lasted."""
        streak = self._streaks[kind]
        streak.look(run.step, seen=seen)
        looks, steps = _PATIENCE[kind]
        if streak.looks >= looks and run.step - streak.since >= steps:
            run.warn(kind, f"since step {streak.since:,} {text}")


class Probe:
    """A few conditions of the data and noises, to look at a generator with.

    They are the same at every look, so that what changes between two is the generator
    alone.

    Args:
        run: the run whose data and generator are looked at.

    Attributes:
        within: whether two samples are compared within a class: a generator that knows
            one picture for each has no diversity, however many classes there are.
    """

    def __init__(self, run: Run) -> None:
        data, self._seed = run.data, run.game.seed
        order = torch.randperm(len(data), generator=self._rng("positions"))
        self._positions = order[:_PROBED]  # (B,)
        conditioner = run.game.conditioner
        mates = None
        # captions are compared among all: few real samples have the same one
        if conditioner is not None and conditioner.reads == "label":
            self._positions, mates = self._mates(data)
        self.within = mates is not None
        read = self._positions if mates is None else torch.cat([self._positions, mates])
        real = data.samples(read, self._rng("transform", data.device)).flatten(1).cpu()
        self._real = _paired(*real.chunk(2)) if self.within else _mutual(real)
        self._strangers = None
        if conditioner is not None and _tells_apart(data):
            self._strangers = data.strangers(self._positions, self._rng("strangers"))
        draws = self._rng("noise", run.game.device)
        self._noise = run.game.draw_noise(2 * len(self._positions), draws).chunk(2)

    @torch.no_grad()
    def look(self, run: Run) -> dict[str, float]:
        """Measure what can be: how diverse samples are, and what a condition changes.

        Diversity is the mean distance between two samples, by that between two real
        ones. The effect of a condition is the mean distance between two samples of one
        noise and two conditions, by that between samples of two noises and conditions.
        """
        device = run.game.device
        shared = [device] if device.type == "cuda" else []
        network, conditioner = run.sampler.generator, run.game.conditioner
        with evaluating(network, conditioner), torch.random.fork_rng(shared):
            made = self._generate(run, self._positions, 0)
            if self.within:
                distance = _paired(made, self._generate(run, self._positions, 1))
            else:
                distance = _mutual(made)
            found = {DIVERSITY: _ratio(distance, self._real)}
            if self._strangers is not None:
                other = self._generate(run, self._strangers, 0)
                apart = self._generate(run, self._strangers, 1)
                found[EFFECT] = _ratio(_paired(made, other), _paired(made, apart))
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def _generate(self, run: Run, positions: Tensor, draw: int) -> Tensor:
        """Sample with the conditions at positions and one of two noises, (B, d)."""
        # what a network draws itself goes with the noise
        seed_global(self._seed, "health", "global", draw)
        condition, tokens = None, run.data.tokens_at(positions)
        if run.game.conditioner is not None and tokens is not None:
            condition = run.game.conditioner(tokens)
        made: Tensor = run.sampler.generator(self._noise[draw], condition)
        return made.float().flatten(1).cpu()

    def _mates(self, data: Data) -> tuple[Tensor, Tensor | None]:
        """Pair positions with others of their class; None where all are alone."""
        assert data.labels is not None, "the assembly refuses such a conditioner"
        rng, pairs = self._rng("mates"), []
        for position in self._positions.tolist():
            same = (data.labels == data.labels[position]).nonzero().squeeze(1)
            others = same[same != position]
            if len(others):
                drawn = torch.randint(len(others), (), generator=rng)
                pairs.append((position, int(others[drawn])))
        if not pairs:
            return self._positions, None
        positions, mates = torch.tensor(pairs).T
        return positions, mates

    def _rng(self, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
        return generator(device, self._seed, "health", purpose)


def _tells_apart(data: Data) -> bool:
    """Tell whether there are two items of different classes, or without classes two."""
    if data.labels is None:
        return len(data) > 1
    return bool((data.labels != data.labels[0]).any())


def _mutual(samples: Tensor) -> float:
    """Return the mean distance among samples, (B, d); NaN where there are no two."""
    return float(torch.pdist(samples).mean())


def _paired(some: Tensor, others: Tensor) -> float:
    """Return the mean distance between samples and their partners, each (B, d)."""
    return float((some - others).norm(dim=1).mean())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
