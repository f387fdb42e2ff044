"""The model card of a packed run, as hubs show it: Markdown with a head of YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import tomli_w

from gankit.runs.scored import Score

_NAMED = 20  # classes that are named


def card(
    name: str,
    table: Mapping[str, Any],
    told: Mapping[str, Any],
    measured: Mapping[str, tuple[int, float]],
    file: str,
    scores: Sequence[Score] = (),
) -> str:
    """Write the card of a run.

    Args:
        name: of the recipe.
        table: the resolved recipe.
        told: what the pack says of itself.
        measured: what hooks have measured last: (step, value).
        file: name of the pack.
        scores: of this checkpoint, as it was evaluated.
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
        *_scores(scores),
        "## How it was trained",
        "",
        "```toml",
        tomli_w.dumps(table).strip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def _scores(scores: Sequence[Score]) -> list[str]:
    """Make a table of scores, each with the digest of what it was measured by."""
    if not scores:
        return []
    rows = [
        f"| {score.title.replace('|', '/')} | {_value(score)} | {_compared(score)} | "
        f"`{score.digest}` |"
        for score in scores
    ]
    return [
        "## How good it is",
        "",
        "| score | value | of | measured by |",
        "|---|---|---|---|",
        *rows,
        "",
        "The digest is of the metric with its options, the data, the number of samples "
        "and all versions: where it differs, values are not to be compared. After ± "
        "stands the standard deviation over seeds, for one seed the standard error.",
        "",
    ]


def _value(score: Score) -> str:
    value = f"{score.value:.4g}" if isfinite(score.value) else "not finite"
    spread = "" if score.spread is None else f" ± {score.spread:.2g}"
    better = f" ({score.better} is better)" if score.better else ""
    return f"{value}{spread}{better}"


def _compared(score: Score) -> str:
    count = "" if score.samples is None else f"{score.samples:,} samples"
    if score.seeds > 1:
        count = f"{score.seeds} times {count}" if count else f"{score.seeds} seeds"
    against = f"against {score.split!r}" if score.split else ""
    return ", ".join(filter(None, (count, against)))


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
