"""Where the time of a step goes, as a picture.

    python benchmarks/step_profile.py measure after.json [--networks N] [KEY=VALUE …]
    python benchmarks/step_profile.py draw before.json after.json profile.svg

The first measures gankit's own steps with torch's profiler, and may be run in an older
checkout too; the second draws one bar for each file. What no operation of torch
accounts for is Python between them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

KINDS = {
    "convolutions": ("convolution", "conv", "mkldnn"),
    "matrices": ("addmm", "mm", "linear", "bmm"),
    "norms": ("norm",),
    "activations": ("relu", "tanh", "softplus", "sigmoid", "upsample"),
    "optimisers": ("adam", "addcdiv", "addcmul", "lerp", "sqrt", "_foreach"),
    "copies": ("copy", "clone", "contiguous", "cat", "empty", "fill", "zero"),
}
_COLOURS = ("#4878a8", "#7aa6c2", "#e0a458", "#c8553d", "#6b9080", "#a8a8a8", "#d8c99b")
_OTHERS, _BETWEEN = "other operations", "Python between"


def _kind(name: str) -> str:
    for kind, words in KINDS.items():
        if any(word in name.lower() for word in words):
            return kind
    return _OTHERS


def measure(networks: str, words: list[str], steps: int = 20) -> dict[str, float]:
    """Return the milliseconds of each kind in one step, the profiler's own included."""
    from torch.profiler import ProfilerActivity, profile

    from gankit.recipe.building import assemble
    from gankit.recipe.recipe import read_recipe
    from gankit.runs.preparation import prepare

    sizes = {"official": 64, "small": 32, "layers": 28}
    table: dict[str, Any] = {
        "dataset": {"use": "shapes", "size": max(sizes[networks], 32), "items": 2048},
        "generator": {"use": networks},
        "discriminator": {"use": networks},
        "loss": {"use": "non-saturating"},
        "optimizer": {"use": "Adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "train": {"steps": 10**6, "batch_size": 64},
    }
    plugin = Path(__file__).with_name("networks.py")
    recipe = read_recipe(table, words, plugins=[plugin])
    run = prepare(assemble(recipe), recipe.registry.hooks)
    for index in range(5):
        run.game.play(index)
    with profile(activities=[ProfilerActivity.CPU]) as told:
        start = time.perf_counter()
        for index in range(5, 5 + steps):
            run.game.play(index)
        whole = 1000 * (time.perf_counter() - start) / steps
    spent: Counter[str] = Counter()
    for event in told.key_averages():
        spent[_kind(event.key)] += event.self_cpu_time_total / 1000 / steps
    spent[_BETWEEN] = max(0.0, whole - sum(spent.values()))
    return {**spent, "step": whole}


def draw(paths: list[Path]) -> str:
    """Draw a bar for each file, all on one scale, as SVG."""
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in paths}
    kinds = [*KINDS, _OTHERS, _BETWEEN]
    colours = dict(zip(kinds, (*_COLOURS, "#444444"), strict=True))
    scale = 560 / max(told["step"] for told in found.values())
    rows, y = [], 16
    for name, told in found.items():
        x = 90.0
        rows.append(f'<text x="4" y="{y + 20}">{name}</text>')
        for kind in kinds:
            width = told.get(kind, 0.0) * scale
            rows.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="30" '
                f'fill="{colours[kind]}"><title>{kind}</title></rect>'
            )
            x += width
        rows.append(f'<text x="{x + 6:.1f}" y="{y + 20}">{told["step"]:.0f} ms</text>')
        y += 44
    for place, kind in enumerate(kinds):
        left, top = 90 + 150 * (place % 4), y + 22 * (place // 4)
        rows.append(
            f'<rect x="{left}" y="{top}" width="12" height="12" '
            f'fill="{colours[kind]}"/>'
            f'<text x="{left + 18}" y="{top + 11}">{kind}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {y + 56}" '
        'font-family="sans-serif" font-size="13" fill="#333">'
        '<rect width="100%" height="100%" fill="white"/>' + "".join(rows) + "</svg>\n"
    )


def main() -> None:
    """Measure, or draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("measure", "draw"))
    parser.add_argument("files", nargs="+")
    parser.add_argument("--networks", default="official")
    told = parser.parse_intermixed_args()
    files = [Path(name) for name in told.files if "=" not in name]
    if told.what == "draw":
        files[-1].write_text(draw(files[:-1]), "utf-8")
        return
    words = [word for word in told.files if "=" in word]
    found = measure(told.networks, words)
    files[0].write_text(json.dumps(found, indent=1), "utf-8")


if __name__ == "__main__":
    main()
