"""Trying every part once, on a few real samples, before anything is begun.

A trial leaves no trace: buffers, states and random numbers are as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from attrs import frozen
from torch import Tensor, nn

from gankit.compute.device import Precision
from gankit.compute.state import State
from gankit.contracts import UNBOUNDED
from gankit.data.columns import annotation_at, as_read
from gankit.game.findings import Findings
from gankit.game.first_items import first_items, known_of, misread
from gankit.game.scheduled import Scheduled
from gankit.game.settings import PLAYERS
from gankit.game.step import Step
from gankit.randomness import generator, global_stream

if TYPE_CHECKING:
    from gankit.game.assembly import Assembly


@frozen(eq=False)
class FewSamples:
    """A few real samples of which all is known, as the game's batches have it."""

    samples: Tensor  # (B, *sample)
    tokens: Tensor | None
    annotations: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Samples in it."""
        return len(self.samples)

    def annotation(self, name: str) -> Any:
        """Give what is known of the samples by that name."""
        every = torch.arange(self.size)
        rows = annotation_at(self.annotations, name, every, every.device)
        return rows.to(self.samples.device) if isinstance(rows, Tensor) else rows

    def mismatched_tokens(self, rng: torch.Generator) -> Tensor | None:
        """Give each sample its neighbour's."""
        return None if self.tokens is None else self.tokens.roll(1, 0)


def problems_of_play(assembly: Assembly) -> list[str]:
    """Let both players look at a few real samples, and say what goes wrong."""
    trial, parts = _Trial(assembly), assembly.parts().items()
    put_back = State([p for _, p in parts if isinstance(p, nn.Module)], ()).keep()
    states = {
        place: trial.tried(place, "state_dict", partial(_state_of, part))
        for place, part in parts
        if hasattr(part, "state_dict") and not isinstance(part, nn.Module)
    }
    with global_stream(trial.device, 0, "trial"):
        trial.run()
    put_back()
    for place, state in states.items():
        trial.tried(place, "load_state_dict", partial(_load, dict(parts)[place], state))
    return trial.problems


def _state_of(part: Any) -> Any:
    return deepcopy(part.state_dict())


def _load(part: Any, state: Any) -> str:
    part.load_state_dict(state)
    return "done"


@frozen(eq=False)
class _Fixed:
    """Stands in for a conditioner that is not fitted yet."""

    vectors: Tensor

    def __call__(self, tokens: Tensor) -> Tensor:
        """Give the same vectors always."""
        return self.vectors.clone()


