"""Directives that ask gankit itself, so that the reference cannot drift.

=========================================  ==========================================
``{gankit-parts} generator``               every first-party part of a kind
``{gankit-options} gankit:Train``          the options of any factory
``{gankit-hook} gankit_parts``             signature and docstring of a hook
``{gankit-cli} train``                     a command's help; without a name, gankit's
``{gankit-recipe} dcgan``                  a registered recipe as its file says it
``{gankit-docstring} gankit.errors``       a module's docstring, drawn as it is
``{gankit-optimizers}``                    the optimisers that a recipe may name
``{gankit-checks}``                        what the conformance kit checks, of whom
=========================================  ==========================================

What gankit cannot answer is a warning, which ``sphinx-build -W`` refuses.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from docutils.parsers.rst import Parser
from docutils.utils import new_document
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from gankit import hookspecs
from gankit.cli import COMMANDS, cli
from gankit.errors import GankitError
from gankit.plugins.discovery import discover
from gankit.plugins.importing import resolve
from gankit.plugins.options import Option, options_of, own_doc
from gankit.plugins.registry import Entry, Registry
from gankit.recipe.blocks import optimizer_names
from gankit.recipe.files import registered
from gankit.recipe.values import default_text
from gankit.recipe.words import describe
from gankit.testing.checks import CHECKS, Check
from gankit.testing.subject import IN_GAMES

_PLUGINS = Path(__file__).parents[2] / "plugins"
_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$", re.MULTILINE)
# what gankit makes itself and hands to hooks, losses and callers
_HANDED_OUT = {
    "gankit.Recipe",
    "gankit.Report",
    "gankit.Run",
    "gankit.RunWarning",
    "gankit.Sampler",
    "gankit.Step",
    "gankit.contracts.ReadData",
    "gankit.Samples",
}
_SPANS = re.compile(
    r"(?P<kept>:[\w:]+:`[^`]+`|``[^`]+``)|`(?P<code>[^`]+)`|(?P<star>\*+)(?=\w)"
)


def as_rst(text: str) -> str:
    """Make reStructuredText of a docstring as gankit writes them.

    Single backticks mark code, and the star of ``(B, *sample)`` is a star.
    """

    def mark(match: re.Match[str]) -> str:
        if match["code"]:
            return f"``{match['code']}``"
        return match["kept"] or "\\*" * len(match["star"])

    return _SPANS.sub(mark, text)


class _GankitDirective(SphinxDirective):
    """A directive whose one argument names what gankit is asked about."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Ask gankit; what it cannot answer becomes a warning."""
        try:
            return list(self.answer(self.arguments[0] if self.arguments else ""))
        except GankitError as error:
            return [self.state.document.reporter.warning(f"{self.name}: {error}")]

    def answer(self, asked: str) -> Iterable[nodes.Node]:
        """Make the nodes that stand for the directive."""
        raise NotImplementedError

    def rst(self, text: str) -> list[nodes.Node]:
        """Parse reStructuredText, whatever the page around it is written in."""
        source, _ = self.get_source_info()
        document = new_document(source, self.state.document.settings)
        document.reporter = self.state.document.reporter
        Parser().parse(as_rst(text), document)
        return list(document.children)

    def cell(self, text: str) -> nodes.entry:
        """Make a table cell of one line."""
        return nodes.entry("", *self.rst(text))

    def table(
        self, heads: Sequence[str], rows: Iterable[Sequence[nodes.entry]]
    ) -> nodes.table:
        """Make a table."""
        group = nodes.tgroup(cols=len(heads))
        group += [nodes.colspec(colwidth=1) for _ in heads]
        top = [nodes.entry("", nodes.paragraph("", head)) for head in heads]
        group += nodes.thead("", nodes.row("", *top))
        group += nodes.tbody("", *(nodes.row("", *row) for row in rows))
        return nodes.table("", group, classes=["gankit-options"])

    def options_table(self, options: Sequence[Option]) -> nodes.Node:
        """Make the table of a part's options."""
        if not options:
            return nodes.paragraph("", "It has no options.")
        rows = [
            (
                _code(option.name),
                _default(option),
                nodes.entry("", nodes.paragraph("", describe(option.type))),
                self.cell(option.help),
            )
            for option in options
        ]
        return self.table(("option", "default", "takes", "meaning"), rows)


class Parts(_GankitDirective):
    """Every first-party part of a kind, with its options."""

    def answer(self, asked: str) -> Iterable[nodes.Node]:
        """Make a section for each part."""
        for entry in _registry().entries(asked):
            if (_PLUGINS / entry.plugin.name).is_dir():
                yield self._section(entry)

    def _section(self, entry: Entry) -> nodes.section:
        name = f"{entry.part.kind}-{entry.part.name}"
        section = nodes.section(ids=[name], names=[name])
        self.state.document.note_explicit_target(section)
        section += nodes.title("", "", nodes.literal("", entry.part.name))
        origin = f"{entry.part.summary}. From `{entry.plugin.name}`.\n\n"
        section += self.rst(origin + _described(entry.factory))
        section += self.options_table(entry.options)
        return section


class Options(_GankitDirective):
    """The options of the factory ``module:name``."""

    def answer(self, asked: str) -> Iterable[nodes.Node]:
        """Make their table."""
        yield self.options_table(options_of(resolve(asked)))


