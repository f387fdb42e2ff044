"""A recipe so small that the tests of whole runs can train it again and again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import tomli_w

# labels, dropout, a lazy penalty and an average: much that a resumed run could lose
LABELLED: dict[str, Any] = {
    "dataset": {"use": "gaussians", "samples": 40, "modes": 4},
    "conditioner": {"use": "label"},
    "noise": {"size": 2},
    "generator": {"use": "mlp", "hidden": [8], "output": "linear", "dropout": 0.5},
    "discriminator": {"use": "maxout", "sample_hidden": 4, "hidden": [4]},
    "loss": {"use": "hinge"},
    "penalties": [{"use": "r1", "weight": 0.1, "every": 2}],
    "train": {
        "steps": 6,
        "batch_size": 8,
        "device": "cpu",
        "ema": 20,
        "log_every": 1,
        "sample_every": 3,
        "samples": 4,
        "checkpoint_every": 2,
    },
}
# captions, pictures, streaming, augmentation, schedules and both players at once
CAPTIONED: dict[str, Any] = {
    "dataset": {"use": "shapes", "items": 24, "size": 16, "captions": 2},
    "conditioner": {
        "use": "char-cnn-rnn",
        "size": 4,
        "channels": [4, 4, 4],
        "length": 48,
        "captions": 1,
        "fit_steps": 2,
        "fit_batch": 4,
    },
    "noise": {"size": 4},
    "generator": {"use": "dcgan", "width": 2},
    "discriminator": {"use": "dcgan", "width": 2},
    "loss": {"use": "matching-aware"},
    "augmentations": [{"use": "diffaugment"}],
    "optimizer": {"schedule": {"lr": {"use": "cosine", "end": 9}}},
    "train": {
        **LABELLED["train"],
        "order": "simultaneous",
        "data": "streamed",
        "workers": 0,
    },
}


def without(table: dict[str, Any], *blocks: str) -> dict[str, Any]:
    """Leave blocks out of a recipe."""
    return {key: value for key, value in table.items() if key not in blocks}


def write(folder: Path, table: dict[str, Any], name: str = "tiny") -> str:
    """Write a recipe to a file, and return its path."""
    path = folder / f"{name}.toml"
    path.write_text(tomli_w.dumps(table), "utf-8")
    return str(path)


def metrics(folder: Path) -> list[dict[str, Any]]:
    """Read what a run measured, but for how long it took."""
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    measured = [json.loads(line) for line in lines]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in measured]


def tree(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def sha256(folder: Path) -> dict[str, str]:
    """Digest all that a run leaves: its checkpoints, sample grids and metrics."""
    kept = {
        name: content
        for part in ("checkpoints", "samples")
        for name, content in tree(folder / part).items()
    }
    kept["metrics.jsonl"] = json.dumps(metrics(folder)).encode()
    return {name: hashlib.sha256(kept[name]).hexdigest() for name in sorted(kept)}


def partial(folder: Path) -> list[str]:
    """Name what was begun below a folder and never finished."""
    return [path.name for path in folder.rglob("*.partial")]
