"""Truths about the package gankit-fusion as a plugin."""

from __future__ import annotations

import gankit_fusion
from gankit.testing import parametrize_parts


def test_the_parts_are_these():
    """The names that recipes use do not change unnoticed."""
    assert {(part.kind, part.name) for part in gankit_fusion.gankit_parts()} == {
        ("generator", "fusion"),
        ("discriminator", "fusion"),
    }


@parametrize_parts(dist="gankit-fusion", options={"fusion": {"width": 2}})
def test_conformance(check):
    """Each part keeps what its contract promises."""
    check()
