"""What a loss may look at during one update, computed when asked for, at most once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gankit.errors import UsageError
from gankit.game.given import Judged, Made, floats, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gankit.compute.device import Precision
    from gankit.contracts import Augmentation, Conditioner
    from gankit.data.feed import Batch


class Step:
    """One look at the game, shared by everything that scores it.

    Every attribute is computed on first use and kept. While the discriminator moves
    alone, ``fake`` carries no gradient; while the generator moves alone, the
    discriminator's parameters are frozen by the game. When both move at once, they
    share one pass, and the game takes each gradient for its own player.

    The generator is given the values of conditions, not how a conditioner has computed
    them: a conditioner that learns does so by what the discriminator makes of its
    vectors, never by what a generator makes of them.

    Attributes:
        size: samples in the batch, B.
    """

    def __init__(
        self,
        *,
        index: int,
        batch: Batch,
        generator: Callable[..., Any],
        discriminator: Callable[..., Any],
        conditioner: Conditioner | None,
        augmentations: Sequence[Augmentation],
        draw_noise: Callable[[int, torch.Generator], Tensor],
        rng: Callable[[str], torch.Generator],
        precision: Precision,
        generator_moves: bool,
        joins: bool = False,
        makes_ahead: bool = False,
        before: Step | None = None,
        asked: set[str] | None = None,
    ) -> None:
        self._index = index
        self._asked = set() if asked is None else asked
        self.size = batch.size
        self.measurements: dict[str, Tensor] = {}
        self._batch = batch
        self._generator = generator
        self._discriminator = discriminator
        self._conditioner = conditioner
        self._augmentations = augmentations
        self._draw_noise = draw_noise
        self._rng = rng
        self._precision = precision
        self._generator_moves = generator_moves
        self._joins = joins
        self._makes_ahead = makes_ahead
        self._before = before
        self._judged = self._drawn = 0
        self._ranked: tuple[Tensor, Tensor] | None = None

    @property
    def index(self) -> int:
        """Number of the step, from 0."""
        self._asked.add("index")
        return self._index

    @cached_property
    def real(self) -> Tensor:
        """Real samples, (B, *sample), in the generator's output range."""
        return self._batch.samples

    def annotation(self, name: str) -> Any:
        """Return an annotation of the real samples, which the loss ``needs``.

        It is int64 (B,), float32 (B, n), bool (B, n) or (B, C, H, W) on the device, or
        a list of B tuples of texts.
        """
        return self._batch.annotation(name)

    @cached_property
    def condition(self) -> Tensor | None:
        """The conditions of the real samples, (B, c); None without a conditioner."""
        if self._before is not None:  # what its samples were made for
            told = self._before.condition
            return None if told is None else told.detach()
        return self._vectors(self._batch.tokens)

    @cached_property
    def mismatched_condition(self) -> Tensor:
        """For each real sample the condition of an item for which it is wrong, (B, c).

        Uniform over all of them: items of another value of what the conditioner reads;
        of texts, with none in common, and of another class where there is one. Reed et
        al. 2016, section 4.2 (GAN-CLS).
        """
        mismatched = self._vectors(self._batch.mismatched_tokens(self._rng("mismatch")))
        if mismatched is None:
            raise UsageError(
                "a loss looks at mismatched conditions, and there is no conditioner; "
                "its author has to set needs_mismatch to True"
            )
        return mismatched

    @cached_property
    def noise(self) -> Tensor:
        """The generator's input, (B, n)."""
        if self._before is not None:
            return self._before.noise
        return self._draw_noise(self.size, self._rng("noise"))

    @cached_property
    def made(self) -> Made:
        """What the generator makes of ``noise`` and ``condition``."""
        if self._before is not None:
            return self._before._ahead
        if self._makes_ahead:
            extras = {k: extra.detach() for k, extra in self._ahead.extras.items()}
            return Made(self._ahead.samples.detach(), extras)
        noise, condition = self.noise, self.condition  # which keeps its graph for D
        with torch.set_grad_enabled(self._generator_moves):
            return self.make(noise, condition)

    @cached_property
    def _ahead(self) -> Made:
        """The same with the generator's gradient, for a round in which it moves."""
        return self.make(self.noise, self.condition)

    @cached_property
    def real_judged(self) -> Judged:
        """What the discriminator makes of ``real`` and ``condition``."""
        return self._both[0] if self._joins else self.judge(self.real, self.condition)

    @cached_property
    def fake_judged(self) -> Judged:
        """What the discriminator makes of ``fake`` and ``condition``."""
        return self._both[1] if self._joins else self.judge(self.fake, self.condition)

    @cached_property
    def _both(self) -> list[Judged]:
        """Both, in one pass of a discriminator that judges each sample by itself."""
        samples = torch.cat([self._augmented(self.real), self._augmented(self.fake)])
        told = self.condition
        judged = self._seen(samples, None if told is None else torch.cat([told, told]))
        halves = slice(self.size), slice(self.size, None)
        return [
            Judged(judged.logits[half], {k: e[half] for k, e in judged.extras.items()})
            for half in halves
        ]

    @property
    def fake(self) -> Tensor:
        """Generated samples for ``noise`` and ``condition``, (B, *sample)."""
        return self.made.samples

    @property
    def real_logits(self) -> Tensor:
        """The discriminator's logits for ``real``, (B,) or as it declares."""
        return self.real_judged.logits

    @property
    def fake_logits(self) -> Tensor:
        """The discriminator's logits for ``fake``, likewise."""
        return self.fake_judged.logits

    @cached_property
    def mismatched_logits(self) -> Tensor:
        """Logits for ``real`` with ``mismatched_condition``, likewise."""
        return self.discriminate(self.real, self.mismatched_condition)

    def draw_noise(self, count: int) -> Tensor:
        """Draw more of the generator's input than ``noise``, (count, n)."""
        self._drawn += 1
        return self._draw_noise(count, self._rng(f"noise {self._drawn}"))

    def make(self, noise: Tensor, condition: Tensor | None) -> Made:
        """Generate, with the generator's gradient; give its extras too.

        What ``condition`` was computed from gets no gradient. To differentiate by the
        condition itself, give a leaf: ``condition.detach().requires_grad_()``.
        """
        if condition is not None and not condition.is_leaf:
            condition = condition.detach()
        with self._precision.autocast():
            samples, extras = unpacked(self._generator(noise, condition))
            return Made(samples.float(), floats(extras))

    def generate(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Generate samples alone, (B, *sample), as :meth:`make`."""
        return self.make(noise, condition).samples

    def judge(
        self, samples: Tensor, condition: Tensor | None, **inputs: Tensor
    ) -> Judged:
        """Judge samples after the run's augmentations; give the extras too.

        Args:
            samples: (B, *sample).
            condition: (B, c), or None without a conditioner.
            inputs: what a discriminator takes by keyword besides, as the code of a
                sample.
        """
        return self._seen(self._augmented(samples), condition, **inputs)

    def _augmented(self, samples: Tensor) -> Tensor:
        for augmentation in self._augmentations:
            self._judged += 1
            samples = augmentation(samples, self._rng(f"augment {self._judged}"))
        return samples

    def _seen(
        self, samples: Tensor, condition: Tensor | None, **inputs: Tensor
    ) -> Judged:
        with self._precision.autocast():
            logits, extras = unpacked(self._discriminator(samples, condition, **inputs))
            return Judged(logits.float(), floats(extras))

    def discriminate(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Judge samples: the logits alone, as :meth:`judge`."""
        return self.judge(samples, condition).logits

    def rank(self, real_logits: Tensor, fake_logits: Tensor) -> None:
        """Say which logits tell how well real and fake are told apart.

        For a loss that looks at neither ``real_judged`` nor ``fake_judged``.
        """
        self._ranked = (real_logits.detach(), fake_logits.detach())

    @property
    def ranked(self) -> tuple[Tensor, Tensor] | None:
        """The logits of real and of generated samples that were looked at, detached."""
        seen = vars(self)
        if self._ranked or "real_judged" not in seen or "fake_judged" not in seen:
            return self._ranked
        return self.real_logits.detach(), self.fake_logits.detach()

    def log(self, name: str, value: Tensor) -> None:
        """Add a measurement, a scalar, without waiting for the device.

        What is logged may depend on the step's index, never on the data: with many
        processes, measurements are means over all of them.

        Raises:
            UsageError: it is not a scalar.
        """
        if value.ndim:
            raise UsageError(
                f"the measurement {name!r} has the shape {tuple(value.shape)}, and is "
                "no scalar; reduce it, as with .mean()"
            )
        self.measurements[name] = value.detach()

    def _vectors(self, tokens: Tensor | None) -> Tensor | None:
        if self._conditioner is None or tokens is None:
            return None
        with self._precision.autocast():
            vectors = self._conditioner(tokens).float()
        return vectors.view_as(vectors)  # never a parameter itself, see `generate`
