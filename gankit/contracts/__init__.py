"""The contracts: what each kind of part is given, and what it must give.

A part is whatever a plugin registers under a kind and a name. Its factory is called
with the positional arguments that its kind is given; everything after them is an option
that a recipe may set (see :mod:`gankit.plugins.options`).

=============  ==========  =====================================================
kind           is given    must give
=============  ==========  =====================================================
generator      `Shapes`    :class:`Generator`
discriminator  `Shapes`    :class:`Discriminator`
loss           nothing     :class:`Loss`
penalty        nothing     :class:`Penalty`
conditioner    `Facts`     :class:`Conditioner`
dataset        nothing     :class:`Dataset`
augmentation   nothing     :class:`Augmentation`
noise          nothing     :class:`NoiseSource`
inversion      nothing     :class:`gankit.contracts.inversion.Inversion`
hook           nothing     methods marked with :data:`gankit.hookimpl`
=============  ==========  =====================================================

On a GPU rounds of the game are recorded and played again. A part whose work depends on
what Python keeps from step to step, as a count of its calls, says so by ``capturable =
False``, and nothing is recorded; the number of the step may be asked for without that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from attrs import frozen

if TYPE_CHECKING:  # listing parts must not import torch
    import torch
    from torch import Tensor

    from gankit.data.facts import Facts, Item
    from gankit.game.step import Step

Given: TypeAlias = "Tensor | tuple[Tensor, Mapping[str, Tensor]]"

UNBOUNDED = (float("-inf"), float("inf"))


@frozen
class Shapes:
    """What a network must fit: the sizes of one sample, one noise, one condition."""

    sample: tuple[int, ...]  # (C, H, W) for images, (n,) for vectors
    noise: int
    condition: int = 0  # 0: unconditional


class Dataset(Protocol):
    """Real samples, by index; every item a function of the index alone.

    ``__getitem__`` raises :class:`gankit.errors.BrokenItem` for an item that cannot be
    read. The constructor raises :class:`gankit.errors.DataError` when there is nothing
    to read. A data set may also have ``transform(samples, rng)``, which turns a batch
    as stored, (B, *stored), into (B, *facts.sample_shape), of the same dtype, on the
    training device, with all its randomness from ``rng``: random crops and mirrors.
    ``annotations(index)``, giving those of an item by name, spares reading a sample
    before it is played with; one that turns out to be broken then is replaced by the
    next that is whole. A set with ``annotations`` that holds its samples anyway, as one
    tensor (N, *stored), gives that as ``all_samples``, which spares asking for each.
    ``skipped``, lines such as ``"a.jpg: no caption"``, is shown. ``splits`` are data
    sets of the same facts whose items it leaves out, for who measures: by name, as
    ``"validation"`` and ``"test"``, what builds each when it is called.
    """

    @property
    def facts(self) -> Facts: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Item: ...


class Generator(Protocol):
    """A network from noise (B, n) and a condition (B, c) or None to (B, *sample).

    ``output_range`` declares its lowest and highest value, `UNBOUNDED` for a linear
    output. A network may also have ``observe(samples)``, called once before the first
    step with up to 10,000 real samples, (B, *sample), drawn from all of them. Samples
    are drawn from it as it plays, with dropout: only modules with buffers that a pass
    in training mode changes, as those of batch norms, are in evaluation mode then.
    """

    output_range: tuple[float, float]

    def __call__(self, noise: Tensor, condition: Tensor | None, /) -> Given: ...


class Discriminator(Protocol):
    """A network from samples (B, *sample) and a condition or None to logits (B,).

    One that gives several logits a sample, as for patches, declares their shape:
    ``logits_shape = (14, 14)`` for (B, 14, 14). A network of either player may give
    extras beside its tensor, ``(tensor, {"features": …})``, each (B, …), which a loss
    finds at its `Step`. One whose slope is bounded by its own means, as by spectral
    norms, says so by ``lipschitz = True``.
    """

    def __call__(self, samples: Tensor, condition: Tensor | None, /) -> Given: ...


class Loss(Protocol):
    """What the players minimise, each a scalar of one step.

    A loss that asks its step for annotations names them, as ``needs = ("label",)``. One
    that cannot do without a conditioner sets ``needs_condition = True``; one
    that looks at ``mismatched_logits`` sets ``needs_mismatch = True``. One that has no
    minimum unless the discriminator's slope is bounded sets ``needs_lipschitz = True``,
    and its user is warned where nothing that says ``lipschitz = True`` bounds it. One
    to which only differences between logits matter says so by ``relative = True``:
    their signs tell nothing.

    A loss, penalty, augmentation or noise that is a module with parameters names the
    player with which they learn: ``learns_with = "generator"``, or "discriminator".
    """

    def discriminator(self, step: Step, /) -> Tensor: ...

    def generator(self, step: Step, /) -> Tensor: ...


class Penalty(Protocol):
    """A scalar added to the loss of a player, times ``weight``.

    The discriminator's, but for one that says ``player = "generator"``.
    With ``every`` above 1 it is evaluated lazily: in every ``every``-th step only, and
    scaled up by ``every`` (Karras et al. 2020, appendix B). One that bounds the
    discriminator's slope says so by ``lipschitz = True``.
    """

    @property
    def weight(self) -> float: ...

    @property
    def every(self) -> int: ...

    def __call__(self, step: Step, /) -> Tensor: ...


class Conditioner(Protocol):
    """A module that turns an annotation of the data into vectors of ``size`` numbers.

    - ``reads`` is the annotation's name, as ``"label"`` or ``"captions"``;
    - ``tokens(raw)`` runs once, on the CPU, over the values of all items, and gives a
      tensor (N, ...) whose rows are gathered for each batch. They are a list of class
      indices (Classes) or of tuples of texts (Texts), or a tensor: float32 (N, n)
      (Vector), bool (N, n) (Tags), or pictures (N, C, H, W) (Picture). One that takes
      long may have ``progress=None`` too, and then reports as ``fit`` does;
    - ``forward(tokens)`` runs each step: (B, ...) to (B, size). What it draws from
      torch's global generator is reproducible, because gankit seeds that each step;
    - ``parse(text)`` gives an item's value for a text of the command line, or raises
      ValueError naming what it knows; so does the annotation's own ``parse``.

    It may also have ``fit(data, device, seed, progress)``, called once before
    ``tokens``; ``progress(done, total, text)`` reports. Parameters that require
    gradients learn with the discriminator.
    """

    reads: str
    size: int

    def tokens(self, raw: Sequence[Any], /) -> Tensor: ...

    def __call__(self, tokens: Tensor, /) -> Tensor: ...

    def parse(self, text: str, /) -> Any: ...


class ReadData(Protocol):
    """A data set that has been read, as a conditioner that is fitted to it is given it.

    Positions count the N items that can be read, from 0.

    - ``facts`` are the data set's own;
    - ``annotations`` has by name the values of all items: int64 (N,), float32 (N, n),
      bool (N, n) or (N, C, H, W) on the CPU, or a list of tuples of texts;
    - ``samples(positions)`` are float32 (B, *sample) on the device, in the generator's
      range, with the randomness of the data set's ``transform`` drawn from ``rng``;
    - ``stored(positions)`` are samples as the data set gives them, (B, *stored), on the
      device: before ``transform``, and uint8 where it gives pixels;
    - ``fingerprint()`` is a digest of annotations and all samples: what is equal in it
      may share what was fitted;
    - ``broken`` says why some items could not be read, by their positions, of those
      that have been asked for: the sample of each is that of the next whole item, of
      which its annotations are not true.
    """

    @property
    def facts(self) -> Facts: ...

    @property
    def annotations(self) -> Mapping[str, Any]: ...

    @property
    def broken(self) -> Mapping[int, str]: ...

    def __len__(self) -> int: ...

    def samples(
        self, positions: Tensor, /, rng: torch.Generator | None = None
    ) -> Tensor: ...

    def stored(self, positions: Tensor, /) -> Tensor: ...

    def fingerprint(self) -> str: ...


class FittedConditioner(Conditioner, Protocol):
    """A conditioner that is fitted to the data before training."""

    def fit(
        self,
        data: ReadData,
        /,
        *,
        device: torch.device,
        seed: int,
        progress: Callable[[int, int, str], None],
    ) -> None: ...


class NoiseSource(Protocol):
    """The generator's random input: vectors (count, size), on the device of ``rng``.

    One that can be drawn near its middle has ``truncated(count, rng, limit)`` too.
    """

    @property
    def size(self) -> int: ...

    def __call__(self, count: int, rng: torch.Generator, /) -> Tensor: ...


class Augmentation(Protocol):
    """A differentiable change of samples (B, *sample), random by ``rng`` alone.

    An option that is a number and an attribute may follow a schedule where the call
    takes it too, by keyword: ``def __call__(self, samples, rng, *, std=None)``. It is
    given in each step then, and not otherwise. One that follows the signs of logits
    sets ``needs_signs = True``, and goes with no loss that is ``relative``.
    """

    def __call__(self, samples: Tensor, rng: torch.Generator, /) -> Tensor: ...
