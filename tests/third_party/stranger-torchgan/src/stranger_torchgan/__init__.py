"""Networks of torchgan, for gankit."""

from __future__ import annotations

from collections.abc import Iterator

from gankit import Part, hookimpl


@hookimpl
def gankit_parts() -> Iterator[Part]:
    """Yield both players."""
    for kind, player in (
        ("generator", "Generator"),
        ("discriminator", "Discriminator"),
    ):
        yield Part(
            kind,
            "torchgan-dcgan",
            f"stranger_torchgan.networks:{player}",
            summary=f"The DCGAN {kind} of torchgan, without a condition",
        )
