"""What a plugin brings: kinds of parts, parts, commands; and where a part is from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import field, frozen
from attrs.validators import instance_of, is_callable, or_


@frozen
class Kind:
    """A family of parts; a plugin adds one by yielding it from ``gankit_parts``.

    ``given`` counts the positional arguments that the assembly passes to a factory.
    ``block`` names a list of such parts in a recipe, as ``"metrics"`` for
    ``[[metrics]]``: what is in it is built with nothing given, before the run.
    """

    name: str = field(validator=instance_of(str))
    summary: str = field(validator=instance_of(str))
    given: int = field(default=0, validator=instance_of(int))
    block: str = field(default="", kw_only=True, validator=instance_of(str))


@frozen
class Part:
    """A named thing of one kind that a plugin registers.

    ``factory`` is ``"module:attribute"``, imported only when the part is used, or, in a
    local plugin file, the callable itself.
    """

    kind: str = field(validator=instance_of(str))
    name: str = field(validator=instance_of(str))
    factory: str | Callable[..., Any] = field(
        validator=or_(instance_of(str), is_callable())
    )
    summary: str = field(default="", kw_only=True, validator=instance_of(str))


@frozen
class Origin:
    """Where a part is from; two parts are one if plugin and part are the same."""

    plugin: str
    part: str
    version: str  # the plugin's, or the path of a local plugin file

    @property
    def name(self) -> str:
        """The part's long name, ``plugin/part``."""
        return f"{self.plugin}/{self.part}"

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@frozen
class OfKind:
    """Marks the type of an option that is itself a part, of this kind.

    ``Annotated[Callable[[], Loss], OfKind("loss")]``: a recipe names a loss there, with
    its options, and the factory is given what builds it.
    """

    kind: str

    def __str__(self) -> str:
        return f"a {self.kind}: a table that names one by use"


@frozen
class Command:
    """A click command that a plugin adds to ``gankit``, imported only when called.

    ``target`` is ``"module:attribute"``; ``summary`` stands in ``gankit --help``, so
    that showing the help imports no command.
    """

    name: str = field(validator=instance_of(str))
    target: str = field(validator=instance_of(str))
    summary: str = field(validator=instance_of(str))


KINDS = (
    Kind("generator", "noise (and a condition) to samples", given=1),
    Kind("discriminator", "samples (and a condition) to logits", given=1),
    Kind("loss", "what each of the two players minimises"),
    Kind("penalty", "a term added to the loss of a player", block="penalties"),
    Kind("conditioner", "an annotation, as labels or captions, to vectors", given=1),
    Kind("dataset", "where real samples come from"),
    Kind(
        "augmentation",
        "what real and generated samples pass before judgement",
        block="augmentations",
    ),
    Kind("noise", "the generator's random input"),
    Kind("inversion", "pictures to the noise that they could have been drawn from"),
    Kind("hook", "watches a run", block="hooks"),
    Kind("recipe", "a whole run; its factory is 'package:file.toml'"),
)

OWN_BLOCKS = (
    "optimizer",
    "schedule",
    "train",
    "description",
    "plugins",
    "provenance",
)
"""What else a recipe may hold, so that no kind's block has such a name."""
