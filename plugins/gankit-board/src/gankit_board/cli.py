"""``gankit board``."""

from __future__ import annotations

import webbrowser
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path

import click

from gankit import Context, plugin_options
from gankit.errors import UsageError


@click.command()
@click.argument("folder", metavar="[RUNS_FOLDER]", default="runs")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; one that others can reach asks for a token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8642,
    show_default=True,
    help="The next free one is taken where it is in use; 0: any.",
)
@click.option(
    "--control",
    "controls",
    is_flag=True,
    help="Let the page stop runs, go on with them, and start recipes.",
)
@click.option(
    "--token",
    "asks",
    is_flag=True,
    help="Ask for a token on this machine too, where others may have accounts.",
)
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
@plugin_options
@click.pass_obj
def board(
    context: Context,
    folder: str,
    host: str,
    port: int,
    controls: bool,
    asks: bool,
    opens: bool,
) -> None:
    """Show the runs in RUNS_FOLDER on a page, live, and draw from them.

    Nothing leaves this machine, and but for what style transfer learns, no run is
    changed without --control. Others who can reach it are asked for a token, and with
    --control or --token everybody is. Ctrl-C ends it; what was started from the page
    goes on.

    \b
    gankit board
    gankit board grids/losses --port 9000 --open
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    import secrets

    from gankit_board import serving
    from gankit_board.app import build
    from gankit_board.control import Control
    from gankit_board.drawer import Drawer

    root = Path(folder)
    check(root)
    opened = serving.bind(host, port)
    taken = opened.getsockname()[1]
    if port not in (0, taken):
        click.echo(f"port {port} is in use; {taken} is taken instead")
    open_to_all = serving.is_loopback(host) and not (controls or asks)
    token = "" if open_to_all else secrets.token_urlsafe(24)
    address = serving.link(host, taken, token)
    drawer = Drawer(context.files, context.disable)
    control = Control(root, folder, context.files, context.disable)
    app = build(
        root,
        folder,
        drawer,
        hosts=serving.names(host, taken),
        token=token,
        control=control if controls else None,
    )
    who = "any user of this machine can open it; --token asks for one; " * open_to_all
    with suppress(KeyboardInterrupt), ExitStack() as until_it_ends:
        click.echo(f"runs in {folder!r}: {address} ({who}Ctrl-C ends it)")
        if opens:
            way = serving.private(address) if token else nullcontext(address)
            webbrowser.open(until_it_ends.enter_context(way))
            if token:  # a browser of snap or flatpak cannot read the file
                click.echo("if the browser shows nothing, open that link in it")
        serving.serve(app, opened, drawer.close)


def check(root: Path) -> None:
    """Check that there is a folder in which runs can be.

    Raises:
        UsageError: there is none, or it is a run itself.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise UsageError(
            f"{str(root)!r} {what}; give the folder that holds the runs, as the "
            "`runs` that `gankit train` makes"
        )
    if (root / "recipe.toml").is_file():
        raise UsageError(
            f"{str(root)!r} is a run; give the folder that holds it: "
            f"`gankit board {root.resolve().parent}`"
        )
