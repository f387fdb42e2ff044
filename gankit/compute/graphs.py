"""CUDA graphs: work of a GPU that is recorded once and then only started.

The class here and a stand-in for a CPU have the same three methods, so that all but the
recording itself is tried without a GPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Protocol, TypeVar

import torch

from gankit.errors import DeviceError

T = TypeVar("T")


class Recorder(Protocol):
    """What records work, and plays it again."""

    def warm(self, work: Callable[[], T]) -> T:
        """Do work before it is recorded."""

    def waits(self, work: Callable[[], T]) -> tuple[T, str]:
        """Do work as well, and say where the host waited for it, or ""."""

    def record(
        self, work: Callable[[], T], generators: Iterable[torch.Generator]
    ) -> Callable[[], T]:
        """Record work without doing it; return what does it, and gives its result."""


class Graphs:
    """Records CUDA graphs that share memory and follow each other on one device.

    Args:
        device: a GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call] # torch has no types here
        self._pool = torch.cuda.graph_pool_handle()

    def warm(self, work: Callable[[], T]) -> T:
        """Do work on a stream aside, as torch asks for before a capture."""
        with self._aside():
            return work()

    def waits(self, work: Callable[[], T]) -> tuple[T, str]:
        """Do work as well, and say where the host waited for it, or ""."""
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                done = self.warm(work)
            finally:
                torch.cuda.set_sync_debug_mode(before)
        for warning in caught:
            if "synchronizing CUDA operation" in str(warning.message):
                return done, f"line {warning.lineno} of {warning.filename} waits for it"
        return done, ""

    def record(
        self, work: Callable[[], T], generators: Iterable[torch.Generator]
    ) -> Callable[[], T]:
        """Record work without doing it; return what does it, and gives its result.

        Args:
            work: on tensors that stay where they are.
            generators: those of this device that it draws from, besides the global one.

        Raises:
            Exception: whatever recording raises; the device can be used after it.
            DeviceError: it cannot.
        """
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        try:
            with self._aside():
                result = self._captured(graph, work)
        except Exception as error:
            self._recover(error)
            raise

        def replay() -> T:
            graph.replay()
            return result

        return replay

    def _captured(self, graph: torch.cuda.CUDAGraph, work: Callable[[], T]) -> T:
        torch.cuda.synchronize()
        # a thread of the feed's pins memory meanwhile, which is none of this graph's
        graph.capture_begin(self._pool, capture_error_mode="thread_local")
        try:
            result = work()
        except BaseException:  # a capture that is left open would refuse all later work
            with suppress(RuntimeError):  # that something went wrong, and not what
                graph.capture_end()
            raise
        graph.capture_end()
        return result

    def _recover(self, error: Exception) -> None:
        """Record next to nothing, so that the global generator draws again.

        One that a capture has left without an end takes itself to be captured still,
        and refuses to draw.
        """
        try:
            device = self._stream.device
            with self._aside():
                empty = partial(torch.zeros, 1, device=device)
                self._captured(torch.cuda.CUDAGraph(), empty)
            torch.rand(1, device=device)
        except RuntimeError as fault:
            raise DeviceError(
                f"a CUDA graph could not be captured ({error}), and the device cannot "
                f"be used after that ({fault}); set train.graphs to 'off'"
            ) from error

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Work on the stream aside, after what was begun and before what follows."""
        main = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(main)
        with torch.cuda.stream(self._stream):
            yield
        main.wait_stream(self._stream)
