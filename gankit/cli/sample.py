"""``gankit sample``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from gankit.cli import Context, plugin_options
from gankit.data.facts import check_name
from gankit.errors import UsageError

if TYPE_CHECKING:
    from gankit.runs.pictures import Samples
    from gankit.runs.sampling import Sampler


@click.command()
@click.argument("run")
@click.option("-n", "count", type=click.IntRange(1), default=64, help="How many.")
@click.option("-o", "output", default="samples.png", help="Picture to write.")
@click.option(
    "--label",
    multiple=True,
    help="Class, by name or index; repeatable: they take turns.",
)
@click.option("--text", multiple=True, help="Caption; repeatable: they take turns.")
@click.option(
    "--set",
    "others",
    multiple=True,
    metavar="NAME=TEXT",
    help="Any other annotation that the run is conditioned on; repeatable.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of the noise.")
@click.option(
    "--truncation", type=float, default=0.0, help="Draw noise within ± this alone."
)
@click.option(
    "--interpolate", is_flag=True, help="In each row walk between two noises."
)
@click.option(
    "--interpolate-conditions",
    is_flag=True,
    help="In each row hold the noise, and walk between two conditions.",
)
@click.option(
    "--style",
    multiple=True,
    metavar="PICTURE",
    help="Hold the noise that this picture is found to have; repeatable: a row each, "
    "with all conditions.",
)
@click.option(
    "--style-by",
    default="",
    metavar="NAME",
    help="The inversion that finds noise for pictures, where there are several.",
)
@click.option(
    "--checkpoint", default="latest", help="latest, best, or the step of one."
)
@click.option("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--json", "as_json", is_flag=True, help="Say what was written as JSON.")
@plugin_options
@click.pass_obj
def sample(
    context: Context,
    run: str,
    count: int,
    output: str,
    label: tuple[str, ...],
    text: tuple[str, ...],
    others: tuple[str, ...],
    seed: int,
    truncation: float,
    interpolate: bool,
    interpolate_conditions: bool,
    style: tuple[str, ...],
    style_by: str,
    checkpoint: str,
    device: str,
    as_json: bool,
) -> None:
    """Draw pictures from the run in folder RUN, and write them as one grid.

    \b
    gankit sample runs/cgan-1 -n 16 --label 7 -o sevens.png
    gankit sample runs/quickstart-1 --text "a red circle above a blue square"
    gankit sample runs/faces-1 --set pose="yaw=0.5, pitch=0"
    gankit sample runs/cgan-1 --interpolate-conditions --label 3 --label 8
    gankit sample runs/birds-1 --style my-bird.jpg --text "a red bird" --text "an owl"
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    from gankit import loading

    if interpolate and interpolate_conditions:
        raise UsageError(
            "--interpolate and --interpolate-conditions are two walks; choose one"
        )
    if style or style_by:
        _refuse_beside_style(style)
    sampler = loading.load(
        run,
        checkpoint=checkpoint,
        device=device,
        plugins=context.files,
        disable=context.disable,
    )
    for note in sampler.notes:
        click.echo(f"note: {note}", err=True)
    asked = _asked(label, text, others)
    if style:
        drawn = _styled(sampler, context, run, style, style_by, seed, asked)
    elif interpolate or interpolate_conditions:
        walk = sampler.interpolate if interpolate else sampler.interpolate_conditions
        side = max(2, round(count**0.5))
        drawn = walk(rows=side, steps=side, seed=seed, **asked)
    else:
        drawn = sampler.sample(count, seed=seed, truncation=truncation, **asked)
    drawn.save(Path(output))
    if as_json:
        said = {"file": output, "samples": len(drawn.samples), "seed": seed}
        click.echo(json.dumps(said | {"captions": list(drawn.captions)}))
    else:
        click.echo(f"{len(drawn.samples)} samples in {output}")


def _refuse_beside_style(style: tuple[str, ...]) -> None:
    """Refuse options that mean nothing beside ``--style``, or without it."""
    if not style:
        raise UsageError("--style-by says who finds noise for a --style, which is not")
    others = ("count", "truncation", "interpolate", "interpolate_conditions")
    typed = click.get_current_context().get_parameter_source
    for name in others:
        if typed(name) is ParameterSource.COMMANDLINE:
            flag = "-n" if name == "count" else f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{flag} means nothing beside --style, whose pictures settle the "
                "noise, one sample for each picture and condition; leave it out"
            )


def _styled(
    sampler: Sampler,
    context: Context,
    run: str,
    style: tuple[str, ...],
    style_by: str,
    seed: int,
    asked: dict[str, Any],
) -> Samples:
    """Find the noise of pictures, and draw each with each condition."""
    from gankit.cli.progress import watcher
    from gankit.runs import styling

    # what is wrong with the conditions is said before minutes are spent
    sampler.sample(max(map(len, asked.values()), default=1), **asked)
    with watcher() as shown:
        noise = styling.invert(
            sampler,
            style,
            folder=run,
            by=style_by,
            plugins=context.files,
            disable=context.disable,
            note=lambda text: click.echo(f"note: {text}", err=True),
            progress=shown.progress,
        )
    return sampler.restyle(noise, seed=seed, **asked)


def _asked(
    label: tuple[str, ...], text: tuple[str, ...], others: tuple[str, ...]
) -> dict[str, Any]:
    """Gather the texts of conditions by the names of their annotations."""
    asked = {"label": list(label), "captions": list(text)}
    for other in others:
        name, equals, told = other.partition("=")
        if not equals:
            raise UsageError(f"--set {other}: write it as NAME=TEXT")
        check_name(name)
        asked.setdefault(name, []).append(told)
    return {name: texts for name, texts in asked.items() if texts}
