"""The run folder: where it is, whose it is, and what it holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import tomli_w

from gankit.errors import RunError
from gankit.recipe import Recipe

RECIPE = "recipe.toml"


def default_folder(name: str, base: Path = Path("runs")) -> Path:
    """Return the first free ``runs/<recipe>-<n>``."""
    n = 1
    while (base / f"{name}-{n}").exists():
        n += 1
    return base / f"{name}-{n}"


def check_free(folder: Path) -> None:
    """Check, before anything is computed, that a run may be written there.

    Raises:
        RunError: the folder holds something, or cannot be written.
    """
    if (folder / RECIPE).exists():
        raise RunError(
            f"the folder {str(folder)!r} holds another run; go on with it by "
            f"`gankit resume {folder}`, or choose another folder with --out"
        )
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{str(folder)!r} is a file; choose a folder with --out")
    if folder.is_dir() and any(folder.iterdir()):
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


def create(folder: Path, recipe: Recipe | None) -> None:
    """Make the run folder, with its resolved recipe.

    Raises:
        RunError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "samples").mkdir(exist_ok=True)
        (folder / "checkpoints").mkdir(exist_ok=True)
        if recipe is not None:
            with (folder / RECIPE).open("x", encoding="utf-8") as file:
                file.write(tomli_w.dumps(recipe.as_table()))
                _sync(file)
    except FileExistsError:
        raise RunError(
            f"another run has taken the folder {str(folder)!r} meanwhile; "
            "choose another with --out"
        ) from None
    except OSError as error:
        raise cannot_write(folder, error) from error


def rewrite_recipe(folder: Path, recipe: Recipe) -> None:
    """Replace the recipe of a run, whole or not at all.

    Raises:
        RunError: it cannot be written.
    """
    write_whole(folder / RECIPE, tomli_w.dumps(recipe.as_table()))


def write_whole(path: Path, text: str) -> None:
    """Replace a file, whole or not at all, even if the power fails.

    Raises:
        RunError: it cannot be written.
    """
    aside = path.with_name(f".{path.name}.partial")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            _sync(file)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


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
    if not path.is_file():
        what = "is not a run folder" if folder.is_dir() else "does not exist"
        raise RunError(
            f"{str(folder)!r} {what}: it has no {RECIPE}; give the folder that "
            "`gankit train` named, as runs/quickstart-1"
        )
    return path
