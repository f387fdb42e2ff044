"""Checks of what makes inputs: conditioners, noise, augmentations."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch
from attrs import evolve
from torch import Tensor

from gankit.data.annotations import Texts
from gankit.data.columns import as_read
from gankit.errors import GankitError
from gankit.game.scheduled import taken_by_call
from gankit.randomness import generator
from gankit.testing.limits import offline
from gankit.testing.probing import HERE
from gankit.testing.settings import Parts
from gankit.testing.subject import Subject
from gankit.testing.verdicts import Failed

_COUNTS = (1, 2, 7)
_OTHERS = (0.25, 0.75)  # values of an option, where they can be
_NO_NUMBERS = (
    "its vectors are of whole numbers, or not finite; return a tensor of floats, and "
    "divide by nothing that may be nought"
)
_STRANGE = ("", " ", "zxqv", "ein süßes 猫 \N{CAT FACE}", "x" * 5000)


def vectors_shaped(subject: Subject) -> None:
    """Its tokens are a tensor of a row for each item, and its vectors (B, size)."""
    parts = subject.parts()
    values = parts.batch.annotations[parts.part.reads]
    for count in _COUNTS:
        _check_vectors(parts, as_read(values[:count]), f"for {count} items")


def _check_vectors(parts: Parts, raw: Any, when: str) -> None:
    tokens = parts.part.tokens(raw)
    if not isinstance(tokens, Tensor) or tokens.shape[:1] != (len(raw),):
        raise Failed(
            f"{when} tokens gives {_form(tokens)}; return a tensor of {len(raw)} rows"
        )
    for training in (True, False):
        if hasattr(parts.part, "train"):
            parts.part.train(training)
        vectors, wanted = parts.part(tokens), (len(raw), parts.part.size)
        if not isinstance(vectors, Tensor) or tuple(vectors.shape) != wanted:
            raise Failed(f"{when} it gives {_form(vectors)}; return {wanted}")
        if not vectors.is_floating_point() or not bool(vectors.isfinite().all()):
            raise Failed(f"{when} {_NO_NUMBERS}")


def _form(thing: Any) -> str:
    if isinstance(thing, Tensor):
        return f"the shape {tuple(thing.shape)}"
    return f"a {type(thing).__name__}"


def texts_understood(subject: Subject) -> None:
    """An empty text and an unknown one are a value, or a ValueError that says why."""
    parts = subject.parts()
    _ = parts.batch  # to which it is fitted, if it has to be
    kind = parts["dataset"].facts.annotations[parts.part.reads]
    for text in _STRANGE:
        shown = repr(text if len(text) < 40 else f"{text[:8]}…")
        try:
            value = parts.part.parse(text)
        except ValueError as error:
            if not str(error):
                raise Failed(
                    f"for {shown} parse raises a ValueError without a word; say what "
                    "it knows"
                ) from None
            continue
        except Exception as error:  # of a stranger's code
            raise Failed(
                f"for {shown} parse raises {type(error).__name__}: {error}; raise a "
                "ValueError that says what it knows"
            ) from None
        try:
            value = kind.checked(value)
        except ValueError as error:
            raise Failed(
                f"for {shown} parse gives no value of {parts.part.reads!r}: {error}"
            ) from None
    if isinstance(kind, Texts):
        raw = [(), *((text,) for text in _STRANGE)]
        _check_vectors(parts, raw, "for items with no text, or a strange one,")


def needs_no_network(subject: Subject) -> None:
    """It is built, and reads, without reaching another machine."""
    # before it is built anywhere else, which might leave it what it asks for
    for tried in subject.tries():
        data = tried.recipe.dataset
        with suppress(Exception):
            data.build()  # one of its own plugin may fetch what it needs
        read = False
        with (
            offline() as asked,
            suppress(Exception),
        ):  # `builds` tells of what it raises
            parts = tried.parts()
            parts.part(parts.batch.tokens)
            read = True
        if asked:
            raise Failed(
                f"it asks for {asked[0]} over the network; read files that are there, "
                "and say in an error how to get those that are not"
            )
        if read:
            return


def noise_shaped(subject: Subject) -> None:
    """It gives floating-point vectors (count, size) for any count."""
    part = subject.parts().part
    for count in _COUNTS:
        drawn = part(count, generator("cpu", 0, "noise"))
        if not isinstance(drawn, Tensor) or tuple(drawn.shape) != (count, part.size):
            raise Failed(
                f"for {count} it gives {_form(drawn)}; return {(count, part.size)}"
            )
        if not drawn.is_floating_point() or not bool(drawn.isfinite().all()):
            raise Failed(f"for {count} {_NO_NUMBERS}")


def samples_changed(subject: Subject) -> None:
    """It gives samples of the same shape and type, and lets gradients through."""
    parts = subject.parts()
    for count in _COUNTS:
        samples = HERE.normal(count, *parts.shapes.sample, use="samples").tanh()
        samples.requires_grad_()
        made = parts.part(samples, generator("cpu", 0, "augment"))
        if not isinstance(made, Tensor) or made.shape != samples.shape:
            raise Failed(
                f"of samples {tuple(samples.shape)} it makes {_form(made)}; keep the "
                "shape"
            )
        reached = None
        if made.requires_grad:
            (reached,) = torch.autograd.grad(made.sum(), samples, allow_unused=True)
        if reached is None:
            raise Failed(
                "no gradient passes it, so that no generator could learn; change "
                "samples by what can be differentiated, without .detach()"
            )


def schedule_followed(subject: Subject) -> None:
    """What its call takes by keyword, for schedules, is in place of its option.

    It starts from the option, which is an attribute; and with another value its samples
    are those of a part that is built with this.
    """
    parts = subject.parts()
    samples = HERE.normal(max(_COUNTS), *parts.shapes.sample, use="samples").tanh()
    built = subject.use.options
    for option in filter(built.__contains__, taken_by_call(parts.part)):
        value = built[option]
        if isinstance(value, float) and not hasattr(parts.part, option):
            raise Failed(
                f"its call takes {option!r} for schedules, and nothing says where they "
                f"start; keep the option as the attribute {option!r}"
            )
        for other in (value, *_OTHERS):
            if other is None:
                continue  # the option is not set
            try:
                whose = evolve(subject, options={**subject.options, option: other})
                wanted = whose.parts().part(samples, generator("cpu", 0, "augment"))
            except GankitError:
                continue  # no such value can be
            given = {option: other}
            made = parts.part(samples, generator("cpu", 0, "augment"), **given)
            if not isinstance(made, Tensor) or not torch.equal(made, wanted):
                raise Failed(
                    f"called with {option}={other:g}, it gives other samples than one "
                    f"that is built with it; let the number given stand for the option,"
                    f" {option}=None for its own, and draw the same numbers"
                )
