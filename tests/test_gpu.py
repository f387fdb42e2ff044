"""What only a GPU can show. Run `pytest -m gpu` on a machine that has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import gankit
from gankit.cli import run
from gankit.compute.arithmetic import exact_arithmetic
from tiny import CAPTIONED, LABELLED, metrics, tree, without, write

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
EXACT = ("train.device=cuda", "train.reduce=exact")
PICTURES: dict[str, Any] = {
    **CAPTIONED,
    "penalties": [{"use": "r1", "weight": 0.1}, {"use": "r2", "weight": 0.1}],
    "train": without(CAPTIONED["train"], "order"),
}


def _train(folder: Path, recipe: str, *overrides: str) -> Path:
    assert run(["train", recipe, *overrides, "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("data", ["resident", "streamed"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_resumed_run_is_the_run_that_never_stopped(
    data: str, precision: str, tmp_path: Path
) -> None:
    """Bit for bit, with penalties, in every precision."""
    recipe = write(tmp_path, PICTURES)
    how = (*EXACT, f"train.data={data}", f"train.precision={precision}")
    whole = _train(tmp_path / "whole", recipe, *how)
    parted = _train(tmp_path / "parted", recipe, *how, "train.steps=3")
    assert run(["resume", str(parted), "train.steps=6"]) == 0
    assert metrics(parted) == metrics(whole)
    for part in ("checkpoints/00000006", "samples"):
        assert tree(parted / part) == tree(whole / part)


def test_the_same_seed_gives_the_same_bits_twice(tmp_path: Path) -> None:
    """With deterministic algorithms."""
    recipe = write(tmp_path, PICTURES)
    runs = [_train(tmp_path / name, recipe, *EXACT) for name in ("a", "b")]
    here, there = (tree(folder / "checkpoints") for folder in runs)
    assert here == there


def test_a_run_moves_between_devices(tmp_path: Path) -> None:
    """With optimisers, scaler and average; its pictures can be drawn on either."""
    recipe = write(tmp_path, LABELLED)
    how = ("train.device=cuda", "train.precision=fp16", "train.steps=3")
    folder = _train(tmp_path / "run", recipe, *how)
    for step, device, precision in ((4, "cpu", "fp32"), (5, "cuda", "fp16")):
        words = [
            f"train.{k}={v}"
            for k, v in (("steps", step), ("device", device), ("precision", precision))
        ]
        assert run(["resume", str(folder), *words]) == 0
    drawn = [gankit.load(folder, device=d).sample(4).samples for d in ("cpu", "cuda")]
    assert torch.allclose(*drawn, atol=1e-4)


def test_exact_arithmetic_is_left_behind(tmp_path: Path) -> None:
    """Only a run asks for it, not the whole session."""
    with exact_arithmetic(torch.device("cuda")):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_processes_on_two_gpus_have_the_bits_of_one(tmp_path: Path) -> None:
    """By nccl."""
    recipe = write(tmp_path, PICTURES)
    alone = _train(tmp_path / "alone", recipe, *EXACT)
    shared = tmp_path / "shared"
    words = ["train", recipe, *EXACT, "--processes", "2", "--out", str(shared)]
    assert run(words) == 0
    assert tree(shared / "checkpoints") == tree(alone / "checkpoints")
