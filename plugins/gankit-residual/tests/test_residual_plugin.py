"""What the package brings: names, and networks that are imported when asked for."""

from __future__ import annotations

from gankit.testing import parametrize_parts
from gankit.testing.cases import Case

# enough for each branch of the networks; the papers' widths cost a minute
SMALL = {
    "generator.residual": {"widths": [8, 4, 4]},
    "discriminator.residual": {"widths": [4, 8, 8]},
    "generator.r3gan": {"widths": [8, 8, 4], "blocks": 1, "group": 4},
    "discriminator.r3gan": {"widths": [4, 8, 8], "blocks": 1, "group": 4},
}


@parametrize_parts(dist="gankit-residual", options=SMALL)
def test_conformance(check: Case) -> None:
    """Each part keeps what its contract promises."""
    check()
