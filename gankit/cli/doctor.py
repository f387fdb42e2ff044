"""``gankit doctor``."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from gankit.cli import Context, plugin_options
from gankit.compute.threads import busy_cores, cores, suited
from gankit.errors import PluginError
from gankit.plugins.versions import core_version

_PACKAGES = (
    "torch",
    "torchvision",
    "pluggy",
    "attrs",
    "cattrs",
    "safetensors",
    "tensorboard",
)


@click.command()
@click.argument("source", required=False, metavar="[RUN|RECIPE]")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
@plugin_options
@click.pass_obj
def doctor(
    context: Context, source: str | None, overrides: tuple[str, ...], as_json: bool
) -> int:
    """Check this installation: versions, devices, plugins, and that every part imports.

    With a run or a recipe, say instead how it would compute here, and why. Exits with 1
    when something is wrong.
    """
    if source is not None:
        return _explain(context, source, overrides, as_json=as_json)
    from gankit.compute.device import available_devices, resolve_device
    from gankit.compute.instructions import lacks_bf16
    from gankit.compute.memory import free_memory

    lacks = lacks_bf16()
    registry = context.discover()
    problems = [str(failure) for failure in registry.failures]
    for entry in registry.entries():
        if entry.part.kind == "recipe":
            continue
        try:
            _ = entry.options
        except PluginError as error:
            problems.append(str(error))
    facts = {
        "gankit": core_version(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "devices": {
            name: f"{free_memory(resolve_device(name)) / 2**30:.1f} GiB free"
            for name in available_devices()
        },
        "cores": _cores(),
        **({"bf16": f"{lacks}; train.precision=fp32 is faster"} if lacks else {}),
        "plugins": {plugin.name: plugin.source for plugin in registry.plugins},
        "parts": len(registry.entries()),
        "problems": problems,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=1))
        return 1 if problems else 0
    for name, value in facts.items():
        if name == "problems":
            continue
        if isinstance(value, dict):
            value = (
                ", ".join(f"{key} ({text})" for key, text in value.items()) or "none"
            )
        click.echo(f"{name:12} {value}")
    for problem in problems:
        click.echo(f"problem: {problem}")
    click.echo("nothing is wrong" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


def _explain(
    context: Context, source: str, overrides: tuple[str, ...], *, as_json: bool
) -> int:
    """Say what a run or a recipe would choose for speed, a line each."""
    from gankit.compute.device import resolve_device
    from gankit.data.placing import placed
    from gankit.recipe.building import assemble
    from gankit.recipe.recipe import read_recipe
    from gankit.runs.choices import choices, choose_compiled, choose_memory_format
    from gankit.runs.folder import recipe_file
    from gankit.runs.restoring import reopen

    folder = Path(source)
    is_run = folder.is_dir()
    recipe = read_recipe(
        recipe_file(folder) if is_run else source,
        overrides,
        plugins=context.files,
        disable=context.disable,
    )
    assembly = assemble(recipe)
    device = resolve_device(assembly.train.device)
    saved = reopen(folder / "checkpoints")[0] if is_run else None
    lines = choices(
        assembly,
        device,
        choose_memory_format(assembly, device, saved),
        choose_compiled(assembly, saved),
        placed(assembly.dataset, device, assembly.train.data),
        assembly.train.shards
        if assembly.train.reduce == "exact"
        else assembly.train.accumulate,
    )
    if device.type == "cpu":
        lines = (*lines, f"threads: {_cores()}")
    if as_json:
        click.echo(json.dumps(dict(line.split(": ", 1) for line in lines), indent=1))
    else:
        click.echo("\n".join(lines))
    return 0


def _cores() -> str:
    """Say how many cores there are to compute on, and what waiting threads do."""
    import torch

    busy = busy_cores()
    threads = suited(torch.get_num_threads(), busy)
    told = [
        f"{len(cores())}",
        f"{busy} busy with other work",
        f"a run begun now computes with {threads}",
    ]
    settings = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    told += [f"{name}={os.environ[name]}" for name in settings if name in os.environ]
    return ", ".join(told)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
