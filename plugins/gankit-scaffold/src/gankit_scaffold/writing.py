"""Writing a package from templates."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from string import Template

from attrs import asdict
from packaging.version import Version

import gankit
from gankit.errors import UsageError
from gankit_scaffold.naming import Names

# what the part of each kind does, for lists
KINDS = {
    "augmentation": "Cutout (DeVries & Taylor 2017)",
    "conditioner": "Fixed random codes of classes",
    "dataset": "Points on two spirals",
    "discriminator": "Leaky ReLU layers",
    "generator": "ReLU layers",
    "hook": "Stops a run after some minutes",
    "inversion": "The nearest of many samples that are tried",
    "loss": "Hinge loss with a margin (Lim & Ye 2017)",
    "noise": "Uniform on a sphere",
    "penalty": "Keeps logits near 0 (Karras et al. 2018)",
}


def write(names: Names, kind: str, folder: Path) -> None:
    """Write a package with a part of a kind into a new folder, all of it or nothing.

    Raises:
        UsageError: the folder is there already, or cannot be written.
    """
    if folder.exists():
        raise UsageError(
            f"{str(folder)!r} is there already, and nothing is overwritten; choose "
            "another name, or another folder by --out"
        )
    aside = folder.with_name(f".{folder.name}.partial")
    with as_file(files("gankit_scaffold") / "templates") as templates:
        try:
            shutil.rmtree(aside, ignore_errors=True)
            for template in sorted(templates.rglob("*")):
                shared, *inner = template.relative_to(templates).parts
                if template.is_file() and shared in ("every", kind):
                    _fill(template, aside, inner, names, kind)
            aside.rename(folder)
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise UsageError(
                f"{str(folder)!r} cannot be written: {error.strerror}; choose another "
                "folder by --out"
            ) from error


def _fill(
    template: Path, folder: Path, inner: list[str], names: Names, kind: str
) -> None:
    core = Version(gankit.__version__)
    known = {
        **asdict(names),
        "kind": kind,
        "summary": KINDS[kind],
        "pin": f">={core.major}.{core.minor},<{core.major}.{core.minor + 1}",
    }
    # a part of a path in capitals is a name; a template is no Python file to tools
    places = {"MODULE": names.module, "PART": names.file, "TRY": f"try-{names.part}"}
    parts = [part.removesuffix(".txt") for part in inner]
    path = folder.joinpath(*(_placed(part, places) for part in parts))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Template(template.read_text("utf-8")).substitute(known), "utf-8")


def _placed(part: str, places: dict[str, str]) -> str:
    for word, name in places.items():
        part = part.replace(word, name)
    return part
