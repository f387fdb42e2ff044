"""Counted randomness: every random number is a function of what it is for.

Nothing is carried along, so that nothing has to be saved: a resumed run draws what it
would have drawn had it never stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


def key(seed: int, *purpose: str | int) -> int:
    """Mix a seed and a purpose, as ``("noise", step)``, to 63 bits.

    torch's CPU generator takes 32 of them: two purposes in many thousand may share a
    stream, which no computation here can notice.
    """
    text = repr((seed, *purpose)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def generator(
    device: torch.device | str, seed: int, *purpose: str | int
) -> torch.Generator:
    """Return a generator on a device at the start of the stream of one purpose."""
    return torch.Generator(device).manual_seed(key(seed, *purpose))


def seed_global(seed: int, *purpose: str | int) -> None:
    """Put torch's global generators at the start of the stream of one purpose.

    They serve what takes no generator of its own: dropout, and a part's own draws.
    ``torch.manual_seed`` does the same, but while a CUDA that is there is not in use,
    it formats stack traces at each call.
    """
    number = key(seed, *purpose)
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call] # torch has no types here
        torch.cuda.manual_seed_all(number)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(number)


class Draws:
    """What a game draws: a stream for each purpose in each of its rounds.

    Args:
        seed: of the run.
        device: on which its parts draw.
    """

    HOST = ("mismatch",)  # whose numbers the host looks at, and would wait for
    # drawn for a batch at once, of which a piece has its rows: (step, turn, batch)
    WHOLE, _UNCUT = ("noise", "mismatch"), 3

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed, self._device = seed, device

    def begin(self, *at: int) -> None:
        """Put the global generators at the start of their stream of a round."""
        seed_global(self._seed, "global", *at)

    def at(self, *at: int) -> Callable[[str], torch.Generator]:
        """Return what gives the generator of a purpose in a round.

        Args:
            at: step, turn, and where the samples are, as `Shards.place` says it.
        """

        def give(purpose: str) -> torch.Generator:
            device = "cpu" if purpose in self.HOST else self._device
            where = at[: self._UNCUT] if purpose.startswith(self.WHOLE) else at
            return generator(device, self._seed, purpose, *where)

        return give


class HeldDraws(Draws):
    """The same streams, from generators that stay: a recording knows these alone."""

    def __init__(self, seed: int, device: torch.device) -> None:
        super().__init__(seed, device)
        self._held: dict[str, torch.Generator] = {}
        self._now: tuple[int, ...] = ()

    def start(self, *at: int) -> None:
        """Put every generator at the start of its stream of a round."""
        self._now = at
        super().begin(*at)
        for purpose, held in self._held.items():
            held.manual_seed(key(self._seed, purpose, *at))

    def begin(self, *at: int) -> None:
        """Do nothing: the round has been started."""

    def at(self, *at: int) -> Callable[[str], torch.Generator]:
        """Return what gives the generator of a purpose, in the round of now."""
        return self._give

    def held(self) -> tuple[torch.Generator, ...]:
        """Return those that there are now."""
        return tuple(self._held.values())

    def _give(self, purpose: str) -> torch.Generator:
        if purpose in self.HOST or purpose not in self._held:
            made = Draws.at(self, *self._now)(purpose)
            if purpose in self.HOST:
                return made
            self._held[purpose] = made
        return self._held[purpose]


@contextmanager
def global_stream(
    device: torch.device, seed: int, *purpose: str | int
) -> Iterator[None]:
    """Draw from the stream of one purpose meanwhile, and then go on as before."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        seed_global(seed, *purpose)
        yield
