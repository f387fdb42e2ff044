"""How threads that compute on a CPU wait for each other. Every command imports this."""

from __future__ import annotations

import os

# Looks at a lock before a thread sleeps, as GNU OpenMP counts them, which torch's
# builds for Linux use; its own default is 300,000. With this a step takes on idle cores
# what it took (drawn scenes) or 7 % more (perceptrons on digits), and beside a busy
# program half of it.
_SPINS = "10000"


def wait_briefly() -> None:
    """Let threads that wait sleep soon; only before torch is imported, and unasked."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