class Hook(_GankitDirective):
    """One hook: its signature and its docstring."""

    def answer(self, asked: str) -> Iterable[nodes.Node]:
        """Make what autodoc would, and let it be linked to."""
        if not hasattr(hookspecs, asked):
            raise GankitError(f"there is no hook {asked!r}")
        return self.rst(f".. autofunction:: gankit.hookspecs.{asked}\n")


class CommandLine(_GankitDirective):
    """What ``gankit --help``, or ``gankit COMMAND --help``, says."""

    def answer(self, asked: str) -> Iterable[nodes.Node]:
        """Make a literal block."""
        context = click.Context(cli, info_name="gankit", **cli.context_settings)
        if asked:
            every = (*COMMANDS, *_registry().commands)
            found = [c.target for c in every if c.name == asked]
            if not found:
                raise GankitError(f"there is no command {asked!r}")
            context = click.Context(resolve(found[0]), context, asked)
        command = context.command
        texts = [command.get_help(context)]
        if asked and isinstance(command, click.Group):
            for name, inner in command.commands.items():
                texts.append(inner.get_help(click.Context(inner, context, name)))
        for text in texts:
            yield nodes.literal_block("", text, language="text")


class Recipe(_GankitDirective):
    """A registered recipe, as its file says it."""

    def answer(self, asked: str) -> Iterable[nodes.Node]:
        """Make a literal block; a rebuild follows when the file changes."""
        text, file = registered(_registry().find("recipe", asked))
        self.env.note_dependency(str(file))
        yield nodes.literal_block("", text.rstrip(), language="toml")


class ModuleDocstring(_GankitDirective):
    """What a module says of itself, as it stands there."""

    def answer(self, asked: str) -> Iterable[nodes.Node]:
        """Make a literal block of all but the first line."""
        text = inspect.getdoc(import_module(asked)) or ""
        yield nodes.literal_block("", text.partition("\n")[2].strip(), language="text")


class Optimizers(_GankitDirective):
    """The names of torch.optim that a recipe may use."""

    def answer(self, asked: str) -> Iterable[nodes.Node]:
        """Make one paragraph."""
        names = ", ".join(f"``{name}``" for name in optimizer_names())
        return self.rst(f"{names}.")


@cache
def _registry() -> Registry:
    registry = discover()
    if registry.failures:
        raise ExtensionError(f"the reference would lack parts: {registry.failures}")
    missing = {path.parent.name for path in _PLUGINS.glob("*/pyproject.toml")}
    missing -= {plugin.name for plugin in registry.plugins}
    if missing:
        raise ExtensionError(f"install {sorted(missing)}, whose parts are documented")
    return registry


def _described(factory: Any) -> str:
    """Return a docstring up to its first section; options have a table instead."""
    return _SECTION.split(own_doc(factory))[0]


def _default(option: Option) -> nodes.entry:
    if option.required:
        return nodes.entry("", nodes.paragraph("", "required"))
    if option.default is None:
        return nodes.entry("", nodes.paragraph("", "none"))
    return _code(default_text(option))


def _code(text: str) -> nodes.entry:
    return nodes.entry("", nodes.paragraph("", "", nodes.literal("", text)))


def _read_docstring(_app: Sphinx, *about: Any) -> None:
    """Let autodoc read docstrings as the catalogue does."""
    lines: list[str] = about[-1]
    lines[:] = as_rst("\n".join(lines)).split("\n")


def _mend_signature(
    _app: Sphinx,
    _what: str,
    name: str,
    obj: Any,
    _options: Any,
    signature: str | None,
    returned: str | None,
) -> tuple[str, str | None] | None:
    """Hide constructors that nobody calls, and defaults that cannot be written."""
    if getattr(obj, "_is_protocol", False) or name in _HANDED_OUT:
        return "", None
    if signature is None:
        return None
    return re.sub(r"<function <lambda>>|NOTHING", "...", signature), returned


class Checks(_GankitDirective):
    """The checks of the conformance kit."""

    def answer(self, asked: str) -> Iterable[nodes.Node]:
        """Make their table, in the order in which they are made."""
        heads = ("check", "of", "what is true of a part that passes")
        rows = [
            (_code(check.name), self.cell(_whom(check)), self.cell(check.says))
            for check in CHECKS
        ]
        yield self.table(heads, rows)


def _whom(check: Check) -> str:
    if check.installed:
        return "installed plugins"
    if check.kinds and set(check.kinds) >= set(IN_GAMES):
        return "all that plays"
    return ", ".join(check.kinds) if check.kinds else "all but recipes"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    for name, directive in {
        "gankit-parts": Parts,
        "gankit-options": Options,
        "gankit-hook": Hook,
        "gankit-cli": CommandLine,
        "gankit-recipe": Recipe,
        "gankit-docstring": ModuleDocstring,
        "gankit-optimizers": Optimizers,
        "gankit-checks": Checks,
    }.items():
        app.add_directive(name, directive)
    # before napoleon, which writes stars of its own
    app.connect("autodoc-process-docstring", _read_docstring, priority=400)
    app.connect("autodoc-process-signature", _mend_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
