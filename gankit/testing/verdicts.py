"""What becomes of a check: it passes, it fails, or it waits for another one."""

from __future__ import annotations

from typing import Literal
from unittest import SkipTest

from attrs import frozen

Outcome = Literal["passed", "failed", "waits"]


class Failed(AssertionError):  # noqa: N818 # a verdict of a part, and no error of ours
    """A part does not do what a check asks; the message says what to write instead."""


class Waits(SkipTest):
    """A check that cannot be made before another one passes; pytest skips it."""


@frozen
class Verdict:
    """What a check has found; ``message`` says why, where it has not passed."""

    outcome: Outcome
    message: str = ""
