"""What does not go together, each said with what would mend it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy, deepcopy
from typing import TYPE_CHECKING, Any

import torch
from attrs import frozen
from torch import nn

from gankit.compute.memory import lay_out
from gankit.compute.state import State
from gankit.contracts import (
    UNBOUNDED,
    Augmentation,
    Conditioner,
    Dataset,
    Loss,
    NoiseSource,
    Shapes,
)
from gankit.data.annotations import Classes
from gankit.data.facts import Facts, told_apart_by
from gankit.errors import listed
from gankit.game import noise as noises
from gankit.game.apart import judges_apart
from gankit.game.contradicting import contradictions, misread_signs
from gankit.game.forms import malformed
from gankit.game.places import places, watching_misfits
from gankit.game.scheduled import unscheduled
from gankit.game.settings import PLAYERS, Train
from gankit.game.trial import problems_of_play
from gankit.game.twice import second_derivatives
from gankit.randomness import global_stream

if TYPE_CHECKING:
    from gankit.game.assembly import Assembly

_TRIAL = 2  # samples in the pass that checks shapes


@frozen
class Tried:
    """What the trial of an assembly has found.

    Attributes:
        misfits: what cannot be, and what would mend it.
        refuses_channels_last: why channels cannot lie last, or "".
        judges_apart: whether the discriminator judges a sample alike whatever others
            are beside it.
        differentiated_twice: whose network is differentiated by what is differentiated
            again.
    """

    misfits: Sequence[str] = ()
    refuses_channels_last: str = ""
    judges_apart: bool = False
    differentiated_twice: frozenset[str] = frozenset()


def try_out(assembly: Assembly) -> Tried:
    """Try copies of an assembly's parts, and say what is found."""
    a = assembly
    everything = {"dataset": a.dataset, **a.parts()}.items()
    if problems := [x for place, part in everything for x in malformed(place, part)]:
        return Tried(problems)
    problems = contradictions(a.train)
    if isinstance(a.noise, noises.Noise):
        problems += noises.contradictions(a.noise)
    problems += misfits(a.dataset, a.conditioner, a.loss, a.train)
    problems += unscheduled(a)
    problems += augmentation_misfits(a.augmentations, a.dataset.facts, a.loss)
    problems += watching_misfits(places(a), a.provenance.parts)
    if problems:
        return Tried(problems)
    a = _twin(assembly)
    shapes = shapes_of(a.dataset.facts, a.noise, a.conditioner)
    # a pass in training mode leaves its trace in batch norms
    put_back = State((a.generator, a.discriminator), ()).keep()
    with global_stream(torch.device("cpu"), 0, "trial"):
        problems = network_misfits(
            a.generator, a.discriminator, shapes, a.dataset.facts
        )
    put_back()
    return Tried(problems) if problems else _play(assembly, a)


def _play(assembly: Assembly, twin: Assembly) -> Tried:
    """Try to play where images have their channels last, and else as they were."""
    networks = (twin.generator, twin.discriminator)
    lay_out(networks, "channels-last")
    problems, twice = _problems_of_play(twin)
    apart = False
    if not problems and twin.discriminator is not assembly.discriminator:
        shapes = shapes_of(twin.dataset.facts, twin.noise, twin.conditioner)
        apart = judges_apart(twin.discriminator, shapes)
    if not problems or not any(p.ndim == 4 for n in networks for p in n.parameters()):
        return Tried(problems, judges_apart=apart, differentiated_twice=twice)
    twin = _twin(assembly)  # of what could not be copied, that itself
    lay_out((twin.generator, twin.discriminator), "contiguous")
    plain, twice = _problems_of_play(twin)
    if plain:
        return Tried(plain)
    # code that counts on an order, as .view() does
    return Tried(refuses_channels_last=problems[0], differentiated_twice=twice)


def _problems_of_play(twin: Assembly) -> tuple[list[str], frozenset[str]]:
    """Play, and tell whose network something has differentiated twice."""
    networks = {name: getattr(twin, name) for name in PLAYERS}
    with second_derivatives(networks) as twice:
        problems = problems_of_play(twin)
    return problems, frozenset(twice)


