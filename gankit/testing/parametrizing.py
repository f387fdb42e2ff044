"""The kit's face for pytest: one test for each check and part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from gankit.errors import UsageError
from gankit.testing.targets import Target

T = TypeVar("T", bound=Callable[..., Any])


def parametrize_parts(
    *,
    dist: str = "",
    file: str | Path = "",
    options: Mapping[str, Mapping[str, Any]] | None = None,
    expected_failures: Mapping[str, Mapping[str, str]] | None = None,
    timeout: float = 120.0,
) -> Callable[[T], T]:
    """Let a test be made of each check of each part of a plugin.

    The test takes ``check``, and calls it::

        @parametrize_parts(dist="gankit-focal")
        def test_conformance(check):
            check()

    Args:
        dist: an installed plugin, by its distribution's name.
        file: or a local plugin file.
        options: by the name of a part, options that it needs, or that make it small.
            Of two parts of one name each is named with its kind, ``generator.mlp``.
            What only a fixture knows may be given to ``check`` instead, which has the
            name of its ``part``: ``check(root=tmp_path)``.
        expected_failures: by the name of a part, as of options, checks that it is to
            fail, each with the reason. A check that passes all the same is an error.
        timeout: seconds that a check may take.

    Raises:
        UsageError: there is no such plugin, it has no parts, or no part or check is
            of a name that is given; pytest is not installed.
    """
    if bool(dist) == bool(file):
        raise UsageError("name either dist, an installed plugin, or file, a local one")
    try:
        import pytest
    except ImportError as error:
        raise UsageError(
            "parametrize_parts makes tests for pytest, which is not installed; "
            "`pip install pytest`, or use `gankit check`"
        ) from error
    from gankit.testing.cases import cases
    from gankit.testing.verdicts import Failed

    target = Target(dist=dist, file=str(file))
    params = []
    for case in cases(target, options, expected_failures, timeout):
        strictly = pytest.mark.xfail(reason=case.reason, strict=True, raises=Failed)
        marks = [strictly] if case.reason else []
        params.append(pytest.param(case, id=str(case), marks=marks))
    return pytest.mark.parametrize("check", params)
