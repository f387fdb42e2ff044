"""``gankit pack`` and ``gankit unpack``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gankit.cli import Context, plugin_options

_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Say what was written as JSON."
)


@click.command()
@click.argument("run")
@click.option("-o", "output", help="File to write.  [default: NAME-OF-RUN.safetensors]")
@click.option(
    "--checkpoint", default="latest", help="latest, best, or the step of one."
)
@_JSON
@plugin_options
@click.pass_obj
def pack(
    context: Context, run: str, output: str | None, checkpoint: str, as_json: bool
) -> None:
    """Write the run in folder RUN into one file, to be sampled and started from.

    \b
    gankit pack runs/cgan-1 -o digits.safetensors
    gankit sample digits.safetensors --label 7
    gankit train cgan --from digits.safetensors
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    from gankit import packing

    path = packing.pack(
        run,
        output or f"{Path(run).absolute().name}.safetensors",
        checkpoint=checkpoint,
        plugins=context.files,
        disable=context.disable,
    )
    size = path.stat().st_size
    if as_json:
        click.echo(json.dumps({"file": str(path), "bytes": size}))
    else:
        click.echo(
            f"{path}: {size / 2**20:.1f} MiB; `gankit sample {path}` draws from it"
        )


@click.command()
@click.argument("file")
@click.option(
    "-o", "output", metavar="DIR", help="Folder.  [default: the name of the file]"
)
@_JSON
@plugin_options
def unpack(file: str, output: str | None, as_json: bool) -> None:
    """Write the model card, the picture and the recipe of a packed run.

    \b
    gankit unpack digits.safetensors -o page
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    from gankit import packing

    written = packing.unpack(file, output or Path(file).stem)
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in written]}))
    else:
        click.echo("\n".join(map(str, written)))
