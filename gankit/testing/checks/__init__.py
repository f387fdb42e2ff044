"""The checks, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from gankit.testing.checks import (
    anyone,
    datasets,
    discriminators,
    generators,
    inputs,
    inversions,
    options,
    scores,
)
from gankit.testing.checks.devices import any_device
from gankit.testing.subject import IN_GAMES, Subject


@frozen
class Check:
    """A check of one truth about a part.

    Attributes:
        run: raises `Failed` where it is none; its docstring says what is.
        after: names of checks without which it cannot be made.
        kinds: of the parts that it is made of; empty for all.
        besides: kinds of which it is not made.
        installed: whether it is made of installed plugins alone.
        helped: whether other processes take part.
    """

    run: Callable[[Subject], None]
    after: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()
    installed: bool = False
    helped: bool = False

    @property
    def name(self) -> str:
        """The name by which it is asked for."""
        return self.run.__name__

    @property
    def says(self) -> str:
        """What is true of a part that passes."""
        return (self.run.__doc__ or "").partition("\n")[0]

    def concerns(self, subject: Subject) -> bool:
        """Tell whether it is made of a part."""
        if self.installed and not subject.installed:
            return False
        if subject.kind in self.besides:
            return False
        return not self.kinds or subject.kind in self.kinds


_OPTIONS = ("options_named", "options_typed")
_CONVERTED = (*_OPTIONS, "options_round_trip", "options_schema_given")
_BUILT = ("builds", "members")
# what a part gives is what its kind gives
_FORMS = (
    "samples_shaped",
    "logits_shaped",
    "scores_scalar",
    "vectors_shaped",
    "noise_shaped",
    "samples_changed",
    "items_formed",
)

_DOUBLE = (*_FORMS, "any_precision")

# without which no game can be played
_PLAYS = (
    *_BUILT,
    *_FORMS,
    "gradients_reach",
    "input_gradient",
    "direction",
    "range_declared",
    "annotations_true",
)
_RECIPE = ("recipe",)
_INVERSION = ("inversion",)
_FOUND = ("noise_found",)
_ALIKE = (*_FOUND, "found_again")
_ANSWERS = tuple(kind for kind in IN_GAMES if kind != "hook")

CHECKS: tuple[Check, ...] = (
    Check(options.light_import, installed=True),
    Check(options.recipe_read, kinds=("recipe",)),
    Check(options.factory_found, besides=_RECIPE),
    Check(options.options_named, ("factory_found",), besides=_RECIPE),
    Check(options.options_typed, ("options_named",), besides=_RECIPE),
    Check(options.options_documented, _OPTIONS, besides=_RECIPE),
    Check(options.options_round_trip, _OPTIONS, besides=_RECIPE),
    Check(options.options_schema_given, _OPTIONS, besides=_RECIPE),
    Check(datasets.downloads_nothing, _CONVERTED, ("dataset",)),
    Check(inputs.needs_no_network, _CONVERTED, ("conditioner",)),
    # what it fetches when it is first built would be there when these two look
    Check(
        options.builds,
        (*_CONVERTED, "downloads_nothing", "needs_no_network"),
        IN_GAMES,
    ),
    Check(anyone.members, ("builds",), IN_GAMES),
    Check(generators.samples_shaped, _BUILT, ("generator",)),
    Check(discriminators.logits_shaped, _BUILT, ("discriminator",)),
    Check(scores.scores_scalar, _BUILT, ("loss", "penalty")),
    Check(inputs.vectors_shaped, _BUILT, ("conditioner",)),
    Check(inputs.noise_shaped, _BUILT, ("noise",)),
    Check(inputs.samples_changed, _BUILT, ("augmentation",)),
    Check(datasets.items_formed, _BUILT, ("dataset",)),
    # those that look at gradients do so in float64
    Check(anyone.any_precision, _FORMS, ("generator", "discriminator", "augmentation")),
    Check(generators.range_kept, _FORMS, ("generator",)),
    Check(generators.noise_matters, _FORMS, ("generator",)),
    Check(generators.condition_matters, _FORMS, ("generator",)),
    Check(generators.gradients_reach, _DOUBLE, ("generator",)),
    Check(discriminators.input_gradient, _DOUBLE, ("discriminator",)),
    Check(discriminators.second_gradient, ("input_gradient",), ("discriminator",)),
    Check(discriminators.judges_alone, _DOUBLE, ("discriminator",)),
    Check(scores.finite_when_sure, _FORMS, ("loss",)),
    Check(scores.direction, _FORMS, ("loss",)),
    Check(scores.relative_declared, ("finite_when_sure", "direction"), ("loss",)),
    Check(scores.leaks_nothing, _FORMS, ("loss",)),
    Check(inputs.schedule_followed, (*_FORMS, "seeded"), ("augmentation",)),
    Check(inputs.texts_understood, _FORMS, ("conditioner",)),
    Check(datasets.range_declared, _FORMS, ("dataset",)),
    Check(datasets.annotations_true, _FORMS, ("dataset",)),
    Check(datasets.sent_to_workers, ("annotations_true",), ("dataset",), helped=True),
    Check(datasets.read_by_workers, ("sent_to_workers",), ("dataset",)),
    Check(inversions.noise_found, _CONVERTED, _INVERSION),
    Check(inversions.found_again, _FOUND, _INVERSION),
    Check(inversions.pictures_matter, _FOUND, _INVERSION),
    Check(inversions.run_left_alone, _FOUND, _INVERSION),
    Check(inversions.folder_optional, _FOUND, _INVERSION),
    Check(inversions.found_without_gradients, _ALIKE, _INVERSION),
    Check(inversions.kept_as_found, _ALIKE, _INVERSION),
    Check(anyone.seeded, _FORMS, _ANSWERS),
    Check(
        anyone.drawn_by_rng, (*_FORMS, "seeded"), ("noise", "augmentation", "dataset")
    ),
    Check(any_device, (*_FORMS, "seeded"), _ANSWERS),
    Check(anyone.state_kept, (*_BUILT, *_FORMS, "seeded"), IN_GAMES),
    Check(anyone.spawned, (*_PLAYS, "seeded"), IN_GAMES, helped=True),
    Check(anyone.trains, _PLAYS, IN_GAMES),
    Check(anyone.resumes, ("trains", "seeded", "state_kept"), IN_GAMES),
    Check(
        anyone.in_two_processes,
        ("resumes", "spawned", "drawn_by_rng"),
        IN_GAMES,
        helped=True,
    ),
)
BY_NAME = {check.name: check for check in CHECKS}
