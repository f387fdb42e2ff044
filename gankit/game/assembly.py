"""Parts that go together, ready to play; and what does not fit, said at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from attrs import field, frozen
from torch import nn

from gankit.compute.shards import State
from gankit.errors import MisfitError
from gankit.game.settings import ADAM, PLAYERS, Noise, Optimizer, Train, contradictions
from gankit.kinds import Origin
from gankit.parts import (
    UNBOUNDED,
    Augmentation,
    Conditioner,
    Dataset,
    Facts,
    Loss,
    Penalty,
    Shapes,
)
from gankit.randomness import global_stream

_TRIAL = 2  # samples in the pass that checks shapes


@frozen(kw_only=True)
class Provenance:
    """Where an assembly is from, to be written down with its run.

    Attributes:
        name: of the recipe, and so of the run.
        parts: where the part of each place in the recipe is from.
        table: the recipe with nothing left to defaults; None for parts that were made
            in Python, which no recipe builds again.
    """

    name: str = "run"
    parts: Mapping[str, Origin] = field(factory=dict)
    table: Mapping[str, Any] | None = None


@frozen(kw_only=True, eq=False)
class Assembly:
    """Parts that go together, ready to play.

    From a recipe it is what :func:`gankit.assemble` returns; from objects, build it
    yourself: only ``dataset``, ``generator``, ``discriminator``, ``loss`` and ``train``
    (with steps or epochs) are needed.

    Raises:
        MisfitError: everything that does not fit, at once.
    """

    dataset: Dataset
    generator: nn.Module
    discriminator: nn.Module
    loss: Loss
    train: Train
    conditioner: Conditioner | None = None
    penalties: Sequence[Penalty] = ()
    augmentations: Sequence[Augmentation] = ()
    noise: Noise = field(factory=Noise)
    optimizers: dict[str, Optimizer] = field(
        factory=lambda: {p: Optimizer(use="Adam", options=dict(ADAM)) for p in PLAYERS}
    )
    provenance: Provenance = field(factory=Provenance)

    def __attrs_post_init__(self) -> None:
        problems = contradictions(self.train, self.noise)
        problems += misfits(self.dataset, self.conditioner, self.loss, self.train)
        problems += augmentation_misfits(self.augmentations, self.dataset.facts)
        if not problems:
            shapes = shapes_of(self.dataset.facts, self.noise, self.conditioner)
            networks = (self.generator, self.discriminator)
            # a pass in training mode leaves its trace in batch norms
            put_back = State(networks, ()).keep()
            with global_stream(torch.device("cpu"), 0, "trial"):
                problems = network_misfits(*networks, shapes, self.dataset.facts)
            put_back()
        if problems:
            raise MisfitError("these parts do not go together:", problems)


def shapes_of(facts: Facts, noise: Noise, conditioner: Conditioner | None) -> Shapes:
    """Return the sizes that the networks must fit."""
    size = conditioner.size if conditioner is not None else 0
    return Shapes(facts.sample_shape, noise.size, size)


def misfits(
    dataset: Dataset, conditioner: Conditioner | None, loss: Loss, train: Train
) -> list[str]:
    """Say what of these cannot be, and what would mend it."""
    problems = []
    facts = dataset.facts
    if not len(dataset):
        problems.append("the data set is empty; give it items, or choose another one")
    elif train.batch_size > len(dataset):
        problems.append(
            f"train.batch_size: {train.batch_size} is more than the {len(dataset)} "
            f"items of the data set; set it to {len(dataset)} or less"
        )
    name = type(loss).__name__
    if conditioner is None and (
        _flag(loss, "needs_condition") or _flag(loss, "needs_mismatch")
    ):
        problems.append(
            f"the loss {name} compares conditions, and there is no conditioner; "
            "set conditioner.use, or choose another loss"
        )
    if (
        _flag(loss, "needs_mismatch")
        and facts.classes is not None
        and len(facts.classes) < 2
    ):
        problems.append(
            f"the loss {name} needs conditions of another class, and the data set has "
            f"one class, {facts.classes[0]!r}; give it a second, or choose another loss"
        )
    if conditioner is not None:
        problems += _unknown_to(facts, conditioner)
    return problems


def _unknown_to(facts: Facts, conditioner: Conditioner) -> list[str]:
    name = type(conditioner).__name__
    if conditioner.reads == "captions" and not facts.captioned:
        return [
            f"the conditioner {name} reads captions, and the data set has none; use a "
            "captioned data set, or a conditioner that reads labels"
        ]
    if conditioner.reads == "label" and facts.classes is None:
        return [
            f"the conditioner {name} reads labels, and the data set has none; use a "
            "labelled data set, or a conditioner that reads captions"
        ]
    return []


def _flag(loss: Loss, name: str) -> bool:
    return bool(getattr(loss, name, False))


def augmentation_misfits(
    augmentations: Sequence[Augmentation], facts: Facts
) -> list[str]:
    """Let each change samples, and say what one refuses."""
    problems = []
    for i, augmentation in enumerate(augmentations):
        try:
            augmentation(torch.zeros(_TRIAL, *facts.sample_shape), torch.Generator())
        except ValueError as error:
            problems.append(f"augmentations.{i}: {error}")
    return problems


def network_misfits(
    generator: nn.Module, discriminator: nn.Module, shapes: Shapes, facts: Facts
) -> list[str]:
    """Pass two samples through both networks, on no memory if they are on ``meta``."""
    problems = _range_misfits(generator, facts)
    condition = (
        torch.zeros(_TRIAL, shapes.condition, device=_device_of(generator))
        if shapes.condition
        else None
    )
    noise = torch.zeros(_TRIAL, shapes.noise, device=_device_of(generator))
    problems += _shape_misfit(
        "generator", lambda: generator(noise, condition), (_TRIAL, *shapes.sample)
    )
    samples = torch.zeros(_TRIAL, *shapes.sample, device=_device_of(discriminator))
    problems += _shape_misfit(
        "discriminator", lambda: discriminator(samples, condition), (_TRIAL,)
    )
    return problems


def _range_misfits(generator: nn.Module, facts: Facts) -> list[str]:
    made = getattr(generator, "output_range", None)
    if made is None:
        return [
            f"the generator {type(generator).__name__} does not declare its "
            "output_range; its author has to, as (-1.0, 1.0) or gankit.UNBOUNDED"
        ]
    wanted = facts.sample_range
    if wanted is None or made == UNBOUNDED or tuple(made) == tuple(wanted):
        return []
    return [
        f"the generator {type(generator).__name__} gives values {_range(made)}, and "
        f"the data set has values {_range(wanted)}; choose a generator, or an "
        "option of it, with the data's range or with none"
    ]


def _range(limits: tuple[float, float]) -> str:
    low, high = limits
    return "without bounds" if limits == UNBOUNDED else f"in [{low:g}, {high:g}]"


def _shape_misfit(
    role: str, call: Callable[[], Any], wanted: tuple[int, ...]
) -> list[str]:
    try:
        with torch.no_grad():
            output = call()
    except NotImplementedError:
        return []  # an operation without a meta kernel: the first step will tell
    except (RuntimeError, ValueError, TypeError) as error:
        if "meta" in str(error):
            return []
        return [f"the {role} cannot take its input: {' '.join(str(error).split())}"]
    made = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output)
    said = f"the {role} gives the shape {made} for a batch of {_TRIAL}, not {wanted}"
    return [] if made == wanted else [said]


def _device_of(network: nn.Module) -> torch.device:
    tensor = next((t for t in network.parameters()), None)
    return tensor.device if tensor is not None else torch.device("cpu")
