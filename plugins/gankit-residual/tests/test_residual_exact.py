"""Runs with these networks go on to the bit, and are the same in two processes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gankit
from tiny import write
from zygote import Zygote

COMMON: dict[str, Any] = {
    "dataset": {"use": "shapes", "items": 24, "size": 16},
    "noise": {"size": 4},
    "optimizer": {"lr": 1e-3, "betas": [0.0, 0.9]},
    "train": {
        "steps": 4,
        "batch_size": 8,
        "device": "cpu",
        "reduce": "exact",
        "ema": 20,
        "workers": 0,
        "log_every": 1,
        "sample_every": 0,
        "samples": 4,
        "checkpoint_every": 2,
    },
}
PROJECTION: dict[str, Any] = {
    **COMMON,
    "conditioner": {"use": "label"},
    "generator": {"use": "residual", "widths": [4, 4, 4]},
    "discriminator": {"use": "residual", "widths": [4, 6, 6]},
    "loss": {"use": "hinge"},
}
PROJECTION["train"] = {**COMMON["train"], "discriminator_updates": 2}
COSINE = {"use": "cosine", "to": 0.05, "end": 4}
R3GAN: dict[str, Any] = {
    **COMMON,
    "generator": {"use": "r3gan", "widths": [4, 4, 4], "blocks": 1, "group": 4},
    "discriminator": {"use": "r3gan", "widths": [4, 4, 4], "blocks": 1, "group": 4},
    "loss": {"use": "relativistic"},
    "penalties": [{"use": "r1", "weight": 0.5}, {"use": "r2", "weight": 0.5}],
    "schedule": {"penalties": {"0": {"weight": COSINE}, "1": {"weight": COSINE}}},
}
CASES = {"projection": PROJECTION, "r3gan": R3GAN}


def _end(out: Path) -> list[bytes]:
    names = ("weights.safetensors", "state.pt")
    return [(out / "checkpoints/00000004" / name).read_bytes() for name in names]


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Give what forks a process in which everything is imported already."""
    with Zygote(tmp_path_factory.mktemp("zygote")) as made:
        yield made


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_was_stopped_and_one_of_two_processes_end_alike(
    case: str, tmp_path: Path, zygote: Zygote
) -> None:
    """Weights, averages, vectors of spectral norms and optimisers, to the bit."""
    recipe = CASES[case]
    gankit.train(recipe, out=tmp_path / "one")
    with gankit.starting(recipe, out=tmp_path / "half") as half:
        for report in half.steps():
            if report.step == 2:
                break
    gankit.resume(tmp_path / "half")
    assert _end(tmp_path / "half") == _end(tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    words = ["train", write(tmp_path, recipe), "--out", str(tmp_path / "two")]
    both = [
        zygote.start(*words, cwd=tmp_path, env={**meeting, "RANK": rank})
        for rank in ("0", "1")
    ]
    ended = [child.wait() for child in both]
    assert [end.code for end in ended] == [0, 0], ended[0].said + ended[1].said
    assert _end(tmp_path / "two")[0] == _end(tmp_path / "one")[0]
