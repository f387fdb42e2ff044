"""The plugin of the kit's own parts: whoever plays with a part under test."""

from __future__ import annotations

from collections.abc import Iterator

from gankit.contracts.kinds import Part
from gankit.hookspecs import hookimpl

_PARTNERS = {
    "dataset": "gankit.testing.partners:Items",
    "conditioner": "gankit.testing.partners:Codes",
    "generator": "gankit.testing.partners:Affine",
    "discriminator": "gankit.testing.partners:Bent",
    "loss": "gankit.testing.partners:Logistic",
}


@hookimpl
def gankit_parts() -> Iterator[Part]:
    """Yield one small part of each kind that a game needs."""
    for kind, factory in _PARTNERS.items():
        yield Part(kind, f"kit-{kind}", factory, summary="Plays in the kit's games")
