"""Networks that torch compiles, and that run as they are where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from gankit.errors import GankitError

T = TypeVar("T")

_SHOWN = 240  # characters of an error: a compiler's are pages


class Compiling:
    """How a game calls its networks: compiled, or as they are.

    The modules themselves stay as they are, with the keys of their states: whoever
    calls one elsewhere, as a sampler or the moving average, calls it uncompiled.

    Args:
        networks: by name.
        compiled: the names of those that are compiled, when they are first called.

    Attributes:
        compiled: the names of those that are compiled now.
        failure: why no network is compiled any more, or "".
    """

    def __init__(
        self, networks: Mapping[str, nn.Module], compiled: Iterable[str]
    ) -> None:
        self.compiled = tuple(compiled)
        self.failure = ""
        self._networks = dict(networks)
        # each shape for itself: code for all shapes would depend on which came first,
        # and a run that goes on would have other bits
        self._fast: dict[str, Callable[..., Any]] = {
            name: torch.compile(networks[name], dynamic=False) for name in self.compiled
        }

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self._fast.get(name, self._networks[name])

    def attempt(
        self, look: Callable[..., T], put_back: Callable[[], None], **how: Any
    ) -> T:
        """Call what passes networks; where that fails, once more uncompiled, for good.

        What then fails too is not torch's fault, and is raised. Code is compiled at
        most ``torch._dynamo.config.recompile_limit`` times for a network.

        Args:
            look: what passes networks.
            put_back: undoes what a call that has failed has changed.
            how: all that ``look`` is given.
        """
        if not self.compiled:
            return look(**how)
        try:
            with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
                return look(**how)
        except GankitError:
            raise
        except Exception as error:  # of the compiler, or of a part
            put_back()
            self.compiled = ()
            self._fast.clear()
            made = look(**how)
            self.failure = " ".join(f"{type(error).__name__}: {error}".split())[:_SHOWN]
            return made
