"""Truths about the package gankit-mlp as a plugin."""

from __future__ import annotations

import gankit_mlp
from gankit.testing import parametrize_parts


def test_the_parts_are_these():
    """The names that recipes use do not change unnoticed."""
    assert {(part.kind, part.name) for part in gankit_mlp.gankit_parts()} == {
        ("generator", "mlp"),
        ("discriminator", "mlp"),
        ("discriminator", "maxout"),
    }


@parametrize_parts(dist="gankit-mlp")
def test_conformance(check):
    """Each part keeps what its contract promises."""
    check()
