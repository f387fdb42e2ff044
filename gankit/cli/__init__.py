"""The command line: ``gankit …``. Each command is imported only when it is called."""

from __future__ import annotations

import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

import click

from gankit.compute.environment import leads, started_by_launcher
from gankit.compute.waiting import wait_briefly
from gankit.contracts.kinds import Command
from gankit.errors import GankitError, UsageError
from gankit.plugins.discovery import GROUP, discover
from gankit.plugins.importing import resolve
from gankit.plugins.registry import Registry

COMMANDS = (
    Command("train", "gankit.cli.train:train", "Train a recipe."),
    Command("resume", "gankit.cli.train:resume", "Go on with a run."),
    Command("sample", "gankit.cli.sample:sample", "Draw pictures from a run."),
    Command("pack", "gankit.cli.pack:pack", "Write a run into one file, to share it."),
    Command(
        "unpack", "gankit.cli.pack:unpack", "Show what a packed run says of itself."
    ),
    Command("list", "gankit.cli.parts:list_parts", "List the parts there are."),
    Command(
        "show", "gankit.cli.parts:show", "Show a part, its options and its source."
    ),
    Command("recipes", "gankit.cli.parts:recipes", "List the recipes there are."),
    Command("plugins", "gankit.cli.plugins:plugins", "List plugins, and which failed."),
    Command(
        "check", "gankit.cli.check:check", "Check that parts keep their contracts."
    ),
    Command("doctor", "gankit.cli.doctor:doctor", "Check this installation."),
)


class Context:
    """What the options that every command takes ask for; ``click.pass_obj`` gives it.

    Args:
        words: all that was typed after ``gankit``.

    Attributes:
        files: local plugin files.
        disable: names of plugins to leave out.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        self._words = tuple(words)
        self.files: list[str] = []
        self.disable: list[str] = []

    def discover(self) -> Registry:
        """Find the plugins."""
        return discover(self.files, self.disable)

    def launch(self, count: int) -> int | None:
        """Run the command that was typed in so many processes of this machine.

        They find each other by `gankit.joined`. A command whose option asks for
        ``count`` begins with ``if (code := context.launch(count)) is not None: return
        code``.

        Returns:
            their exit code; None where this process is to do the work, because it is
            the only one, or one of those that were started, also by torchrun.

        Raises:
            UsageError: ``count`` is not at least 1.
        """
        if count < 1:
            raise UsageError(f"{count} processes can do no work; ask for at least 1")
        if count == 1 or started_by_launcher():
            return None
        from gankit.compute.launch import launch

        return launch(self._words, count)


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(context: click.Context, _: click.Parameter, values: Any) -> None:
        getattr(context.ensure_object(Context), name).extend(values)

    return callback


def plugin_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--plugin`` and ``--disable-plugin``, which end up in the `Context`.

    A decorator of click commands, also of those that a plugin brings.
    """
    for flag, name, metavar, text in (
        ("--disable-plugin", "disable", "NAME", "Leave out a plugin; repeatable."),
        ("--plugin", "files", "FILE", "Load a local plugin file; repeatable."),
    ):
        command = click.option(
            flag,
            multiple=True,
            metavar=metavar,
            help=text,
            expose_value=False,
            is_eager=True,
            callback=_remember(name),
        )(command)
    return command


class LazyGroup(click.Group):
    """A group that imports a command, its own or a plugin's, when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command."""
        return [command.name for command in self._commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        for command in self._commands(ctx, only=cmd_name):
            if command.name == cmd_name:
                return resolve(command.target)  # type: ignore[no-any-return] # a contract
        return None

    def format_commands(self, ctx: click.Context, formatter: Any) -> None:
        """Write the list of commands without importing any."""
        rows = [(command.name, command.summary) for command in self._commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _commands(self, ctx: click.Context, only: str = "") -> Iterable[Command]:
        yield from COMMANDS
        if any(only == command.name for command in COMMANDS):
            return  # no plugin has to be asked
        own = {command.name for command in COMMANDS}
        registry = ctx.ensure_object(Context).discover()
        for command in registry.commands:
            if command.name not in own:
                own.add(command.name)
                yield command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gankit", prog_name="gankit")
@plugin_options
def cli() -> None:
    """Train generative adversarial networks assembled from parts.

    Try `gankit train`: it draws scenes with captions, and learns to draw them from
    their captions, in minutes on a CPU.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, and exit: 0 done, 2 the user's input, 1 anything else."""
    wait_briefly()
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line, and return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    how: dict[str, Any] = {"standalone_mode": False, "obj": Context(words)}
    try:
        with _ended_by_sigterm(), told_in_a_line():
            code = cli.main(words, prog_name="gankit", **how)
    except click.ClickException as error:
        if leads():
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        if leads():  # else another process says so
            click.echo("stopped at once; what was saved before is kept", err=True)
        return 1
    except GankitError as error:
        lines = [] if error.told_elsewhere else [f"error: {error}"]
        for line in [*lines, *getattr(error, "__notes__", ())]:
            click.echo(line, err=True)
        return 2 if isinstance(error, UsageError) else 1
    return code if isinstance(code, int) else 0


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does; a run in training saves first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def told_in_a_line() -> Iterator[None]:
    """Say what the user of a part has to change, a FutureWarning, without a path.

    Those of libraries are shown as Python does, with where they come from.
    """
    shown = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        *where: Any,
        **how: Any,
    ) -> None:
        if not issubclass(category, FutureWarning) or _of_a_library(filename):
            shown(message, category, filename, *where, **how)
        elif leads():  # else another process says so
            click.echo(f"warning: {' '.join(str(message).split())}", err=True)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown


def _of_a_library(file: str) -> bool:
    """Tell whether a file is of a package that is installed, and of no plugin's."""
    found = re.match(r".*[/\\](?:site|dist)-packages[/\\](\w+)", file)
    plugins = {re.split("[.:]", e.value)[0] for e in entry_points(group=GROUP)}
    return found is not None and found[1] not in {"gankit", *plugins}
