"""Truths about the package gankit-losses as a plugin."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import gankit_losses
from gankit.plugins.options import options_of

PARTS = {(part.kind, part.name): part for part in gankit_losses.gankit_parts()}


def test_the_parts_are_these():
    """The names that recipes use do not change unnoticed."""
    assert set(PARTS) == {
        ("loss", "minimax"),
        ("loss", "non-saturating"),
        ("loss", "least-squares"),
        ("loss", "hinge"),
        ("loss", "wasserstein"),
        ("loss", "relativistic"),
        ("loss", "matching-aware"),
        ("penalty", "r1"),
        ("penalty", "r2"),
        ("penalty", "gradient-penalty"),
        ("augmentation", "diffaugment"),
        ("augmentation", "instance-noise"),
    }


@pytest.mark.parametrize("part", PARTS.values(), ids=lambda part: part.factory)
def test_every_option_has_a_default_and_a_help(part):
    """A recipe may name a part alone, and `gankit show` explains every option."""
    module, _, name = part.factory.partition(":")
    for option in options_of(getattr(import_module(module), name)):
        assert not option.required
        assert option.help


DECLARED = {
    ("loss", "wasserstein"): "needs_lipschitz",
    ("penalty", "r1"): "lipschitz",
    ("penalty", "r2"): "lipschitz",
    ("penalty", "gradient-penalty"): "lipschitz",
}


@pytest.mark.parametrize("key", PARTS, ids="/".join)
def test_a_bounded_slope_is_declared_by_those_who_need_or_keep_it(key):
    """On the class, so that a recipe cannot turn it off; the others say nothing."""
    module, _, name = PARTS[key].factory.partition(":")
    factory = getattr(import_module(module), name)
    declared = {
        word for word in ("needs_lipschitz", "lipschitz") if word in dir(factory)
    }
    assert declared == ({DECLARED[key]} if key in DECLARED else set())
    assert all(getattr(factory, word) is True for word in declared)
    assert not declared & {option.name for option in options_of(factory)}


def test_listing_the_parts_does_not_import_torch():
    """`gankit list` answers in a blink."""
    code = "import sys, gankit_losses; list(gankit_losses.gankit_parts()); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
