"""Checks without pytest, in a process of their own: one that hangs or dies is named.

This process imports no torch, and ends the other where a check takes too long.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from attrs import frozen

from gankit.errors import PluginError, UsageError
from gankit.plugins.choosing import DISABLE, disabled
from gankit.testing.helpers import DiedError, Helper, SlowError, ToldError
from gankit.testing.limits import hanging
from gankit.testing.targets import Target
from gankit.testing.verdicts import Outcome

_STARTING = 300.0  # seconds in which the process has found the parts
_GRACE = 10.0  # and in which it says itself that a check takes too long


@frozen
class Request:
    """What is to be checked, and how."""

    target: Target
    options: Mapping[str, Mapping[str, Any]]
    timeout: float


@frozen
class Result:
    """What a check of a part has found."""

    kind: str
    part: str
    check: str
    outcome: Outcome
    message: str
    seconds: float


@frozen
class Listed:
    """A case that is to be made."""

    kind: str
    part: str
    check: str


def results(request: Request) -> Iterator[Result]:
    """Make all checks, and give what each has found.

    Raises:
        UsageError: there is nothing to check, an option is lacking, or the parts
            cannot be imported.
    """
    helper = Helper({DISABLE: ",".join(sorted(disabled(request.target.disable)))})
    # ours, as a process that is ended leaves its folders behind
    folder = tempfile.mkdtemp(prefix="gankit-")
    try:
        listed = _begun(helper, request, {}, folder)
        known: dict[int, tuple[Outcome, str]] = {}
        for number, case in enumerate(listed):
            begun = time.monotonic()
            try:
                found = helper.call(_made, number, limit=request.timeout + _GRACE)
            except SlowError:
                found = ("failed", hanging(request.timeout))
            except (DiedError, ToldError) as error:
                found = ("failed", f"the process that makes the check ended: {error}")
            known[number] = outcome, message = found
            if outcome == "failed" and not helper.alive:
                _begun(helper, request, known, folder)
            seconds = time.monotonic() - begun
            yield Result(case.kind, case.part, case.check, outcome, message, seconds)
    finally:
        helper.close()
        shutil.rmtree(folder, ignore_errors=True)


def _begun(
    helper: Helper,
    request: Request,
    known: Mapping[int, tuple[Outcome, str]],
    folder: str,
) -> list[Listed]:
    """Let a helper find the cases.

    Raises:
        UsageError: there are none, or an option is lacking.
        PluginError: importing the parts ends the process, or takes for ever.
    """
    try:
        listed: list[Listed] = helper.call(
            _begin, request, known, folder, limit=_STARTING
        )
    except SlowError:
        fault = f"takes more than {_STARTING:g} seconds"
    except DiedError as error:
        fault = f"ends the process: {error}"
    except ToldError as error:
        fault = f"raises {error}"
    else:
        return listed
    raise PluginError(
        f"{str(request.target)!r} cannot be checked: finding its parts {fault}; let "
        "its module define parts, and do nothing else when it is imported"
    )


_CASES: list[Any] = []  # of the process that makes the checks


def _begin(
    request: Request, known: Mapping[int, tuple[Outcome, str]], folder: str
) -> list[Listed]:
    """Find the cases, in the process that makes them; some have been made before."""
    import warnings

    import torch

    from gankit.testing import together
    from gankit.testing.cases import cases

    warnings.simplefilter("ignore")  # of libraries, which nobody here can mend
    torch.set_num_threads(1)
    # optimisers import it at first use; within a time limit it might be left half there
    import_module("torch._dynamo")
    _CASES[:] = cases(
        request.target, request.options, timeout=request.timeout, folder=folder
    )
    lacking = list(dict.fromkeys(text for case in _CASES if (text := case.lacking)))
    if lacking:
        raise UsageError("\n".join(lacking))
    if not known:  # else one has died, and may again before they are asked
        together.begin()
    for number, (outcome, message) in known.items():
        _CASES[number].remember(outcome, message)
    return [Listed(case.kind, case.part, case.check) for case in _CASES]


def _made(number: int) -> tuple[Outcome, str]:
    verdict = _CASES[number].judged()
    return verdict.outcome, verdict.message
