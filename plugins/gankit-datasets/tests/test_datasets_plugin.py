"""What the plugin registers, and that listing it costs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from torchvision.datasets import cifar

import gankit_datasets
from formats import write_all
from gankit.testing import parametrize_parts

PARTS = {part.name: part for part in gankit_datasets.gankit_parts()}


def test_the_parts_are_these():
    """Names are what recipes say; each has a summary."""
    assert set(PARTS) == {
        "mnist",
        "stacked-mnist",
        "fashion-mnist",
        "cifar10",
        "image-folder",
        "captioned-folder",
        "webdataset",
        "gaussians",
        "shapes",
    }
    assert {part.kind for part in PARTS.values()} == {"dataset"}
    assert all(part.summary for part in PARTS.values())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write tiny data in the formats of the real ones."""
    root = tmp_path_factory.mktemp("data")
    write_all(root)
    with pytest.MonkeyPatch.context() as patch:
        # the digests are those of the real files
        patch.setattr(cifar, "check_integrity", lambda path, md5=None: True)
        yield root


SMALL = {
    "gaussians": {"samples": 24},
    "shapes": {"items": 24, "size": 16},
    "stacked-mnist": {"items": 24},
}


@parametrize_parts(dist="gankit-datasets", options=SMALL)
def test_conformance(check, data):
    """Each part keeps what its contract promises."""
    if check.part == "cifar10" and check.check in ("spawned", "in_two_processes"):
        pytest.skip("another process looks at the digests of the real files")
    given = {"root": str(data / check.part)} if (data / check.part).exists() else {}
    check(**given)


def test_the_readme_names_every_part():
    """Its table is what people choose from."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    assert [name for name in PARTS if f"`{name}`" not in readme] == []
