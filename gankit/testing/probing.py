"""Asking a part the same things always: what it gives, to the bit, is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any

import torch
from attrs import evolve, frozen
from torch import Tensor, nn

from gankit.errors import BrokenItem
from gankit.game.assembly import player_of
from gankit.game.given import unpacked
from gankit.game.settings import PLAYERS
from gankit.randomness import generator, global_stream
from gankit.testing.settings import BATCH, CPU, Parts


@frozen
class Where:
    """On which device a part is asked, in which precision, from which stream.

    Attributes:
        rng: gives a stream of numbers for each purpose, on the device.
        seed: of torch's global generators meanwhile.
    """

    device: torch.device = CPU
    dtype: torch.dtype = torch.float32
    rng: Callable[[str], torch.Generator] = lambda purpose: generator("cpu", 0, purpose)
    seed: int = 0

    def normal(self, *shape: int, use: str) -> Tensor:
        """Draw normal numbers, the same ones for the same use."""
        drawn = torch.randn(shape, generator=generator("cpu", 0, "kit", use))
        return drawn.to(self.device, self.dtype)


HERE = Where()


def answers(parts: Parts, where: Where = HERE) -> list[Any]:
    """Ask the part under test about a few samples, and give all that it gives."""
    kind = _kind(parts.place)
    if kind not in _QUESTIONS:
        return []
    with global_stream(CPU, where.seed, "kit"):
        return list(_QUESTIONS[kind](parts, where))


def digest(given: Iterable[Any]) -> str:
    """Return a digest of tensors, bit for bit, and of all else as it is written."""
    sums = blake2b(digest_size=16)
    for thing in given:
        if isinstance(thing, Tensor):
            flat = thing.detach().cpu().contiguous()
            sums.update(f"{flat.dtype} {tuple(flat.shape)}".encode())
            sums.update(flat.view(-1).view(torch.uint8).numpy().tobytes())
        else:
            sums.update(repr(thing).encode())
    return sums.hexdigest()


def _kind(place: str) -> str:
    block = place.partition(".")[0]
    return {"penalties": "penalty", "augmentations": "augmentation"}.get(block, block)


def conditions(parts: Parts, where: Where, count: int = BATCH) -> Tensor | None:
    """Draw conditions, (count, c), as the networks are given them; or None."""
    size = parts.shapes.condition
    return where.normal(count, size, use="condition") if size else None


def _both_modes(part: Any) -> Iterable[None]:
    """Let a part be asked in training mode, and then as it is evaluated."""
    for training in (True, False):
        if isinstance(part, nn.Module):
            part.train(training)
        yield


def _network(inputs: Callable[[Parts, Where], Tensor]) -> Callable[..., Iterable[Any]]:
    def ask(parts: Parts, where: Where) -> Iterable[Any]:
        given, told = inputs(parts, where), conditions(parts, where)
        for _ in _both_modes(parts.part):
            tensor, extras = unpacked(parts.part(given, told))
            yield tensor
            yield from (extras[name] for name in sorted(extras))

    return ask


def _noise_in(parts: Parts, where: Where) -> Tensor:
    return where.normal(BATCH, parts.shapes.noise, use="noise")


def samples_in(parts: Parts, where: Where = HERE) -> Tensor:
    """Return samples as a discriminator is given them: within [-1, 1]."""
    return where.normal(BATCH, *parts.shapes.sample, use="samples").tanh()


def _conditioner(parts: Parts, where: Where) -> Iterable[Any]:
    batch = parts.batch
    assert batch.tokens is not None, "a game of a conditioner has it"
    yield batch.tokens
    for _ in _both_modes(parts.part):
        yield parts.part(batch.tokens.to(where.device))


def _scores(parts: Parts, where: Where, *players: str) -> Iterable[Any]:
    here = parts.batch
    tokens = None if here.tokens is None else here.tokens.to(where.device)
    batch = evolve(here, samples=here.samples.to(where.device), tokens=tokens)
    for player in players:
        step = parts.step(player, batch, rng=where.rng)
        score = getattr(parts.part, player) if parts.place == "loss" else parts.part
        yield score(step)
        yield from step.measurements.values()


def _loss(parts: Parts, where: Where) -> Iterable[Any]:
    return _scores(parts, where, *PLAYERS[::-1])


def _penalty(parts: Parts, where: Where) -> Iterable[Any]:
    return _scores(parts, where, player_of(parts.part))


def _augmentation(parts: Parts, where: Where) -> Iterable[Any]:
    yield parts.part(samples_in(parts, where), where.rng("augment"))


def _noise(parts: Parts, where: Where) -> Iterable[Any]:
    yield parts.part(BATCH, where.rng("noise"))


def _dataset(parts: Parts, where: Where) -> Iterable[Any]:
    dataset = parts.part
    samples = []
    for _, item in whole_items(dataset):
        samples.append(item.sample)
        yield item.sample
        yield from told_of(item.annotations)
    if samples and hasattr(dataset, "transform"):
        stored = torch.stack(samples).to(where.device)
        yield dataset.transform(stored, where.rng("transform"))


def told_of(annotations: Mapping[str, Any]) -> Iterable[Any]:
    """Give what is known of an item, in an order that is always the same."""
    for name in sorted(annotations):
        value = annotations[name]
        yield sorted(value) if isinstance(value, set | frozenset) else value


def indices_of(dataset: Any, count: int = 5) -> list[int]:
    """Choose some items of a data set, from its first to its last."""
    last = len(dataset) - 1
    return sorted({round(last * i / max(count - 1, 1)) for i in range(count)})


def whole_items(dataset: Any, count: int = 5) -> Iterator[tuple[int, Any]]:
    """Give those of the chosen items that are not broken, each with its index."""
    for index in indices_of(dataset, count):
        try:
            yield index, dataset[index]
        except BrokenItem:
            continue


_QUESTIONS: dict[str, Callable[[Parts, Where], Iterable[Any]]] = {
    "generator": _network(_noise_in),
    "discriminator": _network(samples_in),
    "conditioner": _conditioner,
    "loss": _loss,
    "penalty": _penalty,
    "augmentation": _augmentation,
    "noise": _noise,
    "dataset": _dataset,
}
