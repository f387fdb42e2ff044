"""Truths about the package gankit-metrics as a plugin."""

from __future__ import annotations

from gankit.testing import parametrize_parts
from gankit.testing.cases import Case

PROBE = {
    "metric": {"use": "kid", "features": {"use": "pixels"}},
    "every": 2,
    "samples": 8,
}


@parametrize_parts(dist="gankit-metrics", options={"probe": PROBE})
def test_conformance(check: Case) -> None:
    """Each part keeps what its contract promises."""
    check()
