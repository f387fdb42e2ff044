"""Checks of inversions, which play in no game: they are given a run to look into.

The run is one of the kit's doubles that has not been trained, and the pictures are
drawn from it. What an inversion may learn is all there.
"""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from gankit.cache import digest_of
from gankit.errors import told
from gankit.randomness import generator
from gankit.recipe.recipe import structure_recipe
from gankit.recipe.using import structure_use
from gankit.runs.sampling import Sampler
from gankit.testing.games import Table, runs_of
from gankit.testing.settings import CPU, Setting
from gankit.testing.subject import Subject
from gankit.testing.verdicts import Failed

_COUNT = 6  # pictures
_FIRST, _OTHER = 0, 1  # seeds of the noise that pictures are drawn from


def noise_found(subject: Subject) -> None:
    """Of a run's pictures it makes floating-point noise (N, n) for any N."""
    for count in (_COUNT, 1):
        _found(subject, _sampler(subject), subject.folder / "kept", count=count)


def run_left_alone(subject: Subject) -> None:
    """The run's generator is afterwards as it was: weights, modes, gradients."""
    sampler = _sampler(subject)
    before = _state(sampler)
    _found(subject, sampler, _new_folder(subject))
    if _state(sampler) != before:
        raise Failed(
            "it leaves the run's generator other than it was; copy it before you "
            "train it, and take gradients by torch.autograd.grad"
        )


def pictures_matter(subject: Subject) -> None:
    """Other pictures have other noise."""
    sampler, kept = _sampler(subject), subject.folder / "kept"
    one, other = (_found(subject, sampler, kept, seed=s) for s in (_FIRST, _OTHER))
    if torch.equal(one, other):
        raise Failed(
            "it finds the same noise for other pictures, and so looks at none; compute "
            "it from them"
        )


def found_again(subject: Subject) -> None:
    """Where nothing is kept it finds the same noise again, to the bit."""
    one, other = (_afresh(subject, seed) for seed in (0, 1))
    if not torch.equal(one, other):
        raise Failed(
            "for the same pictures it finds two noises; draw from a generator of its "
            "own, whose seed is an option, not from torch's, random or the clock"
        )


def found_without_gradients(subject: Subject) -> None:
    """Where the caller has switched gradients off it finds the same noise."""
    plain = _afresh(subject, 0)
    try:
        with torch.no_grad():
            switched = _afresh(subject, 0)
    except Failed as failure:
        raise Failed(
            f"under torch.no_grad() {failure}; switch on what it needs, by "
            "torch.enable_grad()"
        ) from None
    if not torch.equal(plain, switched):
        raise Failed(
            "under torch.no_grad() it finds other noise; switch on the gradients that "
            "it needs, by torch.enable_grad()"
        )


def kept_as_found(subject: Subject) -> None:
    """What it keeps in its folder gives the same noise again, to the bit."""
    sampler, folder = _sampler(subject), _new_folder(subject)
    learnt, read = (_found(subject, sampler, folder) for _ in range(2))
    if not torch.equal(learnt, read):
        raise Failed(
            "from what it has kept in the folder it finds other noise than when it "
            "learnt it; keep all that it learns, and no less exactly"
        )


def folder_optional(subject: Subject) -> None:
    """It does without a folder that cannot be made."""
    file = _new_folder(subject) / "a file"
    file.touch()
    try:
        _found(subject, _sampler(subject), file / "no folder")
    except Failed as failure:
        raise Failed(
            f"where its folder cannot be made {failure}; go on without keeping anything"
        ) from None


def _afresh(subject: Subject, seed: int) -> Tensor:
    """Find noise with nothing kept; the seed is torch's own."""
    torch.manual_seed(seed)
    return _found(subject, _sampler(subject), _new_folder(subject))


def _new_folder(subject: Subject) -> Path:
    return Path(mkdtemp(dir=subject.folder))


def _found(
    subject: Subject,
    sampler: Sampler,
    folder: Path,
    *,
    seed: int = _FIRST,
    count: int = _COUNT,
) -> Tensor:
    """Let it find noise for pictures that the run has drawn.

    Raises:
        Failed: it raises, or gives something else.
    """
    given = _called(_built(subject), sampler, folder, _pictures(sampler, count, seed))
    wanted = (count, sampler.noise.size)
    if not isinstance(given, Tensor) or tuple(given.shape) != wanted:
        form = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise Failed(f"for {count} pictures it gives {form}; return noise {wanted}")
    if not given.is_floating_point() or not bool(given.isfinite().all()):
        raise Failed(
            f"for {count} pictures its noise is of whole numbers, or not finite; "
            "return a tensor of floats"
        )
    return given.detach().clone()


def _called(part: Any, sampler: Sampler, folder: Path, pictures: Tensor) -> Any:
    try:
        return part(sampler, pictures, folder=folder, progress=_unheard)
    except Exception as error:  # of a stranger's code
        raise Failed(f"it raised {told(error)}") from None


def _unheard(done: int, total: int, text: str) -> None:
    """Report to nobody."""


def _pictures(sampler: Sampler, count: int, seed: int) -> Tensor:
    noise = sampler.noise(count, generator("cpu", seed, "kit", "noise"))
    told = [*islice(cycle(sampler.conditions), count)]
    return sampler.generate(noise, told).samples


def _built(subject: Subject) -> Any:
    problems: list[str] = []
    block = {"use": subject.entry.name, **subject.options}
    use = structure_use(subject.kind, block, subject.kind, subject.registry, problems)
    if use is None or problems:
        raise Failed("; ".join(problems))
    return use.build()


def _sampler(subject: Subject) -> Sampler:
    """Return a run that it does not refuse, the plainest that there is, anew."""
    if subject not in _CHOSEN:
        _CHOSEN[subject] = _chosen(subject)
    return _run(subject, _CHOSEN[subject])


_CHOSEN: WeakKeyDictionary[Subject, Table] = WeakKeyDictionary()  # of each, its game


def _chosen(subject: Subject) -> Table:
    """Find a game whose run it takes, as its contract lets it refuse some.

    Raises:
        Failed: it refuses all.
    """
    refused = {}
    for table in runs_of():
        sampler, part = _run(subject, table), _built(subject)
        try:
            pictures = _pictures(sampler, _COUNT, _FIRST)
            folder = subject.folder / "kept"
            part(sampler, pictures, folder=folder, progress=_unheard)
        except ValueError as error:
            refused[sampler.facts.sample_shape] = str(error)
        except Exception:  # of a stranger's code, which a check tells of
            return table
        else:
            return table
    shape, said = next(iter(refused.items()))
    raise Failed(
        f"it refuses every run, with samples of {shape} because {said}; it was tried "
        f"on {', '.join(map(str, refused))}: refuse only what it cannot invert"
    )


def _run(subject: Subject, table: Table) -> Sampler:
    """Return a run whose networks have just been built."""
    parts = Setting(structure_recipe("kit", table, subject.registry), "").parts()
    facts, told = parts["dataset"].facts, parts["conditioner"]
    names: Any = facts.annotations[told.reads] if told is not None else None
    conditions = names.names if names is not None else ()
    drawn = parts["generator"], told, parts["noise"], facts
    return Sampler(*drawn, conditions, CPU).settle()


def _state(sampler: Sampler) -> tuple[Any, ...]:
    network = sampler.generator
    weights = list(network.parameters())
    return (
        digest_of(network.state_dict()),
        [module.training for module in network.modules()],
        [(p.requires_grad, p.grad is None) for p in weights],
    )
