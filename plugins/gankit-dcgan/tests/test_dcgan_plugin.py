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


SMALL = {
    "dcgan": {"width": 4},
    "style-encoder": {"steps": 4, "batch_size": 4, "width": 4},
}


@parametrize_parts(dist="gankit-dcgan", options=SMALL)
def test_conformance(check):
    """Each part keeps what its contract promises."""
    check()
