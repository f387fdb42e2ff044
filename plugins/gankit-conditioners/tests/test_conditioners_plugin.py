"""What the plugin registers."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points

import pytest

import gankit_conditioners
from gankit.plugins.options import options_of

PARTS = {part.name: part for part in gankit_conditioners.gankit_parts()}


def test_the_plugin_brings_two_conditioners() -> None:
    """The public names of the parts are these."""
    assert {(part.kind, part.name) for part in PARTS.values()} == {
        ("conditioner", "label"),
        ("conditioner", "char-cnn-rnn"),
    }
    (entry,) = entry_points(group="gankit", name="gankit-conditioners")
    assert entry.value == "gankit_conditioners"


def test_listing_parts_does_not_import_torch() -> None:
    """The plugin's module is import-light."""
    code = (
        "import sys, gankit_conditioners as plugin; list(plugin.gankit_parts()); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", PARTS)
def test_every_option_is_described(name: str) -> None:
    """Each option of a part has its line of help."""
    module, attribute = str(PARTS[name].factory).split(":")
    options = options_of(getattr(import_module(module), attribute), given=1)
    assert not [option.name for option in options if not option.help]


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
