"""Checks of parts of any kind that plays: members, seeds, devices, states, games."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gankit.errors import GankitError, PluginError, told
from gankit.game.forms import malformed
from gankit.plugins.watching import absence, unpaired, watching_fault
from gankit.runs.states import check_states, copied
from gankit.testing import together
from gankit.testing.games import tried
from gankit.testing.probing import Where, answers, digest
from gankit.testing.subject import Subject
from gankit.testing.verdicts import Failed


def members(subject: Subject) -> None:
    """It has its contract's members, each of the right form and rightly spelled."""
    part, place = subject.parts().part, subject.setting.place
    problems = malformed(place, part)
    if subject.kind == "hook":
        problems = [
            x for x in (watching_fault(part) or absence(part), unpaired(part)) if x
        ]
    elif fault := watching_fault(part):
        problems.append(fault)
    if problems:
        raise Failed("; ".join(problems))


def seeded(subject: Subject) -> None:
    """From one seed it is built twice alike, and asked twice it says the same."""
    first, second = (digest(answers(subject.parts())) for _ in range(2))
    if first != second:
        raise Failed(
            "built and asked twice from one seed, it gives two results; draw from "
            "torch's global generator or from the rng that it is given, not from "
            "random, numpy or the clock"
        )


def drawn_by_rng(subject: Subject) -> None:
    """All that it draws is drawn from the rng that it is given."""
    others = Where(seed=1)  # of torch's global generators
    if digest(answers(subject.parts())) != digest(answers(subject.parts(), others)):
        raise Failed(
            "what it gives depends on torch's global generator; pass generator=rng to "
            "whatever draws"
        )


def state_kept(subject: Subject) -> None:
    """Its state says all that it has learnt: another one takes it up, and is alike."""
    parts, other = subject.parts(), subject.parts(seed=1)
    if not hasattr(parts.part, "state_dict"):
        return
    answers(parts)  # which may change it
    state = parts.part.state_dict()
    _check_state(subject, parts.part, state)
    try:
        other.part.load_state_dict(copied(state))
    except Exception as error:  # of a stranger's code
        raise Failed(
            "load_state_dict refuses what state_dict has returned: "
            f"{told(error)}; take up the same names, in a part that is newly built"
        ) from None
    if digest(_flat(other.part.state_dict())) != digest(_flat(state)):
        raise Failed(
            "load_state_dict does not take up what state_dict has returned: asked "
            "again, the state is another; restore all of it"
        )
    other.named |= {k: v for k, v in parts.named.items() if k != parts.place}
    if subject.kind == "conditioner":
        other.batch = parts.batch  # which it was fitted to, and is not again
    if digest(answers(other)) != digest(answers(parts)):
        raise Failed(
            "one that has taken up its state gives other results; keep whatever it "
            "draws when it is built in parameters or buffers, or in state_dict"
        )


def _check_state(subject: Subject, part: Any, state: Any) -> None:
    if isinstance(part, nn.Module):
        odd = [name for name, value in state.items() if not isinstance(value, Tensor)]
        if odd:
            raise Failed(
                f"its state holds no tensor under {odd[0]!r}; keep it as a buffer"
            )
        return
    try:
        check_states({subject.name: state})
    except PluginError as error:
        raise Failed(str(error)) from None


def _flat(state: Any) -> list[Any]:
    """Take a nest of dictionaries and lists apart, in their order."""
    if isinstance(state, dict):
        return [x for key in state for x in (key, *_flat(state[key]))]
    if isinstance(state, list | tuple):
        return [x for value in state for x in _flat(value)]
    return [state]


def any_precision(subject: Subject) -> None:
    """In float64 it computes in float64, with no type of its own choice."""
    parts = subject.parts()
    if isinstance(parts.part, nn.Module):
        parts.part.double()
    where = Where(dtype=torch.float64)
    try:
        given = answers(parts, where)
    except RuntimeError as error:
        raise Failed(
            f"it cannot compute in float64: {told(error)}; make tensors with the dtype "
            "of its inputs, as torch.zeros(…, dtype=samples.dtype)"
        ) from None
    kinds = {t.dtype for t in given if isinstance(t, Tensor) and t.is_floating_point()}
    if kinds - {torch.float64}:
        other = next(iter(kinds - {torch.float64}))
        raise Failed(
            f"given float64, it gives {other}; leave out .float() and fixed types"
        )


def spawned(subject: Subject) -> None:
    """In a process that was spawned it is the same part, to the bit."""
    if together.bits_there(subject) != together.bits_of(subject.setting):
        raise Failed(
            "in a spawned process it gives other results than here, from the same "
            "seed; let nothing depend on hash(), on the process or on what it has "
            "imported before"
        )


def trains(subject: Subject) -> None:
    """Its game is played for a few steps; all is finite, and both players move."""
    if subject.setting.misfit:
        raise Failed(
            f"it can play no game: {subject.setting.misfit}; {tried(subject.kind)}"
        )
    try:
        trained = together.train(subject, subject.folder / "alone")
    except GankitError as error:
        raise Failed(f"its game ends: {error}") from None
    if not trained.finite:
        raise Failed(
            "in its game something that is measured is not finite; look for "
            "logarithms, roots and quotients of what may be nought"
        )
    still = [name for name, moved in trained.moved.items() if not moved]
    if still:
        raise Failed(
            f"in its game the weights of the {still[0]} do not change; leave out what "
            "cuts gradients on their way to it, as .detach() and torch.no_grad()"
        )


def resumes(subject: Subject) -> None:
    """A run that is stopped and resumed is, to the bit, the run that never stopped."""
    whole, again = subject.folder / "alone", subject.folder / "resumed"
    try:
        together.go_on(subject, whole, again)
    except GankitError as error:
        raise Failed(f"its run cannot be resumed: {error}") from None
    _compare(whole, again, "stopped and resumed, its run ends otherwise than without")


def in_two_processes(subject: Subject) -> None:
    """Two processes that share its run get the same bits as one."""
    shared = subject.folder / "shared"
    together.train_in_two(subject, shared)
    what = "shared by two processes, its run ends otherwise than in one"
    _compare(subject.folder / "alone", shared, what)


def _compare(whole: Any, other: Any, what: str) -> None:
    if differs := together.difference(whole, other):
        raise Failed(
            f"{what}: not the same to the bit are {differs}; keep in buffers or "
            "state_dict whatever changes from step to step, and let nothing depend on "
            "the process"
        )
