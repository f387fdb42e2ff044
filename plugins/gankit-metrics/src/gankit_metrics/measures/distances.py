"""Squared Euclidean distances of all pairs, in blocks, and the nearest of them.

‖x − y‖² = ‖x‖² + ‖y‖² − 2x·y is a matrix product, many times as fast as differences,
but it cancels: in float64, about the common mean, it is off by some 1e-15 of the
squared norms. So a squared distance under 1e-13 of the two sets' greatest squared norms
is set to nought, which makes equal vectors exactly equal, and two that differ by less
are tied.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from attrs import frozen
from torch import Tensor
from torch.nn.functional import threshold

# numbers in a block of pairs: 64 MiB in float64, and a few times that with what is
# computed from it
_BLOCK = 2**23

_RESOLUTION = 1e-13


@frozen(eq=False)
class Space:
    """Sets of vectors in float64 about one centre.

    Attributes:
        sets: (N, d) each, in the order given.
        norms: (N,) each, their squared norms.
    """

    sets: tuple[Tensor, ...]
    norms: tuple[Tensor, ...]

    @classmethod
    def of(cls, *sets: Tensor) -> Space:
        """Copy ``sets`` into float64, less the mean vector of the first."""
        centre = sets[0].mean(0, dtype=torch.float64)
        # a difference of two types would hold a second copy for a while
        moved = tuple(s.to(torch.float64, copy=True).sub_(centre) for s in sets)
        return cls(moved, tuple(squared_norms(vectors) for vectors in moved))

    def tie(self, first: int, second: int) -> float:
        """Return what squared distances between two sets differ by, if they do."""
        greatest = self.norms[first].max() + self.norms[second].max()
        return _RESOLUTION * greatest.item()

    def blocks(self, first: int, second: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield rows of set ``first`` with their squared distances to set ``second``.

        A set's distances to itself leave each vector's distance to itself out: that is
        infinite.
        """
        x, y = self.sets[first], self.sets[second]
        tie = self.tie(first, second)
        for rows in row_blocks(len(x), len(y)):
            squares = torch.addmm(
                self.norms[second], x[rows], y.T, alpha=-2
            )  # (rows, M)
            squares += self.norms[first][rows, None]
            threshold(squares, tie, 0, inplace=True)
            if first == second:
                squares[:, rows].fill_diagonal_(torch.inf)
            yield rows, squares

    def nearest(self, first: int, second: int) -> tuple[Tensor, Tensor]:
        """Return the nearest of set ``second`` to each vector of set ``first``.

        Returns:
            its squared distance (N,) and its index (N,).
        """
        least = torch.empty_like(self.norms[first])
        index = torch.empty_like(least, dtype=torch.int64)
        for rows, squares in self.blocks(first, second):
            least[rows], index[rows] = squares.min(1)
        return least, index

    def radii(self, which: int, k: int) -> Tensor:
        """Return (N, k) squared distances of a set's vectors to their k nearest others.

        They ascend.
        """
        norms = self.norms[which]
        found = norms.new_empty((len(norms), k))
        for rows, squares in self.blocks(which, which):
            found[rows] = squares.topk(k, dim=1, largest=False).values
        return found


def squared_norms(vectors: Tensor) -> Tensor:
    """Return (N,) of (N, d), by a reduction that makes no copy of the vectors."""
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=1)
    return norms.square()


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Yield slices of the rows of a matrix of pairs, each of a bounded number."""
    size = max(1, _BLOCK // columns)
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))
