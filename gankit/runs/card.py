"""The model card of a packed run, as hubs show it: Markdown with a head of YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tomli_w

_NAMED = 20  # classes that are named


def card(
    name: str,
    table: Mapping[str, Any],
    told: Mapping[str, Any],
    measured: Mapping[str, tuple[int, float]],
    file: str,
) -> str:
    """Write the card of a run.

    Args:
        name: of the recipe.
        table: the resolved recipe.
        told: what the pack says of itself.
        measured: what hooks have measured last: (step, value).
        file: name of the pack.
    """
    facts, packages = told["facts"], _packages(told)
    files = [f" --plugin {name}.py" for name in told["files"]]
    sample = f"gankit{''.join(files)} sample {file} -o samples.png"
    lines = [
        "---",
        "library_name: gankit",
        "tags:",
        "- gan",
        "- gankit",
        "---",
        f"# {name}",
        "",
        table["description"] or "A generative adversarial network.",
        "",
        "![Samples](picture.png)",
        "",
        "## Use it",
        "",
        "```console",
        f"$ pip install {' '.join(packages)}",
        f"$ {sample}",
        "```",
        "",
        "```python",
        "import gankit",
        "",
        f"sampler = gankit.load({json.dumps(file)})",
        'sampler.sample(16).save("samples.png")',
        "```",
        "",
        "## What it is",
        "",
        f"- samples of shape {_shape(facts['sample_shape'])}",
        *_annotations(facts["annotations"]),
        f"- trained for {told['step']:,} steps with gankit "
        f"{told['versions']['gankit']} and torch {told['versions']['torch']}",
        *(
            f"- {k}: {value:.6g}, at step {step:,}"
            for k, (step, value) in measured.items()
        ),
        "",
        "## How it was trained",
        "",
        "```toml",
        tomli_w.dumps(table).strip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def _packages(told: Mapping[str, Any]) -> list[str]:
    """Name what is to be installed."""
    plugins = {origin["plugin"] for origin in told["parts"].values()}
    return sorted({"gankit", *plugins} - {*told["files"]})


def _shape(shape: Any) -> str:
    return " x ".join(map(str, shape))


def _annotations(annotations: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, (kind, said) in annotations.items():
        names = [str(n) for n in said.get("names", ())]
        of = f": {', '.join(names[:_NAMED])}" if names else ""
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        lines.append(f"- its data knew of each item a `{name}` ({kind}{of}{more})")
    return lines
