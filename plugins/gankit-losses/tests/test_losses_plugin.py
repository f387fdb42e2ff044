"""Truths about the package gankit-losses as a plugin."""

from __future__ import annotations

from importlib import import_module

import pytest

import gankit_losses
from gankit.plugins.options import options_of
from gankit.testing import parametrize_parts

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
        ("loss", "matching-aware-hinge"),
        ("penalty", "r1"),
        ("penalty", "r2"),
        ("penalty", "gradient-penalty"),
        ("penalty", "matching-aware"),
        ("augmentation", "ada"),
        ("augmentation", "diffaugment"),
        ("augmentation", "instance-noise"),
    }


# so that its strength moves in the few steps that the kit plays
QUICK = {"ada": {"target": 0.0, "images": 40, "every": 1}}


@parametrize_parts(dist="gankit-losses", options=QUICK)
def test_conformance(check):
    """Each part keeps what its contract promises."""
    check()


DECLARED = {
    ("loss", "wasserstein"): "needs_lipschitz",
    ("penalty", "r1"): "lipschitz",
    ("penalty", "r2"): "lipschitz",
    ("penalty", "gradient-penalty"): "lipschitz",
    ("penalty", "matching-aware"): "lipschitz",
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
