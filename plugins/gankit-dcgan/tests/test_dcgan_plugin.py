"""Truths about the package gankit-dcgan as a plugin."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import gankit_dcgan
from gankit.plugins.options import options_of

PARTS = {(part.kind, part.name): part for part in gankit_dcgan.gankit_parts()}


def test_the_parts_are_these():
    """The names that recipes use do not change unnoticed."""
    assert set(PARTS) == {
        ("generator", "dcgan"),
        ("discriminator", "dcgan"),
    }


@pytest.mark.parametrize("part", PARTS.values(), ids=lambda part: part.factory)
def test_every_option_has_a_default_and_a_help(part):
    """A recipe may name a part alone, and `gankit show` explains every option."""
    module, _, name = part.factory.partition(":")
    for option in options_of(getattr(import_module(module), name), given=1):
        assert not option.required
        assert option.help


def test_listing_the_parts_does_not_import_torch():
    """`gankit list` answers in a blink."""
    code = "import sys, gankit_dcgan; list(gankit_dcgan.gankit_parts()); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
