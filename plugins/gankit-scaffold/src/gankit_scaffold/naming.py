"""What a package is called, and its module, its part and the part's class."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from importlib.metadata import PackageNotFoundError, version

from attrs import frozen
from packaging.utils import canonicalize_name

from gankit.errors import UsageError

_VALID = re.compile(r"[A-Za-z]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_PREFIX = "gankit-"


@frozen
class Names:
    """What a package and its contents are called.

    Attributes:
        distribution: as it is installed, ``gankit-focal``.
        module: as it is imported, ``gankit_focal``.
        part: as recipes name its part, ``focal``.
        file: the module of the part, ``focal``, and of its test.
        class_name: of the part, ``Focal``.
    """

    distribution: str
    module: str
    part: str
    file: str
    class_name: str


def named(text: str) -> Names:
    """Read the name of a package that is to be.

    Raises:
        UsageError: it is no name of a package, or something else has it.
    """
    if not _VALID.fullmatch(text):
        raise UsageError(
            f"{text!r} is no name for a package: it begins with a letter, ends with a "
            "letter or a digit, and has letters, digits, '-', '_' and '.' between; "
            "write something like gankit-focal"
        )
    distribution = canonicalize_name(text)
    module = distribution.replace("-", "_")
    part = distribution.removeprefix(_PREFIX)
    file = part.replace("-", "_")
    for word in {module, file}:
        if keyword.iskeyword(word) or not word.isidentifier():
            raise UsageError(
                f"{text!r} gives a module {word!r}, which Python cannot import; choose "
                f"another name, as {_PREFIX}my-{part}"
            )
    _check_free(text, distribution, module)
    words = [word.capitalize() for word in part.split("-")]
    return Names(distribution, module, part, file, "".join(words))


def _check_free(text: str, distribution: str, module: str) -> None:
    advice = f"choose another name, as {_PREFIX}my-{distribution.removeprefix(_PREFIX)}"
    try:
        there = version(distribution)
    except PackageNotFoundError:
        pass
    else:
        raise UsageError(
            f"{text!r}: {distribution} {there} is installed already; {advice}"
        )
    if module in sys.stdlib_module_names or importlib.util.find_spec(module):
        raise UsageError(
            f"{text!r} would shadow the module {module!r}, which is there already; "
            f"{advice}"
        )
