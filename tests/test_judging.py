"""Asking a run's discriminator about samples."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn

import gankit
from gankit.errors import UsageError
from tiny import CAPTIONED, LABELLED, without


def test_a_loaded_judge_says_what_the_one_of_the_run_says(tmp_path: Path) -> None:
    """By class name or index; the run's networks are left as they were."""
    run = gankit.train(LABELLED, out=tmp_path / "run")
    network = run.game.discriminator.network
    points, classes = torch.randn(70, 2), [place % 4 for place in range(70)]
    before = deepcopy(network.state_dict())
    said = gankit.Judge(network, run.sampler).judge(points, classes)
    assert said.shape == (70,)
    assert all(map(torch.equal, before.values(), network.state_dict().values()))
    assert network.training
    loaded = gankit.load_judge(tmp_path / "run", device="cpu")
    names = [f"mode {number}" for number in classes]
    assert torch.equal(loaded.judge(points, names), said)
    others = loaded.judge(points, [0] * 70)
    assert torch.equal(others[::4][:16], said[::4][:16])
    assert not torch.equal(others, said)


def test_a_judge_of_another_checkpoint_is_another(tmp_path: Path) -> None:
    """And one that is not there is refused."""
    gankit.train(LABELLED, {"train.keep_every": 2}, out=tmp_path / "run")
    points, classes = torch.randn(8, 2), [0] * 8
    early, late = (
        gankit.load_judge(tmp_path / "run", checkpoint=step).judge(points, classes)
        for step in (2, 6)
    )
    assert not torch.equal(early, late)
    with pytest.raises(UsageError, match="no checkpoint of step 3"):
        gankit.load_judge(tmp_path / "run", checkpoint=3)


class Mean(nn.Module):
    """Says of each quarter of a picture how bright it is, in the game's own range."""

    def forward(self, samples: torch.Tensor, condition: object) -> torch.Tensor:
        """Give (B, 2, 2) of (B, 3, 16, 16)."""
        assert condition is not None
        return nn.functional.avg_pool2d(samples, 8).mean(1)


def test_pictures_are_judged_in_the_range_in_which_they_are_played(
    tmp_path: Path,
) -> None:
    """The logits of a picture's patches are taken together by their mean."""
    run = gankit.train(CAPTIONED, out=tmp_path / "run")
    low, high = run.game.generator.network.output_range
    judge = gankit.Judge(Mean(), run.sampler)
    pictures = torch.rand(5, 3, 16, 16)
    said = judge.judge(pictures, ["a red circle"] * 5)
    expected = low + (high - low) * pictures.mean((1, 2, 3))
    assert (low, high) == (-1, 1)
    torch.testing.assert_close(said, expected)


class Normed(nn.Module):
    """A batch norm, whose output depends on a batch where it plays."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.dropout = nn.Dropout(0.5)

    def forward(self, samples: torch.Tensor, condition: object) -> torch.Tensor:
        """Give (B,) of (B, 2)."""
        out: torch.Tensor = self.dropout(self.norm(samples)).sum(1)
        return out


def test_what_is_said_of_a_sample_does_not_depend_on_those_beside_it(
    tmp_path: Path,
) -> None:
    """A batch norm judges by its running statistics, dropout goes on."""
    table = without(LABELLED, "conditioner")
    run = gankit.train(table, out=tmp_path / "run")
    network = Normed()
    network.norm.running_mean = torch.tensor([1.0, 2.0])
    judge = gankit.Judge(network, run.sampler)
    said = judge.judge(torch.tensor([[4.0, 4.0], [1.0, 4.0], [100.0, 2.0]]))
    # inverted dropout doubles what it keeps of (3, 2), (0, 2) and (99, 0)
    exact = (said * (1 + network.norm.eps) ** 0.5).round(decimals=3)
    assert exact[0] in torch.tensor([0.0, 4, 6, 10])
    assert exact[1] in torch.tensor([0.0, 4])
    assert exact[2] in torch.tensor([0.0, 198])
    assert torch.equal(network.norm.running_mean, torch.tensor([1.0, 2.0]))
    assert network.norm.training
    many = judge.judge(torch.tensor([[1.0, 4.0]] * 64))
    assert 0 < (many == 0).float().mean() < 1


def test_conditions_are_those_that_the_run_takes(tmp_path: Path) -> None:
    """Nobody asks an unconditional run by class."""
    run = gankit.train(LABELLED, out=tmp_path / "run")
    judge = gankit.Judge(run.game.discriminator.network, run.sampler)
    with pytest.raises(UsageError, match="label: "):
        judge.judge(torch.zeros(1, 2), [17])
