"""Checks of what a part is registered as: its module, its factory, its options."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import tomllib
from functools import cache
from typing import Any

import tomli_w

from gankit.errors import PluginError, UsageError, listed
from gankit.plugins.options import Option, own_doc
from gankit.recipe.recipe import read_recipe
from gankit.recipe.schema import options_schema
from gankit.recipe.using import kind_within
from gankit.recipe.values import option_table, structure_options
from gankit.recipe.words import describe
from gankit.testing.games import tried
from gankit.testing.subject import NOTHING, Subject
from gankit.testing.verdicts import Failed

_LIGHT, _HEAVY = 0, 3  # exit codes of a process that lists a plugin's parts
_LISTS = f"""
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])
module = importlib.import_module(sys.argv[2])
list(getattr(module, "gankit_parts", list)())
sys.exit({_HEAVY} if "torch" in sys.modules else {_LIGHT})
"""


def light_import(subject: Subject) -> None:
    """Importing the plugin's module, and listing its parts, imports no torch."""
    module = subject.entry.plugin.module.__name__
    code, said = _listing(module, json.dumps(sys.path))
    if code == _HEAVY:
        raise Failed(
            f"the module {module!r} imports torch, so that every command of gankit "
            "takes seconds longer; import it in the modules of its parts alone, and "
            'name these as strings, "module:Class"'
        )
    if code != _LIGHT:
        raise Failed(f"the module {module!r} cannot be imported: {said}")


@cache
def _listing(module: str, path: str) -> tuple[int, str]:
    """List a plugin's parts in a process of its own, once for all of them."""
    done = subprocess.run(
        [sys.executable, "-c", _LISTS, path, module],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stderr.strip().splitlines()
    return done.returncode, lines[-1] if lines else f"exit code {done.returncode}"


def factory_found(subject: Subject) -> None:
    """The factory can be imported, and is callable."""
    try:
        _ = subject.entry.factory
    except PluginError as error:
        raise Failed(f"{error}; mend the target that Part names") from None


def recipe_read(subject: Subject) -> None:
    """The recipe can be read, and all that it names is there.

    The options that are given for it are overrides, as ``dataset.root``.
    """
    try:
        read_recipe(subject.entry.name, subject.options, plugins=subject.files)
    except UsageError as error:
        raise Failed(str(error)) from None


def options_named(subject: Subject) -> None:
    """Every option has a name, so that one that is misspelled is refused."""
    hidden = [
        f"{'**' if p.kind is p.VAR_KEYWORD else '*'}{p.name}"
        for p in _parameters(subject)
        if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    if hidden:
        raise Failed(
            f"its factory takes {', '.join(hidden)}, so that any option would do; name "
            "each one, as width: int = 64"
        )


def options_typed(subject: Subject) -> None:
    """Every option has a type."""
    try:
        _ = subject.entry.options
    except PluginError as error:
        raise Failed(str(error)) from None


def options_documented(subject: Subject) -> None:
    """The part has a docstring, and every option a line in it.

    An installed one has a summary too, by which people choose it from a list.
    """
    entry = subject.entry
    if subject.installed and not entry.part.summary:
        raise Failed("it has no summary for lists; write Part(…, summary=…)")
    if not own_doc(entry.factory):
        raise Failed("its factory has no docstring; say what it is, and of which paper")
    bare = [option.name for option in entry.options if not option.help]
    if bare:
        raise Failed(
            f"nothing says what {listed(bare)} means; write a line for it under Args: "
            f"in the docstring, as `{bare[0]}: units of a layer.`"
        )


def options_round_trip(subject: Subject) -> None:
    """Options are converted, written as TOML and JSON, and read again as they were."""
    options, problems = _plain(subject), list[str]()
    given = {
        o.name: subject.options[o.name] for o in options if o.name in subject.options
    }
    values = structure_options(given, options, "", problems)
    if problems:
        raise Failed("; ".join(problems))
    table = option_table(values, options)
    for form in (
        tomllib.loads(tomli_w.dumps(table)),
        json.loads(json.dumps(table, allow_nan=False)),
    ):
        again = structure_options(form, options, "", problems)
        if problems or again != values:
            raise Failed(
                f"options {values!r}, written and read again, are {again!r}; give them "
                "types that a recipe holds: numbers, words, paths, lists, tables"
            )


def options_schema_given(subject: Subject) -> None:
    """A JSON schema says what a recipe may set, and can set what it must."""
    schema = options_schema(subject.entry.options)
    json.dumps(schema)
    for name in schema["required"]:
        if NOTHING.items() <= schema["properties"][name].items():
            kind = next(o.type for o in subject.entry.options if o.name == name)
            raise Failed(
                f"no recipe can give the option {name!r}, which takes "
                f"{describe(kind)}; give it a default, or a type that a recipe holds: "
                "numbers, words, paths, lists, tables"
            )


def builds(subject: Subject) -> None:
    """The factory builds the part, with what its kind is given."""
    try:
        subject.parts()
    except ValueError as error:
        raise Failed(f"it cannot be built: {error}{_tried(subject)}") from None


def _tried(subject: Subject) -> str:
    """Say on what a part was tried whose factory looks at what it is to fit."""
    return f"; {tried(subject.kind)}" if subject.entry.kind.given else ""


def _plain(subject: Subject) -> list[Option]:
    """Return the options that are values, and are given where they have to be."""
    return [
        option
        for option in subject.entry.options
        if kind_within(option) is None
        and not (option.required and option.name not in subject.options)
    ]


def _parameters(subject: Subject) -> list[Any]:
    """Return what a recipe may set, as the factory's signature has it."""
    try:
        every = inspect.signature(subject.entry.factory).parameters.values()
    except (ValueError, TypeError) as error:
        raise Failed(f"its factory has no signature to read: {error}") from None
    return list(every)[subject.entry.kind.given :]
