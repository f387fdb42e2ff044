"""Writing while the game plays on: in a thread, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait


class Writer:
    """Does what takes long, and nothing of the game, in a thread of its own.

    Whoever asks for the next thing waits until the one before is done, so that no more
    than one copy of what is written is ever held. What goes wrong is raised where the
    writer is asked next, or is waited for.
    """

    def __init__(self) -> None:
        self._doing: Future[object] | None = None

    def do(self, job: Callable[[], object]) -> None:
        """Begin a job; wait for the one before.

        Raises:
            Exception: the one before has raised it.
        """
        self.wait()
        pool = ThreadPoolExecutor(1, thread_name_prefix="gankit writes")
        self._doing = pool.submit(job)
        pool.shutdown(wait=False)  # so that its thread ends with the job

    def look(self) -> None:
        """Raise what a job that is done has raised; do not wait for it."""
        if self._doing is not None and self._doing.done():
            self.wait()

    def wait(self) -> None:
        """Wait for the job that was begun, and raise what it has raised."""
        if self._doing is None:
            return
        wait([self._doing])  # if this is interrupted, there is still what to wait for
        done, self._doing = self._doing, None
        done.result()

    def finish(self, error: BaseException) -> None:
        """Wait, where something else has failed; note there what fails here too."""
        try:
            self.wait()
        except Exception as other:
            error.add_note(str(other))
