"""Truths about the package gankit-dcgan as a plugin."""

from __future__ import annotations

import gankit_dcgan
from gankit.testing import parametrize_parts


def test_the_parts_are_these():
    """The names that recipes use do not change unnoticed."""
    assert {(part.kind, part.name) for part in gankit_dcgan.gankit_parts()} == {
        ("generator", "dcgan"),
        ("discriminator", "dcgan"),
        ("inversion", "style-encoder"),
    }


@parametrize_parts(dist="gankit-dcgan", options={"dcgan": {"width": 4}})
def test_conformance(check):
    """Each part keeps what its contract promises."""
    check()
