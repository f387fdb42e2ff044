"""The cache: what was written is read, whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from gankit import cache

STATE = {"weight": torch.arange(6.0).view(2, 3), "count": torch.tensor(7)}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a place in a cache of its own."""
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / "cache"))
    return cache.path_of("mine", {"seed": 0, "data": "abc"})


@pytest.mark.parametrize(
    ("own", "shared", "expected"),
    [
        ("/own", "/shared", Path("/own")),
        ("", "/shared", Path("/shared/gankit")),
        ("", "", Path("/home/me/.cache/gankit")),
        ("~/mine", "", Path("/home/me/mine")),
    ],
)
def test_the_cache_folder_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, own: str, shared: str, expected: Path
) -> None:
    """GANKIT_CACHE wins over XDG_CACHE_HOME, that over ~/.cache; empty is unset."""
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("GANKIT_CACHE", own)
    monkeypatch.setenv("XDG_CACHE_HOME", shared)
    assert cache.cache_folder() == expected


def test_a_place_is_of_facts_in_any_order(path: Path, tmp_path: Path) -> None:
    """And of no others."""
    assert path.parent == tmp_path / "cache" / "mine"
    assert cache.path_of("mine", {"data": "abc", "seed": 0}) == path
    assert cache.path_of("mine", {"data": "abc", "seed": 1}) != path
    assert cache.path_of("other", {"data": "abc", "seed": 0}) != path


def test_what_was_written_is_read(path: Path) -> None:
    """To the bit, also where the tensors were views."""
    assert cache.read(path) is None
    cache.write(path, STATE | {"weight": STATE["weight"].T.contiguous().T})
    found = cache.read(path, like=STATE)
    assert found is not None
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)
    assert [kept.name for kept in path.parent.iterdir()] == [path.name]


def test_weights_that_are_tied_are_written(path: Path) -> None:
    """As those of an embedding and a last layer: one tensor by two names."""
    tied = torch.nn.Linear(3, 2, bias=False)
    module = torch.nn.Sequential(tied, tied)
    cache.write(path, module.state_dict(keep_vars=True))
    found = cache.read(path, like=module.state_dict())
    assert found is not None
    assert found.keys() == {"0.weight", "1.weight"}
    assert all(torch.equal(weight, tied.weight) for weight in found.values())


@pytest.mark.parametrize(
    "like",
    [
        {"weight": STATE["weight"]},
        STATE | {"weight": STATE["weight"].T},
        STATE | {"count": torch.tensor(7.0)},
    ],
    ids=["other names", "another shape", "another type"],
)
def test_what_is_not_of_the_form_asked_for_is_not_read(
    path: Path, like: dict[str, Tensor]
) -> None:
    """As a fit of another version."""
    cache.write(path, STATE)
    assert cache.read(path, like=like) is None


def test_one_wrong_bit_is_found(path: Path) -> None:
    """Which safetensors would read as any other."""
    cache.write(path, STATE)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert cache.read(path) is None


def test_what_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands where the folder should."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / "file" / "cache"))
    cache.write(cache.path_of("mine", {}), STATE)
    assert cache.read(cache.path_of("mine", {})) is None


def test_a_digest_tells_names_shapes_types_and_facts_apart() -> None:
    """And not where or how a tensor lies."""
    weight = STATE["weight"]
    others = [
        ({"other": weight}, ()),
        ({"weight": weight.flatten()}, ()),
        ({"weight": weight.double()}, ()),
        ({"weight": weight + 1e-6}, ()),
        ({"weight": weight}, ("a fact",)),
    ]
    own = cache.digest_of({"weight": weight})
    assert own == cache.digest_of({"weight": weight.T.contiguous().T})
    assert len({own, *(cache.digest_of(state, *facts) for state, facts in others)}) == 6
