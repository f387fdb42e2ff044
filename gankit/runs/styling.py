"""Style transfer: pictures of the user's, and the part that finds noise for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import torch
from PIL import Image, ImageOps
from torch import Tensor

from gankit.data.facts import Facts
from gankit.errors import PluginError, UsageError, listed
from gankit.plugins.discovery import discover
from gankit.plugins.registry import Registry, names

if TYPE_CHECKING:
    from gankit.contracts.inversion import Inversion
    from gankit.runs.sampling import Sampler

_KIND = "inversion"
_KEPT = "inversions"  # folder of a run, for what is learnt
_FORMS = {1: "L", 3: "RGB", 4: "RGBA"}  # of Pillow, by the channels of a sample


def invert(
    sampler: Sampler,
    pictures: Sequence[str | Path],
    *,
    folder: str | Path,
    by: str = "",
    plugins: Iterable[str | Path] = (),
    disable: Iterable[str] = (),
    note: Callable[[str], object] = lambda text: None,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> Tensor:
    """Find the noise (N, n) from which a generator would draw pictures of files.

    ``sampler.restyle`` draws it with any conditions, as ``gankit sample --style`` does.

    Args:
        sampler: that :func:`gankit.load` gives.
        pictures: files, one at least, whose middle is cut out and resized to the size
            of samples.
        folder: of the run; what is learnt is kept in ``inversions`` there.
        by: name of the inversion; "": the only one that there is.
        plugins: local plugin files.
        disable: plugins to leave out.
        note: told of each picture that was resized.
        progress: told of steps done, of how many, and what is done.

    Raises:
        UsageError: no picture is given, a file is none, there is no such inversion, or
            it refuses this run.
    """
    if isinstance(pictures, str | Path) or not pictures:
        raise UsageError(f"pictures: {pictures!r} is no list of files, one at least")
    inversion = find_inversion(discover(plugins, disable), by)
    read = read_pictures([str(path) for path in pictures], sampler.facts, note)
    return noise_for(sampler, inversion, read, Path(folder) / _KEPT, progress)


def find_inversion(registry: Registry, name: str = "") -> Inversion:
    """Build the inversion of this name, or the only one that there is.

    Raises:
        UsageError: there is none, or there are several and none is named.
    """
    known = registry.entries(_KIND)
    if name or len(known) == 1:
        entry = registry.find(_KIND, name or known[0].name)
        if lacking := [option.name for option in entry.options if option.required]:
            raise UsageError(
                f"the inversion {entry.name!r} cannot do without {listed(lacking)}, "
                "which cannot be given here; call its class from Python"
            )
        return entry.factory()  # type: ignore[no-any-return] # a contract
    if not known:
        raise UsageError(
            "a style needs a part that finds noise for pictures, and no plugin that is "
            "loaded brings one; `gankit list inversion` shows what there is"
        )
    raise UsageError(
        f"there are several inversions, {listed(names(known))}; choose one by "
        "--style-by NAME, or by=NAME in Python"
    )


def read_pictures(
    paths: Sequence[str], facts: Facts, note: Callable[[str], object]
) -> Tensor:
    """Read pictures as samples are, (N, *sample): the middle of each, resized.

    Args:
        paths: of the pictures.
        facts: of the run's data.
        note: told of each that was resized.

    Raises:
        UsageError: samples are no pictures, or a file is none.
    """
    shape, low, high = facts.sample_shape, *(facts.sample_range or (0.0, 1.0))
    if len(shape) != 3 or shape[0] not in _FORMS or not isfinite(high - low):
        raise UsageError(
            f"a style is a picture, and samples of this run are of the shape {shape}, "
            f"from {low:g} to {high:g}; grey, RGB or RGBA pictures can be read"
        )
    return low + (high - low) * torch.stack([*_read(paths, shape, note)])


def _read(
    paths: Sequence[str], shape: tuple[int, ...], note: Callable[[str], object]
) -> Iterator[Tensor]:
    channels, height, width = shape
    for path in paths:
        try:
            with Image.open(path) as image:
                image.load()
                picture = ImageOps.exif_transpose(image)
        except Exception as error:  # a damaged file may raise whatever it trips over
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"style {path}: cannot be read as a picture: {reason}"
            ) from error
        if picture.size != (width, height):
            note(
                f"{path} is {picture.width}x{picture.height}, and samples are "
                f"{width}x{height}: its middle is cut out and resized"
            )
            picture = ImageOps.fit(picture, (width, height), Image.Resampling.BICUBIC)
        layer = picture.convert("RGBA")
        if channels < 4:  # as data sets lay transparency on white
            ground = Image.new("RGBA", layer.size, "white")
            layer = Image.alpha_composite(ground, layer)
        pixels = numpy.array(layer.convert(_FORMS[channels]))
        flat = torch.from_numpy(pixels).view(height, width, channels)
        yield flat.permute(2, 0, 1).float() / 255


def noise_for(
    sampler: Sampler,
    inversion: Inversion,
    pictures: Tensor,
    folder: Path,
    progress: Callable[[int, int, str], None],
) -> Tensor:
    """Find noise (N, n) for pictures (N, *sample), keeping what is learnt for it.

    Raises:
        UsageError: the inversion refuses this run.
        PluginError: it gave something else.
    """
    try:
        noise: Any = inversion(sampler, pictures, folder=folder, progress=progress)
    except ValueError as error:
        raise UsageError(f"{type(inversion).__name__}: {error}") from error
    wanted = (len(pictures), sampler.noise.size)
    if not isinstance(noise, Tensor) or tuple(noise.shape) != wanted:
        given = tuple(noise.shape) if isinstance(noise, Tensor) else repr(noise)
        raise PluginError(
            f"the inversion {type(inversion).__name__} gave {given}, not noise of the "
            f"shape {wanted}; its author has to mend it"
        )
    return noise.to(sampler.device)
