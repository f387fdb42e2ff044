"""How threads that compute on a CPU wait for each other. Every command imports this."""

from __future__ import annotations

import os

# Looks at a lock before a thread sleeps, as GNU OpenMP counts them, which torch's
# builds for Linux use; its own default is 300,000. Steps of perceptrons on digits took,
# on idle cores, 1 % more than with that, and 5 % and 15 % more with 20,000 and 10,000;
# beside a busy program about half as long, and 0.4 and 0.3 of it with these two.
_SPINS = "50000"


def wait_briefly() -> None:
    """Let threads that wait sleep soon; only before torch is imported, and unasked."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
