"""Files that commands write, checked before anything is computed."""

from __future__ import annotations

from pathlib import Path

from gankit.errors import RunError, UsageError


def check_free(path: Path, *, force: bool) -> None:
    """Check that a file may be written.

    Raises:
        UsageError: it is there, or its folder is not.
    """
    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder; name a file with -o")
    if path.exists() and not force:
        raise UsageError(
            f"the file {str(path)!r} exists; name another with -o, or write over it "
            "with --force"
        )
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {str(path.parent)!r} to write into")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        RunError: it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise RunError(f"cannot write {str(path)!r}: {error.strerror}") from error
