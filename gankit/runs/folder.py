"""The run folder: where it is, whose it is, and what it holds."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import tomli_w

from gankit.errors import RunError

RECIPE = "recipe.toml"
SAVED = "checkpoints"  # the folder of all of them, in a run's
PARTIAL = ".partial"  # ends the name of what is being written
_FOLDERS = ("samples", SAVED)
# seconds that the data workers of a process that was killed take to notice
_LEAVING = 12.0


def default_folder(name: str, base: Path = Path("runs")) -> Path:
    """Return the first free ``runs/<recipe>-<n>``."""
    n = 1
    while (base / f"{name}-{n}").exists():
        n += 1
    return base / f"{name}-{n}"


def free(name: str, out: str | Path | None) -> Path:
    """Return the folder of a new run, checked to be free.

    Raises:
        RunError: it holds something, or cannot be made.
    """
    folder = Path(out) if out is not None else default_folder(name)
    check_free(folder)
    return folder


def check_free(folder: Path) -> None:
    """Check, before anything is computed, that a run may be written there.

    Raises:
        RunError: the folder holds something, or cannot be written.
    """
    try:
        _check_free(folder)
    except PermissionError as error:
        raise RunError(
            f"the folder {str(folder)!r} cannot be made: {error.strerror}; "
            "choose another with --out"
        ) from error


def _check_free(folder: Path) -> None:
    if (folder / RECIPE).exists():
        raise RunError(
            f"the folder {str(folder)!r} holds another run; go on with it by "
            f"`gankit resume {folder}`, or choose another folder with --out"
        )
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{str(folder)!r} is a file; choose a folder with --out")
    if folder.is_dir() and not all(map(_left_by_a_start, folder.iterdir())):
        raise RunError(
            f"the folder {str(folder)!r} is not empty, and holds no run; "
            "choose another with --out"
        )
    parent = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise RunError(
            f"the folder {str(folder)!r} cannot be made: no permission to write in "
            f"{str(parent)!r}; choose another with --out"
        )


def create(folder: Path, table: Mapping[str, Any] | None) -> None:
    """Make the run folder, with its resolved recipe, if it has one.

    Raises:
        RunError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FOLDERS:
            (folder / name).mkdir(exist_ok=True)
        if table is not None:  # last: what has a recipe is a run, which can go on
            _write_new(folder / RECIPE, tomli_w.dumps(table))
    except FileExistsError:
        raise RunError(
            f"another run has taken the folder {str(folder)!r} meanwhile; "
            "choose another with --out"
        ) from None
    except OSError as error:
        raise cannot_write(folder, error) from error


@contextmanager
def claimed(folder: Path | None) -> Iterator[None]:
    """Keep every other process from training the same run meanwhile.

    The claim, which a run without a folder does not need, ends with the process,
    however it ends.

    Raises:
        RunError: another process trains it.
    """
    if folder is None:
        yield
        return
    try:
        for name in _FOLDERS:  # somebody may have taken the pictures away
            (folder / name).mkdir(exist_ok=True)
        descriptor = os.open(folder / SAVED, os.O_RDONLY)
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    limit = time.monotonic() + _LEAVING
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > limit:
                raise RunError(
                    f"another process is training the run in {str(folder)!r}; wait "
                    "until it ends, or stop it"
                ) from None
            time.sleep(0.2)
        except OSError:
            return None  # a file system that has no locks


def holds(folder: Path, table: Mapping[str, Any]) -> bool:
    """Tell whether a folder holds a run of this very recipe, whatever it is made with.

    Who watches, and in which version, stands in its provenance, and may change.
    """
    try:
        there = tomllib.loads((folder / RECIPE).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    here = tomllib.loads(tomli_w.dumps(table))
    return there | {"provenance": {}} == here | {"provenance": {}}


def rewrite_recipe(folder: Path, table: Mapping[str, Any]) -> None:
    """Replace the recipe of a run, whole or not at all.

    Raises:
        RunError: it cannot be written.
    """
    write_whole(folder / RECIPE, tomli_w.dumps(table))


def write_whole(path: Path, text: str) -> None:
    """Replace a file, whole or not at all, even if the power fails.

    Raises:
        RunError: it cannot be written.
    """
    aside = path.with_name(f".{path.name}{PARTIAL}")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            _sync(file)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def _write_new(path: Path, text: str) -> None:
    """Make a file, whole or not at all, that nobody else has made."""
    aside = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            _sync(file)
        try:
            path.hardlink_to(aside)  # unlike a renamed file, it replaces none
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _left_by_a_start(path: Path) -> bool:
    """Tell whether a run that was killed before it had a recipe has left this."""
    if path.name in _FOLDERS and path.is_dir():
        return not any(path.iterdir())
    return path.name.startswith(f".{RECIPE}.") and path.suffix == PARTIAL


def clean(folder: Path) -> None:
    """Remove what a run that was killed while it wrote has left."""
    for path in folder.glob(f".*{PARTIAL}"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _sync(file: IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())


def cannot_write(path: Path, error: Exception) -> RunError:
    """Turn an error of the operating system into one that says what to do."""
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return RunError(
        f"cannot write {str(path)!r}: {reason}; free some space "
        "or choose another place for it; what was saved before is whole"
    )


def recipe_file(folder: Path) -> Path:
    """Return the recipe of a run.

    Raises:
        RunError: there is no run in that folder.
    """
    path = folder / RECIPE
    if folder.is_file():
        raise RunError(
            f"{str(folder)!r} is a file, and this needs a run folder, as "
            "runs/quickstart-1; a file that `gankit pack` wrote can be sampled, and be "
            "started from"
        )
    if not path.is_file():
        what = "is not a run folder" if folder.is_dir() else "does not exist"
        raise RunError(
            f"{str(folder)!r} {what}: it has no {RECIPE}; give the folder that "
            "`gankit train` named, as runs/quickstart-1"
        )
    return path
