"""What the plugin registers, and that listing it costs nothing."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import gankit_datasets
from gankit.plugins.options import REQUIRED, options_of

PARTS = {part.name: part for part in gankit_datasets.gankit_parts()}


def factory(name: str):
    """Import the factory of a part."""
    module, _, attribute = PARTS[name].factory.partition(":")
    return getattr(importlib.import_module(module), attribute)


def test_the_parts_are_these():
    """Names are what recipes say; each has a summary."""
    assert set(PARTS) == {
        "mnist",
        "stacked-mnist",
        "fashion-mnist",
        "cifar10",
        "image-folder",
        "captioned-folder",
        "gaussians",
        "shapes",
    }
    assert {part.kind for part in PARTS.values()} == {"dataset"}
    assert all(part.summary for part in PARTS.values())


def test_listing_imports_no_torch():
    """The module of the plugin is imported by every command."""
    code = (
        "import sys, gankit_datasets; list(gankit_datasets.gankit_parts()); "
        "print([m for m in ('torch', 'torchvision', 'PIL') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("name", PARTS)
def test_every_option_is_explained(name):
    """Types can be evaluated, and each option has a line of help."""
    options = options_of(factory(name))
    assert options
    assert [option.name for option in options if not option.help] == []
    required = [option.name for option in options if option.default is REQUIRED]
    assert required == (["root"] if name.endswith("folder") else [])


def test_the_readme_names_every_part():
    """Its table is what people choose from."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    assert [name for name in PARTS if f"`{name}`" not in readme] == []
