"""The helpers that the checks share, and runs of a part: alone, resumed, and in two.

A check is broken off when it takes too long, and with it whatever a helper does for it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from attrs import frozen
from safetensors.torch import load_file

from gankit.api import resume, starting
from gankit.compute.arithmetic import exact_arithmetic
from gankit.data.placing import first_whole
from gankit.data.samples import Readable, form_of
from gankit.errors import PeerError
from gankit.game.settings import PLAYERS
from gankit.plugins.discovery import discover
from gankit.recipe.recipe import structure_recipe
from gankit.runs.checkpoint import FILES, WEIGHTS, path_of
from gankit.runs.folder import SAVED
from gankit.testing.games import SAVED_AT, STEPS
from gankit.testing.helpers import DiedError, Helper, SlowError, ToldError
from gankit.testing.probing import answers, digest
from gankit.testing.settings import CPU, Setting
from gankit.testing.subject import Subject
from gankit.testing.verdicts import Failed

HELPERS = (Helper(), Helper())
_starting: list[Helper] = []
_STARTING = 300.0  # seconds in which they have imported torch


@frozen
class Trained:
    """What came of a run.

    Attributes:
        finite: whether all that was measured is.
        moved: by player, whether its network has other weights than at first.
    """

    finite: bool
    moved: dict[str, bool]


def train(subject: Subject, out: Path) -> Trained:
    """Train a part's game in this process."""
    torch.manual_seed(0)
    finite = True
    with starting(subject.recipe, out=out) as run:
        networks = {name: getattr(run.game, name).network for name in PLAYERS}
        before = {name: _weights(network) for name, network in networks.items()}
        for report in run.steps():
            values = torch.tensor(list(report.values().values()))
            finite = finite and bool(values.isfinite().all())
    moved = {
        name: bool((_weights(n) != before[name]).any()) for name, n in networks.items()
    }
    return Trained(finite, moved)


def _weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().double() for p in network.parameters()])


def go_on(subject: Subject, whole: Path, out: Path) -> None:
    """Go on with a run from its checkpoint in the middle, in another folder."""
    shutil.copytree(whole, out)
    shutil.rmtree(path_of(out / SAVED, STEPS))
    assert path_of(out / SAVED, SAVED_AT).is_dir(), "the run was saved in its middle"
    resume(out, plugins=subject.files)


def difference(one: Path, other: Path) -> str:
    """Say what differs between the last checkpoints of two runs; or ""."""
    folders = [path_of(out / SAVED, STEPS) for out in (one, other)]
    weights = [load_file(folder / WEIGHTS) for folder in folders]
    names = [
        name
        for name in weights[0]
        if not torch.equal(weights[0][name], weights[1].get(name, torch.empty(0)))
    ]
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"the weights {names[0].replace('/', '.', 1)}{more}"
    for file in FILES:
        if (folders[0] / file).read_bytes() != (folders[1] / file).read_bytes():
            return "the states of parts, optimisers or hooks"
    return ""


def bits_there(subject: Subject) -> str:
    """Build and ask a part in a spawned process; return the digest of what it gives.

    Raises:
        Failed: that cannot be done there.
    """
    table = subject.recipe.as_table()
    files, place = [str(file) for file in subject.files], subject.setting.place
    return _asked(_bits, table, files, place)


def _asked(function: Callable[..., str], *args: Any) -> str:
    try:
        return str(HELPERS[0].call(function, *args, limit=None))
    except ToldError as error:
        raise Failed(f"in a spawned process it raised {error}") from None
    except (DiedError, SlowError) as error:
        raise Failed(f"the spawned process has ended: {error}") from None


def bits_of(setting: Setting) -> str:
    """Return the digest of what a part gives here."""
    with exact_arithmetic(CPU):  # as many threads as in any other process
        return digest(answers(setting.parts()))


def _bits(table: Mapping[str, Any], files: Iterable[str], place: str) -> str:
    recipe = structure_recipe("kit", dict(table), discover(files))
    return bits_of(Setting(recipe, place))


def read_there(dataset: Any, indices: Sequence[int], files: Sequence[Path]) -> str:
    """Send a data set to a spawned process, as to a worker; digest what it reads.

    Raises:
        Failed: it cannot be read there.
    """
    form = form_of(first_whole(dataset))
    sent = Readable(dataset, torch.arange(len(dataset)), form, files)
    return _asked(_read, sent, list(indices))


def read_here(dataset: Any, indices: Sequence[int]) -> str:
    """Digest what is read in this process."""
    form = form_of(first_whole(dataset))
    return _read(Readable(dataset, torch.arange(len(dataset)), form, ()), indices)


def _read(reader: Readable, indices: Iterable[int]) -> str:
    return digest([reader[index][0] for index in indices])


def train_in_two(subject: Subject, out: Path) -> None:
    """Train a part's game in two spawned processes that share it.

    Raises:
        Failed: one of them has failed.
    """
    table = subject.recipe.as_table()
    files = [str(file) for file in subject.files]
    # they meet at a store of ours, as those that gankit starts itself
    store = dist.TCPStore(  # type: ignore[attr-defined] # torch exports it indirectly
        "127.0.0.1", 0, is_master=True, wait_for_workers=False
    )
    said = []
    try:
        for rank, helper in enumerate(HELPERS):
            helper.ask(_train_one, table, files, str(out), rank, store.port)
        for helper in HELPERS:
            try:
                helper.answer(limit=None)
            except ToldError as error:
                said.append(str(error))
            except (DiedError, SlowError) as error:
                said.append(f"one of two processes has ended: {error}")
    except BaseException:
        close()  # neither is to answer what nobody asks any more
        raise
    if said:
        # who learnt of the other's failure alone says less than the other
        first = min(said, key=lambda one: one.startswith(PeerError.__name__))
        raise Failed(f"two processes could not train it: {first}")


def begin() -> None:
    """Let the helpers start, which takes seconds; both, as both will be asked."""
    for helper in HELPERS:
        if not helper.alive:
            helper.ask(_ready)
            _starting.append(helper)


def start() -> None:
    """Start the helpers, and wait until they are there."""
    begin()
    while _starting:
        _starting.pop().answer(_STARTING)


def _ready() -> None:
    """Do nothing, where this module and with it torch have been imported."""


def close() -> None:
    """End the helpers; the next check that needs them starts them again."""
    _starting.clear()
    for helper in HELPERS:
        helper.close()


def _train_one(
    table: Mapping[str, Any], files: Iterable[str], out: str, rank: int, port: int
) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(len(HELPERS)),
        "LOCAL_WORLD_SIZE": str(len(HELPERS)),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    recipe = structure_recipe("kit", dict(table), discover(files))
    with starting(recipe, out=out) as run:
        for _ in run.steps():
            pass