class _Trial(Findings):
    """A few real samples, played once."""

    @property
    def device(self) -> torch.device:
        """Where the generator is."""
        return next(self.assembly.generator.parameters(), torch.empty(0)).device

    def rng(self, purpose: str) -> torch.Generator:
        """Return a stream of random numbers of its own for each purpose."""
        return generator(self.device, 0, "trial", purpose)

    def run(self) -> None:
        """Try in the order in which parts are needed."""
        items = first_items(self)
        annotations = known_of(self, items)
        if not items or self.problems:
            return
        low, high = self.assembly.generator.output_range  # type: ignore[misc] # checked
        stored = torch.stack([item.sample for item in items.values()])
        samples = self._transformed(stored.to(self.device))
        if samples is None:
            return
        if samples.dtype == torch.uint8:
            low, high = (-1.0, 1.0) if (low, high) == UNBOUNDED else (low, high)
            samples = samples.float() * (high - low) / 255 + low
        tokens = self._tokens(annotations, len(items))
        noise = self._noise(len(items))
        if self.problems or noise is None:
            return
        batch = FewSamples(samples.float(), tokens, annotations)
        self._differentiate(batch)
        if not self.problems:
            self._play(batch)

    def _transformed(self, samples: Tensor) -> Tensor | None:
        transform = getattr(self.assembly.dataset, "transform", None)
        if transform is None:
            return samples
        wanted = (len(samples), *self.assembly.dataset.facts.sample_shape)
        made = self.tried(
            "dataset", "transform", lambda: transform(samples, self.rng("transform"))
        )
        return made if self.fits("dataset", "transform", made, wanted) else None

    def _tokens(self, annotations: Mapping[str, Any], count: int) -> Tensor | None:
        """Turn what is known of items to tokens; not before a conditioner is fitted."""
        conditioner = self.assembly.conditioner
        if conditioner is None or hasattr(conditioner, "fit"):
            return None
        misread(self, conditioner, annotations)
        raw = as_read(annotations[conditioner.reads])
        tokens = self.tried("conditioner", "tokens", lambda: conditioner.tokens(raw))
        if self.problems:
            return None
        if not isinstance(tokens, Tensor) or len(tokens) != count:
            self.refuse("conditioner", "tokens", tokens, "a tensor (N, …) for N items")
            return None
        tokens = tokens.to(self.device)
        made = self.tried("conditioner", "forward", lambda: conditioner(tokens))
        wanted = (count, conditioner.size)
        return tokens if self.fits("conditioner", "forward", made, wanted) else None

    def _noise(self, count: int) -> Tensor | None:
        noise = self.assembly.noise
        made = self.tried("noise", "", lambda: noise(count, self.rng("noise")))
        return made if self.fits("noise", "", made, (count, noise.size)) else None

    def _differentiate(self, batch: FewSamples) -> None:
        """See whether both networks, and the augmentations, pass gradients on."""
        step = self._step(batch, generator_moves=True)
        for role, pass_on in (
            ("generator", lambda: step.fake),
            ("discriminator", lambda: step.fake_logits),
        ):
            made = self.tried(role, "forward", pass_on)
            if made is None:
                return
            if not made.requires_grad:
                self.add(
                    f"{self.name(role, 'forward')} gave numbers without a gradient; "
                    "its author has to leave out .detach() and torch.no_grad()"
                )

    def _play(self, batch: FewSamples) -> None:
        """Let each player look, by its own rules, as in its round of a step."""
        together = self.assembly.train.order == "simultaneous"
        for player in PLAYERS[::-1]:  # as they move
            step = self._step(batch, generator_moves=together or player != PLAYERS[1])
            self._judge(player, step)

    def _judge(self, player: str, step: Step) -> None:
        scored: list[tuple[str, str, Callable[[], Any]]] = [
            ("loss", player, lambda: getattr(self.assembly.loss, player)(step))
        ]
        for i, penalty in enumerate(self.assembly.penalties):
            if getattr(penalty, "player", PLAYERS[1]) == player:
                scored.append((f"penalties.{i}", "", lambda p=penalty: p(step)))  # type: ignore[misc] # bound now
        mine = [
            p
            for module in self.assembly.learning_with(player)
            for p in module.parameters()
            if p.requires_grad
        ]
        for place, method, call in scored:
            value = self.tried(place, method, call)
            if value is None or not self._is_score(place, method, value):
                continue
            if not value.requires_grad:
                continue
            grads = self.tried(
                place,
                method,
                lambda v=value: torch.autograd.grad(  # type: ignore[misc] # bound now
                    v, mine, retain_graph=True, allow_unused=True
                ),
            )
            if grads is not None and not any(g is not None for g in grads):
                self.problems.append(
                    f"{self.name(place, method)} gave a number on which nothing that "
                    f"the {player} can move has an effect; compute it "
                    f"from what the {player} makes of the step"
                )

    def _is_score(self, place: str, method: str, value: Any) -> bool:
        name = self.name(place, method)
        if not isinstance(value, Tensor):
            self.refuse(place, method, value, "a scalar tensor")
        elif value.ndim:
            self.problems.append(
                f"{name} gave a tensor of shape {tuple(value.shape)}, not a scalar; "
                "reduce it, as with .mean()"
            )
        elif not value.is_floating_point():
            self.refuse(place, method, value, "a floating-point scalar")
        elif not value.requires_grad and place == "loss":  # a penalty may begin later
            self.problems.append(
                f"{name} gave a number without a gradient; its author has to compute "
                "it without .detach(), .item() and torch.no_grad()"
            )
        else:
            return True
        return False

    def _step(self, batch: FewSamples, *, generator_moves: bool) -> Step:
        a = self.assembly
        conditioner: Any = a.conditioner
        if conditioner is not None and batch.tokens is None:  # it is fitted later
            shape, rng = (batch.size, conditioner.size), self.rng("conditions")
            stand_in = torch.randn(shape, generator=rng, device=self.device)
            batch = FewSamples(
                batch.samples, torch.arange(batch.size), batch.annotations
            )
            conditioner = _Fixed(stand_in)
        curves = Scheduled(a)
        return Step(
            index=0,
            batch=batch,  # type: ignore[arg-type] # a batch by its members
            generator=a.generator,
            discriminator=a.discriminator,
            conditioner=conditioner,
            augmentations=[
                lambda samples, rng, i=i, part=part: self._augmented(
                    i, part, samples, rng
                )
                for i, part in enumerate(curves.augmenting(curves.at(0, 0)))
            ],
            draw_noise=a.noise,
            rng=self.rng,
            precision=Precision("fp32", self.device),
            generator_moves=generator_moves,
        )

    def _augmented(
        self, i: int, part: Any, samples: Tensor, rng: torch.Generator
    ) -> Tensor:
        place, wanted = f"augmentations.{i}", tuple(samples.shape)
        made = self.tried(place, "", lambda: part(samples, rng))
        if not self.fits(place, "", made, wanted):
            return samples
        if samples.requires_grad and not made.requires_grad:
            self.add(
                f"{self.name(place, '')} gave samples without a gradient; its author "
                "has to change them by what can be differentiated"
            )
            return samples
        return made  # type: ignore[no-any-return] # a tensor, as was seen
