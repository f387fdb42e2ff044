"""Filling the templates of this package."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined

import gankit
from gankit_report.words import counted, number, said


def write(template: str, **given: object) -> str:
    """Fill a template of this package."""
    environment = Environment(
        loader=PackageLoader("gankit_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"counted": counted, "number": number, "said": said}
    return environment.get_template(template).render(
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        by=f"gankit-report {version('gankit-report')}, gankit {gankit.__version__}",
        **given,
    )