def _twin(assembly: Assembly) -> Assembly:
    """Copy an assembly's parts, so that a trial leaves no trace on those that play.

    One that cannot be copied is tried itself; its buffers and state are put back.
    """
    dataset = assembly.dataset  # which may be large, and is only read
    memo: dict[int, Any] = {id(dataset): dataset}

    def copied(part: Any) -> Any:
        try:
            return deepcopy(part, memo)
        except Exception:  # of a stranger's code, or of torch's
            memo.clear()  # of what was copied by half
            memo[id(dataset)] = dataset
            return part

    twin = copy(assembly)
    for name in ("generator", "discriminator", "conditioner", "loss", "noise"):
        object.__setattr__(twin, name, copied(getattr(assembly, name)))
    for name in ("penalties", "augmentations"):
        parts = [copied(part) for part in getattr(assembly, name)]
        object.__setattr__(twin, name, parts)
    return twin


def shapes_of(
    facts: Facts, noise: NoiseSource, conditioner: Conditioner | None
) -> Shapes:
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
    read = conditioner.reads if conditioner is not None else ""
    kind = facts.annotations.get(told_apart_by(facts, read))
    names = kind.names if isinstance(kind, Classes) else ()
    if _flag(loss, "needs_mismatch") and len(names) == 1:
        problems.append(
            f"the loss {name} needs conditions of another class, and the data set has "
            f"one class, {names[0]!r}; give it a second, or choose another loss"
        )
    wanted = [(f"loss {name} needs", needed) for needed in getattr(loss, "needs", ())]
    if conditioner is not None:
        wanted.insert(0, (f"conditioner {type(conditioner).__name__} reads", read))
    problems += [
        f"the {part} {asked!r}, and the data set has {listed(facts.annotations)}; use "
        f"a data set with {asked!r}, or another {part.partition(' ')[0]}"
        for part, asked in wanted
        if asked not in facts.annotations
    ]
    return problems


def _flag(loss: Loss, name: str) -> bool:
    return bool(getattr(loss, name, False))


def augmentation_misfits(
    augmentations: Sequence[Augmentation], facts: Facts, loss: Loss
) -> list[str]:
    """Let each change samples, and say what one refuses."""
    problems = misread_signs(augmentations, loss)
    for i, augmentation in enumerate(augmentations):
        with suppress(Exception):  # tried itself, then
            augmentation = deepcopy(augmentation)
        try:
            augmentation(torch.zeros(_TRIAL, *facts.sample_shape), torch.Generator())
        except ValueError as error:
            problems.append(f"augmentations.{i}: {error}")
        except Exception:  # the trial names it, and the line
            continue
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
    declared = getattr(discriminator, "logits_shape", ())
    problems += _shape_misfit(
        "discriminator", lambda: discriminator(samples, condition), (_TRIAL, *declared)
    )
    return problems


def _range_misfits(generator: nn.Module, facts: Facts) -> list[str]:
    made: Any = generator.output_range  # whose form was looked at before
    wanted = facts.sample_range
    if wanted is None or made in (UNBOUNDED, wanted):
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
    return [f"the {role} gives {said}" for said in _misformed(output, wanted)]


def _misformed(output: Any, wanted: tuple[int, ...]) -> list[str]:
    """Say what is wrong with what a network gives for a batch of two."""
    form = f"a tensor of the shape {wanted}, or that and extras by name"
    pair = isinstance(output, tuple) and len(output) == 2
    tensor, extras = output if pair else (output, {})
    if not isinstance(tensor, torch.Tensor) or not isinstance(extras, Mapping):
        return [f"{_sort_of(output)} for a batch of {_TRIAL}, not {form}"]
    if not tensor.is_floating_point():
        return [f"{tensor.dtype} numbers; its author has to give floating-point ones"]
    if tuple(tensor.shape) != wanted:
        return [
            f"the shape {tuple(tensor.shape)} for a batch of {_TRIAL}, not {wanted}"
        ]
    return [
        f"the extra {name!r} as {_sort_of(extra)}; extras are tensors by name, each of "
        f"a batch of {_TRIAL} here"
        for name, extra in extras.items()
        if not (isinstance(name, str) and isinstance(extra, torch.Tensor))
        or extra.shape[:1] != (_TRIAL,)
    ]


def _sort_of(thing: Any) -> str:
    if isinstance(thing, torch.Tensor):
        return f"a tensor of the shape {tuple(thing.shape)}"
    if isinstance(thing, tuple):
        return f"a tuple ({', '.join(type(part).__name__ for part in thing)})"
    return repr(thing)


def _device_of(network: nn.Module) -> torch.device:
    tensor = next((t for t in network.parameters()), None)
    return tensor.device if tensor is not None else torch.device("cpu")
