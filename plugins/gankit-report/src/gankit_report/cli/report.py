"""``gankit report``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gankit import Context, plugin_options


@click.command()
@click.argument("run")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-o", "output", help="File to write.  [default: NAME-OF-RUN.html]")
@click.option("--force", is_flag=True, help="Write over a file that exists.")
@click.option(
    "--checkpoint", default="latest", help="latest, best, or the step of one."
)
@click.option("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of the noise.")
@click.option(
    "--items",
    type=click.IntRange(0),
    default=20_000,
    show_default=True,
    help="Training items to look through for neighbours; 0: the data is not read.",
)
@click.option("--json", "as_json", is_flag=True, help="Say what was written as JSON.")
@plugin_options
@click.pass_obj
def report(
    context: Context,
    run: str,
    overrides: tuple[str, ...],
    output: str | None,
    force: bool,
    checkpoint: str,
    device: str,
    seed: int,
    items: int,
    as_json: bool,
) -> None:
    """Show the run in folder RUN in one HTML file that needs nothing else.

    KEY=VALUE changes the recipe for reading the data, where that lies elsewhere here.

    \b
    gankit report runs/cgan-1
    gankit report runs/cgan-1 dataset.root=/data -o cgan.html
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    from gankit_report.files import check_free, write_bytes
    from gankit_report.page import Wishes, render
    from gankit_report.record import read_record
    from gankit_report.words import size

    record = read_record(run)
    path = Path(output or f"{record.name}.html")
    check_free(path, force=force)
    wishes = Wishes(
        checkpoint=checkpoint,
        device=device,
        seed=seed,
        items=items,
        overrides=overrides,
        plugins=tuple(context.files),
        disable=tuple(context.disable),
    )
    page = render(record, wishes, lambda text: click.echo(text, err=True))
    content = page.encode()
    write_bytes(path, content)
    count = len(content)
    if as_json:
        click.echo(json.dumps({"file": str(path), "bytes": count}))
    else:
        click.echo(f"{path}: {size(count)}")
