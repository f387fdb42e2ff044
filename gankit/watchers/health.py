"""Run health: what goes wrong in GANs while every number stays finite, said early.

Four troubles are looked for: a discriminator that overpowers the generator, a generator
whose gradient has vanished, samples that are all alike, and a condition that changes
nothing. Looks at the players read numbers that every step measures; looks at samples
draw some of their own, with the weights, buffers and random numbers of the game left as
they are. A hook implementation like anybody's: ``--disable-plugin gankit.health``.

What is not noticed: a generator that knows some of many modes, or one picture for each
caption. Their samples differ from each other about as much as real ones do. Of a
discriminator with dropout that cannot lose, only what follows may be: a gradient that
vanishes, or collapse.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from attrs import asdict, define, field
from torch import Tensor

from gankit.game.ranking import CLEARANCE
from gankit.hookspecs import hookimpl
from gankit.runs.report import Report
from gankit.runs.run import Run
from gankit.watchers.probe import DIVERSITY, EFFECT, NOISE_EFFECT, Probe

NAME = "gankit.health"

OVERPOWERING = "overpowering discriminator"
VANISHING = "vanishing generator gradients"
COLLAPSE = "collapse"
IGNORED = "ignored condition"
UNMOVED = "ignored noise"
UNBOUNDED = "unbounded discriminator"

_NORM = "gradient/generator"

# What the numbers rest on: 3,000 to 3,500 steps of five recipes, a look every 50,
# healthy and with the three faults of benchmarks/health.py, one run each, and 20,000
# steps of perceptrons on labelled digits. Where the discriminator could not lose, the
# clearance of its logits was 0.75 to 0.96, also by six losses and penalties in short
# runs on drawn scenes; in the recipes where it could, mostly under 0.6, and at 0.7 or
# above for two looks in a row at most. A generator that learns too slowly had 0.7 to
# 0.9 for a thousand steps, and is told of too. With dropout in the discriminator it was
# 0.4 to 0.5 where that could not lose: there the generator's gradient tells, which fell
# to a 300th of its usual size, or the collapse that follows. The gradient of healthy
# runs stayed above a fiftieth of the largest before it. From step 1,000 on their
# diversity was 0.23 to 1.15, and 0 to 0.1 where noise or conditions were taken away or
# the discriminator had a mark; the effect of conditions was 0.25 to 1, but of the
# perceptrons 0.01 at first, 0.04 at 2,500 and 0.06 to 0.11 at 3,000 steps, and 0
# without them; the effect of noise among captions was 0.04 to 0.27, and 0 without it.
_PATIENCE = {  # looks in a row, and steps from the first to the last of them
    OVERPOWERING: (20, 900),
    VANISHING: (10, 300),
    COLLAPSE: (3, 500),
    IGNORED: (4, 2000),
    UNMOVED: (4, 2000),
}
_SURE = 0.7  # of the way between the mean logits, clear of any
_VANISHED = 5e-3  # of the largest gradient that was usual for a while
_GROWN = 1000  # steps, after which samples are judged
_COLLAPSED = 0.1  # of the distance between real samples
_UNMOVED = 0.01  # of the distance between real samples
_NO_EFFECT = 0.05  # of the distance between samples, or real ones, that share nothing


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


@define
class Usual:
    """The largest norm that was usual for a while; no look at it waits for the device.

    Usual is the median of some steps in a row, so that one large gradient counts for
    nothing, and a fall in the first steps of a run is seen.
    """

    WINDOW = 5  # steps

    _largest: Tensor = field(factory=lambda: torch.zeros(()))
    _last: list[Tensor] = field(factory=list)

    def add(self, norm: Tensor) -> None:
        """Take one step into account."""
        self._last.append(norm.detach().nan_to_num(0.0, 0.0, 0.0))
        if len(self._last) == self.WINDOW:
            here = [one.to(norm.device) for one in (*self._last, self._largest)]
            self._largest = torch.maximum(torch.stack(here[:-1]).median(), here[-1])
            self._last.clear()

    def largest(self) -> float:
        """Return it; 0 until there is one."""
        return float(self._largest)

    def state_dict(self) -> dict[str, Any]:
        """Return it, and the steps since."""
        return {"largest": self.largest(), "last": [float(n) for n in self._last]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self._largest = torch.tensor(state["largest"])
        self._last = [torch.tensor(norm) for norm in state["last"]]


class Health:
    """Looks at a run from time to time, and warns of each trouble once.

    A trouble has to be there at every look for a while. A look that only the end of the
    run brings about does not count: had the run gone on, there would have been none.
    """

    def __init__(self) -> None:
        self._streaks = {kind: Streak() for kind in _PATIENCE}
        self._usual = Usual()  # of the generator's gradient
        self._probe: Probe | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return what has been seen so far."""
        return {
            "streaks": {kind: asdict(streak) for kind, streak in self._streaks.items()},
            "usual": self._usual.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self._streaks |= {kind: Streak(**s) for kind, s in state["streaks"].items()}
        self._usual.load_state_dict(state["usual"])

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Go on with what was seen before; look at the parts."""
        run.keep(NAME, self)
        parts = (run.assembly.discriminator, *run.assembly.penalties)
        if getattr(run.assembly.loss, "needs_lipschitz", False) and not any(
            getattr(part, "lipschitz", False) for part in parts
        ):
            run.warn(
                UNBOUNDED,
                f"the loss {type(run.assembly.loss).__name__} has no minimum where the "
                "discriminator's slope is not bounded, and nothing here bounds it; add "
                "a gradient penalty, or choose another loss",
            )

    @hookimpl(tryfirst=True)  # so that plugins can read what it measures
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Look at the players, and at samples, when it is time."""
        train = run.assembly.train
        if _NORM in report.measurements:
            self._usual.add(report.measurements[_NORM])
        if run.step % train.log_every == 0:
            self._look_at_players(run, report)
        if run.due(train.sample_every):
            self._look_at_samples(run)

    def _look_at_players(self, run: Run, report: Report) -> None:
        clear, norm = (
            float(report.measurements.get(name, math.nan))
            for name in (CLEARANCE, _NORM)
        )
        self._judge(
            run,
            OVERPOWERING,
            seen=clear >= _SURE,
            text="it tells real from generated samples with much to spare: of the way "
            f"between their mean logits {100 * clear:.0f} % are free of any; a lower "
            "optimizer.discriminator.lr, a gradient penalty or, where data is "
            "scarce, a differentiable augmentation usually helps",
        )
        usual = self._usual.largest()
        self._judge(
            run,
            VANISHING,
            seen=norm <= _VANISHED * usual,
            text=f"the generator's gradient has all but vanished: its norm is "
            f"{norm:.2g}, and was {usual:.2g} earlier in the run; a loss and an output "
            "that do not saturate, a lower optimizer.discriminator.lr or a gradient "
            "penalty usually helps",
        )

    def _look_at_samples(self, run: Run) -> None:
        self._probe = self._probe or Probe(run)
        seen = self._probe.look(run)
        for name, value in seen.items():
            run.measure(name, value)
        every = run.assembly.train.sample_every
        if not every or run.step % every or run.step < _GROWN:
            return
        diversity, effect, moved = (
            seen.get(name, math.nan) for name in (DIVERSITY, EFFECT, NOISE_EFFECT)
        )
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
            text=f"another condition hardly changes a sample: by {effect:.2g} of the "
            "distance between samples, or real ones, of other conditions; a loss that "
            "shows the discriminator wrong conditions, a smaller noise.size or a "
            "conditioner that tells its conditions further apart usually helps",
        )

        self._judge(
            run,
            UNMOVED,
            seen=moved < _UNMOVED,
            text="another noise hardly changes a sample of the same caption: by "
            f"{moved:.2g} of the distance between real ones; a larger noise.size, "
            "captions that are interpolated or averaged, or a penalty on samples that "
            "stay alike usually helps",
        )

    def _judge(self, run: Run, kind: str, *, seen: bool, text: str) -> None:
        """Take a look into account, and warn where the trouble has lasted."""
        streak = self._streaks[kind]
        streak.look(run.step, seen=seen)
        looks, steps = _PATIENCE[kind]
        if streak.looks >= looks and run.step - streak.since >= steps:
            run.warn(kind, f"since step {streak.since:,} {text}")
