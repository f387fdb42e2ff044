"""A game whose solution is known: a ring of Gaussians, each label a mode of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import gankit

EMBEDDING = """
import torch
from torch import nn
from gankit import Part, hookimpl

class LabelEmbedding(nn.Module):
    reads, size = "label", 2

    def __init__(self, facts):
        super().__init__()
        self.names = facts.annotations["label"].names
        self.vectors = nn.Embedding(len(facts.annotations["label"].names), self.size)

    def tokens(self, raw):
        return torch.tensor(raw)

    def forward(self, tokens):
        return self.vectors(tokens)

    def parse(self, text):
        return self.names.index(text)

@hookimpl
def gankit_parts():
    yield Part("conditioner", "embedding", LabelEmbedding)
"""


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
def test_labels_that_learn_their_vectors_find_their_modes(
    order: str, tmp_path: Path, plugin_file: Callable[[str, str], Path]
) -> None:
    """All points lie nearest to the mode of their label, in either order.

    Where the discriminator's loss reaches the vectors through the generator, in
    simultaneous order, a fifth of them do not.
    """
    run = gankit.train(
        {
            "dataset": {"use": "gaussians", "samples": 4000},
            "conditioner": {"use": "embedding"},
            "noise": {"size": 2},
            "generator": {"use": "mlp", "hidden": [64, 64], "output": "linear"},
            "discriminator": {"use": "mlp", "hidden": [64, 64]},
            "loss": {"use": "non-saturating"},
            "optimizer": {"lr": 1e-3},
            "train": {
                "steps": 1500,
                "batch_size": 64,
                "order": order,
                "device": "cpu",
                "sample_every": 0,
            },
        },
        plugins=[plugin_file("embedding.py", EMBEDDING)],
        out=tmp_path / "run",
    )
    data, names = run.data, run.data.facts.annotations["label"].names
    assert names is not None
    modes = torch.stack(
        [
            data.samples((data.annotations["label"] == label).nonzero()[:, 0]).mean(0)
            for label in range(len(names))
        ]
    )
    right = [
        torch.cdist(run.sampler.sample(100, label=name).samples, modes).argmin(1) == i
        for i, name in enumerate(names)
    ]
    assert len(right) == 8
    assert float(torch.cat(right).float().mean()) > 0.98
