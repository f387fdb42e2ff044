"""``gankit export``."""

from __future__ import annotations

import json

import click
from attrs import asdict

from gankit import Context, plugin_options


@click.command()
@click.argument("run")
@click.option(
    "-o",
    "output",
    required=True,
    metavar="FILE",
    help="File to write: .onnx, .pt2 or .safetensors.",
)
@click.option(
    "--checkpoint", default="latest", help="latest, best, or the step of one."
)
@click.option("--json", "as_json", is_flag=True, help="Say what was written as JSON.")
@plugin_options
@click.pass_obj
def export(
    context: Context, run: str, output: str, checkpoint: str, as_json: bool
) -> None:
    """Write the generator of RUN, a folder or a packed file, for other programs.

    \b
    gankit export runs/cgan-1 -o digits.onnx
    gankit export runs/cgan-1 -o digits.pt2
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    from gankit import load
    from gankit_export import exporting

    exporting.check(output)
    sampler = load(
        run,
        checkpoint=checkpoint,
        device="cpu",
        plugins=context.files,
        disable=context.disable,
    )
    for note in sampler.notes:
        click.echo(f"note: {note}", err=True)
    written = exporting.export(sampler, output)
    if as_json:
        click.echo(json.dumps(asdict(written) | {"file": str(written.file)}))
        return
    click.echo(f"{written.file}: {written.bytes / 2**20:.1f} MiB")
    for name, told in written.told["inputs"].items():
        how = ", ".join(f"{k} {v}" for k, v in told.items() if k != "shape")
        click.echo(f"input {name}: {_sides(told['shape'])}, {how}")
    samples = written.told["output"]
    low, high = samples["range"] or ("-inf", "inf")
    click.echo(f"output samples: {_sides(samples['shape'])}, in [{low}, {high}]")
    click.echo(f"largest difference in {written.checked_in}: {written.difference:.2g}")


def _sides(shape: list[str | int]) -> str:
    return f"({', '.join(map(str, shape))})"
