"""The plugin: light to import, like any."""

from __future__ import annotations

from collections.abc import Iterator

from gankit import Part, hookimpl


@hookimpl
def gankit_parts() -> Iterator[Part]:
    """Yield the one part there is."""
    made = "stranger_exponential:Exponential"
    yield Part("loss", "exponential", made, summary="Exponential loss of boosting")
