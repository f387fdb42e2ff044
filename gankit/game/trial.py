"""Trying every part once, on a few real samples, before anything is begun.

A trial leaves no trace: buffers, states and random numbers are as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from attrs import frozen
from torch import Tensor, nn

from gankit.compute.device import Precision
from gankit.compute.shards import State
from gankit.errors import BrokenItem, GankitError, told
from gankit.game.findings import Findings
from gankit.game.settings import PLAYERS
from gankit.game.step import Step
from gankit.parts import UNBOUNDED, Item
from gankit.randomness import generator, global_stream

if TYPE_CHECKING:
    from gankit.game.assembly import Assembly

_SAMPLES = 4  # in a trial batch, at most
_LOOKED_AT = 64  # items until one is whole, at most


@frozen(eq=False)
class _Batch:
    """Real samples, and tokens of their conditions, as the game's batches have them."""

    samples: Tensor
    tokens: Tensor | None

    @property
    def size(self) -> int:
        return len(self.samples)

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
        items = self._items()
        if not items or self.problems:
            return
        low, high = self.assembly.generator.output_range  # type: ignore[misc] # checked
        stored = torch.stack([item.sample for item in items]).to(self.device)
        samples = self._transformed(stored)
        if samples is None:
            return
        if samples.dtype == torch.uint8:
            low, high = (-1.0, 1.0) if (low, high) == UNBOUNDED else (low, high)
            samples = samples.float() * (high - low) / 255 + low
        tokens = self._tokens(items)
        noise = self._noise(len(items))
        if self.problems or noise is None:
            return
        batch = _Batch(samples.float(), tokens)
        self._differentiate(batch)
        if not self.problems:
            self._play(batch)

    def _items(self) -> list[Item]:
        """Read the first items that are whole."""
        dataset, items = self.assembly.dataset, list[Item]()
        for index in range(min(len(dataset), _LOOKED_AT)):
            try:
                items.append(dataset[index])
            except BrokenItem:
                continue
            except GankitError:
                raise
            except Exception as error:
                self.problems.append(f"dataset: item {index} raised {told(error)}")
                return []
            if len(items) == min(_SAMPLES, self.assembly.train.batch_size):
                break
        for item in items:
            if not isinstance(item, Item) or not isinstance(item.sample, Tensor):
                given = item.sample if isinstance(item, Item) else item
                self.problems.append(
                    f"dataset {type(dataset).__name__}: an item is a "
                    f"{type(given).__name__}; its author has to give "
                    "gankit.Item(sample, …) with the sample as a tensor"
                )
                return []
        return items

    def _transformed(self, samples: Tensor) -> Tensor | None:
        transform = getattr(self.assembly.dataset, "transform", None)
        if transform is None:
            return samples
        wanted = (len(samples), *self.assembly.dataset.facts.sample_shape)
        made = self.tried(
            "dataset", "transform", lambda: transform(samples, self.rng("transform"))
        )
        return made if self.fits("dataset", "transform", made, wanted) else None

    def _tokens(self, items: list[Item]) -> Tensor | None:
        """Turn what is known of items to tokens; not before a conditioner is fitted."""
        conditioner = self.assembly.conditioner
        if conditioner is None or hasattr(conditioner, "fit"):
            return None
        raw = [self._raw(item) for item in items]
        tokens = self.tried("conditioner", "tokens", lambda: conditioner.tokens(raw))
        if self.problems:
            return None
        if not isinstance(tokens, Tensor) or len(tokens) != len(items):
            self.refuse("conditioner", "tokens", tokens, "a tensor (N, …) for N items")
            return None
        tokens = tokens.to(self.device)
        made = self.tried("conditioner", "forward", lambda: conditioner(tokens))
        wanted = (len(items), conditioner.size)
        return tokens if self.fits("conditioner", "forward", made, wanted) else None

    def _raw(self, item: Item) -> Any:
        assert self.assembly.conditioner is not None
        return getattr(item, self.assembly.conditioner.reads)

    def _noise(self, count: int) -> Tensor | None:
        noise = self.assembly.noise
        made = self.tried("noise", "", lambda: noise(count, self.rng("noise")))
        return made if self.fits("noise", "", made, (count, noise.size)) else None

    def _differentiate(self, batch: _Batch) -> None:
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

    def _play(self, batch: _Batch) -> None:
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
            if not mine:
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
        elif not value.requires_grad:
            self.problems.append(
                f"{name} gave a number without a gradient; its author has to compute "
                "it without .detach(), .item() and torch.no_grad()"
            )
        else:
            return True
        return False

    def _step(self, batch: _Batch, *, generator_moves: bool) -> Step:
        a = self.assembly
        conditioner: Any = a.conditioner
        if conditioner is not None and batch.tokens is None:  # it is fitted later
            shape, rng = (batch.size, conditioner.size), self.rng("conditions")
            stand_in = torch.randn(shape, generator=rng, device=self.device)
            batch = _Batch(batch.samples, torch.arange(batch.size))
            conditioner = _Fixed(stand_in)
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
                for i, part in enumerate(a.augmentations)
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
