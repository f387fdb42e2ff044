"""A part under test, and what is known of it so far."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, evolve, field

from gankit.errors import GankitError, RecipeError, UsageError, nearest, told
from gankit.plugins.registry import Entry, Registry
from gankit.recipe.building import assemble
from gankit.recipe.recipe import Recipe, structure_recipe
from gankit.recipe.schema import json_schema
from gankit.recipe.using import Use, kind_within
from gankit.recipe.values import structure_options
from gankit.testing.games import PLACES, games_of
from gankit.testing.settings import Parts, Setting
from gankit.testing.verdicts import Verdict, Waits

T = TypeVar("T")

IN_GAMES = tuple(PLACES)  # the kinds that take part in one
NOTHING: dict[str, Any] = {"not": {}}  # the schema of what no recipe can hold


def of_part(entry: Entry, named: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """Return what is said of a part, by its name or by its kind and its name."""
    name = entry.part.name
    return {**named.get(name, {}), **named.get(f"{entry.part.kind}.{name}", {})}


@define(eq=False, slots=False)
class Subject:
    """A part under test.

    Attributes:
        entry: what is registered.
        registry: of all parts, with the kit's.
        options: that it is given, besides its defaults.
        others: options of all parts of its plugin, by their name.
        expected: checks that are expected to fail.
        within: the folder in which its runs are written.
        verdicts: of checks that were made already, by their name.
    """

    entry: Entry
    registry: Registry
    options: Mapping[str, Any] = field(factory=dict)
    others: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    expected: frozenset[str] = frozenset()
    within: str | None = None
    verdicts: dict[str, Verdict] = field(factory=dict)

    @property
    def kind(self) -> str:
        """Its kind."""
        return self.entry.part.kind

    @property
    def name(self) -> str:
        """Its kind and its name, for people."""
        return f"{self.kind} {self.entry.part.name}"

    @property
    def files(self) -> tuple[Path, ...]:
        """The plugin files that another process has to load to find it."""
        return self.registry.files

    @property
    def installed(self) -> bool:
        """Whether it is of an installed plugin, and not of a local file."""
        return self.entry.plugin.source not in map(str, self.files)

    @property
    def lacking(self) -> list[str]:
        """The options that it has to be given, and is not."""
        try:
            options = self.entry.options
        except GankitError:
            return []  # which a check of its own says
        required = [o for o in options if o.required and o.name not in self.options]
        return [o.name for o in required if json_schema(o.type) != NOTHING]

    def check_given(self) -> None:
        """Refuse to go on with options that are lacking, or cannot be.

        Raises:
            UsageError: says how to give them.
        """
        name = self._as_asked
        if self.lacking:
            option = self.lacking[0]
            raise UsageError(
                f"the {self.name} cannot be built without the option {option!r}; give "
                f"it as {name}.{option}=VALUE on the command line, or as "
                f'options={{"{name}": {{"{option}": …}}}} in a test'
            )
        if problems := self._misgiven():
            raise UsageError(f"the {self.name}: {'; '.join(problems)}")

    @property
    def _as_asked(self) -> str:
        """Its name in options: with its kind where another part has the name too."""
        name, plugin = self.entry.part.name, self.entry.plugin
        alike = [
            entry
            for entry in self.registry.entries()
            if entry.part.name == name and entry.plugin is plugin
        ]
        return f"{self.kind}.{name}" if len(alike) > 1 else name

    def _misgiven(self) -> list[str]:
        """Say which options are given that it does not take."""
        if self.kind == "recipe":
            return []  # they are overrides
        try:
            options = self.entry.options
        except GankitError:
            return []  # which a check of its own says
        known = [o for o in options if o.name in self.options]
        given = {k: v for k, v in self.options.items() if k in {o.name for o in known}}
        problems = [
            f"no option {k!r}{nearest(k, (o.name for o in options))}"
            for k in self.options
            if k not in given
        ]
        plain = [o for o in known if kind_within(o) is None]
        values = {o.name: given[o.name] for o in plain}
        structure_options(values, plain, "", problems)
        return problems

    @cached_property
    def setting(self) -> Setting:
        """The plainest game that it can play, or else the plainest it is built for."""
        spare: Setting | None = None
        builds = False
        for tried in self.tries():
            try:
                assemble(tried.recipe)
                return tried
            except Exception as error:  # of a stranger's code, or what does not fit
                found = evolve(tried, misfit=_why(error))
            if not builds:
                builds = _builds(found)
                spare = found if builds or spare is None else spare
        assert spare is not None, "there is a plainest game"
        return spare

    def tries(self) -> Iterator[Setting]:
        """Give the games that it may play, the plainest first; none is built yet."""
        some = False
        for table in games_of(self.entry, self._block, self._own, self._annotations()):
            try:
                recipe = structure_recipe("kit", table, self.registry)
            except RecipeError:
                if not some:
                    raise
                continue  # another part of its plugin is at fault
            some = True
            yield Setting(recipe, PLACES[self.kind])

    def parts(self, seed: int = 0) -> Parts:
        """Build it and those that it plays with, anew."""
        return self.setting.parts(seed)

    @cached_property
    def folder(self) -> Path:
        """A folder for its runs, which goes with it."""
        made = tempfile.mkdtemp(prefix="gankit-", dir=self.within)
        weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
        return Path(made)

    @property
    def recipe(self) -> Recipe:
        """The recipe of its game.

        Raises:
            Waits: it can play none.
        """
        if self.setting.misfit:
            raise Waits(f"it can play no game: {self.setting.misfit}")
        return self.setting.recipe

    @property
    def _block(self) -> dict[str, Any]:
        return {"use": self.entry.name, **self.options}

    @property
    def _own(self) -> dict[str, list[dict[str, Any]]]:
        """The other parts of its plugin that can be built, by their kind."""
        own: dict[str, list[dict[str, Any]]] = {}
        for entry in self.registry.entries():
            if entry.plugin is not self.entry.plugin or entry is self.entry:
                continue
            other = Subject(entry, self.registry, of_part(entry, self.others))
            if not other.lacking:
                own.setdefault(entry.part.kind, []).append(other._block)
        return own

    def _annotations(self) -> tuple[str, ...]:
        """Name the annotations that it has, as a data set, or asks for."""
        factory = self.entry.factory
        if self.kind == "dataset":
            try:
                return tuple(self.use.build().facts.annotations)
            except Exception:  # of a stranger's code, which a check is to tell of
                return ()
        reads = self.options.get("reads", getattr(factory, "reads", None))
        if reads is None:
            found = (o.default for o in self.entry.options if o.name == "reads")
            reads = next(found, None)
        needs = getattr(factory, "needs", ())
        named = (reads, *needs) if isinstance(needs, tuple | list) else (reads,)
        return tuple(name for name in named if isinstance(name, str))

    @property
    def use(self) -> Use:
        """The part with its options, without a look at what it may play with."""
        table = next(games_of(self.entry, self._block, {}, ()))
        return structure_recipe("kit", table, self.registry).uses[PLACES[self.kind]]


def _builds(setting: Setting) -> bool:
    try:
        setting.parts()
    except Exception:  # of a stranger's code, which a check is to tell of
        return False
    return True


def _why(error: Exception) -> str:
    """Say in one line why a game cannot be played."""
    problems = getattr(error, "problems", ())
    if problems:
        return "; ".join(problems)
    return str(error) if isinstance(error, GankitError) else told(error)
