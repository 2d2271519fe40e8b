"""Which rows may have another nearest centre than before: told from their projections on a few directions.

For a row x = p + r and a centre c = s + t, with p and s in a subspace and r and t orthogonal to it, the product of x
and c lies within |r| |t| of that of p and s. Means of many rows lie nearly in the subspace in which the rows vary most,
so t is short, and products of 30 numbers in place of 256 prove for nearly every row that its centre is still the
nearest. Only the others are compared with all centres. Nothing is approximate: what is not proved is computed.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ecg_widget.clusters.products import LEAST_TILES, TILE_ROWS, products, sums, tiled, total

LEAST_ROWS = 8_192  # of fewer, comparing all with all centres takes less time than making a sketch
SAMPLE_ROWS = 512  # on which the directions are found
FEW_CENTERS = 12
DIRECTIONS = (30, 62)  # for few centres, for more; with the two columns of the bounds a multiple of 32
MOST_LEFT = 0.3  # share of the squared length outside of the subspace, above which too little would be proved
BLOCK_TILES = 256  # compared at once: what is compared stays in a core's cache
ROUNDING = 32  # units in the last place, of a product of the longest row and centre, that are taken for a tie
FAR = 16.0  # times the mean squared distance to the mean: rows that far from 0 are moved, or products would lose digits


class Rows:
    """Rows to be clustered, with what all runs of k-means on them share.

    Parameters
    ----------
    x
        ``(row, feature)``, floating, finite.

    Attributes
    ----------
    x : torch.Tensor
        The rows less `shift`: the very tensor that was given, where `shift` is 0.
    shift : torch.Tensor
        ``(feature,)``, not 0 only for rows so far from 0 that their products would lose digits.
    origin : torch.Tensor
        ``(feature,)`` near the mean of `x`. Centres are held relative to it.
    squared : torch.Tensor
        ``(row,)`` squared lengths of the rows of `x`.
    length : float
        Of the longest one.

    Examples
    --------
    >>> rows = Rows(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    >>> rows.origin.tolist(), rows.squared.tolist(), rows.length
    ([2.0, 0.0], [1.0, 9.0], 3.0)
    """

    def __init__(self, x: torch.Tensor) -> None:
        few = x[:: max(1, len(x) // LEAST_ROWS)]
        self.origin, self.shift = few.mean(0), x.new_zeros(x.shape[1])
        far = float(self.origin.square().sum())
        if far * (1 + FAR) > FAR * float(torch.linalg.vector_norm(few, dim=1).square().mean()):
            x, self.shift, self.origin = x - self.origin, self.origin, self.shift
        self.x = x
        self.squared = torch.linalg.vector_norm(x, dim=1).square_()
        self.length = float(self.squared.max()) ** 0.5
        self._sketches: dict[int, Sketch | None] = {}

    def sketch(self, n_clusters: int) -> Sketch | None:
        """One for so many clusters, made when first asked for; None where it would not pay."""
        n_directions = DIRECTIONS[n_clusters > FEW_CENTERS]
        if n_directions not in self._sketches:
            enough = len(self.x) >= LEAST_ROWS and self.x.shape[1] >= 3 * n_directions
            basis = directions(self, n_directions) if enough else None
            self._sketches[n_directions] = None if basis is None else Sketch(self, basis)
        return self._sketches[n_directions]

    def offsets(self, centers: torch.Tensor) -> torch.Tensor:
        """``(cluster, 1)``: a row's product with a centre, less this, is greatest for the nearest centre."""
        wide = centers.double()
        return (wide.square().sum(1) / 2 + (wide * self.origin.double()).sum(1))[:, None].to(centers)

    def give(self, centers: torch.Tensor, eps: float | None = None) -> float:
        """By how much rounding may change such a difference."""
        longest = float(centers.square().sum(1).max()) ** 0.5
        return ROUNDING * (eps or torch.finfo(self.x.dtype).eps) * self.length * longest

    def doubtful(self, centers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Rows ``(row,)`` of which another centre may be the nearest now, by comparing all with all centres.

        Parameters
        ----------
        centers
            ``(cluster, feature)`` relative to the origin.
        labels
            ``(row,)`` int64, of each row so far.
        """
        offsets, give = self.offsets(centers), self.give(centers)
        doubts = torch.empty(len(self.x), dtype=torch.bool)
        for rows, tiles in tiled(self.x):
            near = products(tiles, centers).sub_(offsets)
            own = _tile_like(labels[rows], near)
            least = near.gather(1, own).sub_(give)
            doubts[rows] = _beaten(near, own, least)[: rows.stop - rows.start]
        return doubts.nonzero().flatten()


class Sketch:
    """Projections of rows, a small copy of them that proves most labels.

    Parameters
    ----------
    rows
        All rows.
    basis
        ``(direction, feature)`` float32, orthonormal.
    """

    def __init__(self, rows: Rows, basis: torch.Tensor) -> None:
        self._rows = rows
        n, p = len(rows.x), len(basis)
        self._basis = functional.pad(basis, (0, 0, 0, max(0, LEAST_TILES - p))).double()[:, None]
        self._n_directions = p
        self._columns = torch.zeros(max(-(-n // TILE_ROWS), LEAST_TILES), p + 2, TILE_ROWS)
        start = self._project(rows.origin[None])
        directions = torch.cat([basis.to(rows.x), rows.origin[None]])
        squared = rows.squared.float() + float(rows.origin.square().sum())  # will be of the distances to the origin
        for part, tiles in tiled(rows.x):
            along = products(tiles, directions).float()
            squared[part] -= 2 * along[:, p].flatten()[: part.stop - part.start]
            self._put(part, along[:, :p].sub_(start.T))
        projected = torch.linalg.vector_norm(self._columns[:, :p], dim=1).square_().flatten()[:n]
        rest = self._columns.new_zeros(len(self._columns) * TILE_ROWS)
        # Of rows within the subspace, rounding leaves about so much.
        least = 8 * torch.finfo(torch.float32).eps * rows.length**2
        rest[:n] = (squared - projected).clamp_(min=0).add_(least).sqrt_()
        self._columns[:, p] = rest.view(-1, TILE_ROWS)
        self._columns[:, p + 1] = 1

    def doubtful(self, centers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """As `Rows.doubtful`, from the projections: somewhat more rows, much sooner."""
        wide = centers.double()
        along = self._project(wide)
        squared = wide.square().sum(1, keepdim=True)
        rest = (squared - along.double().square().sum(1, keepdim=True)).clamp_(min=0).sqrt_().float()
        most = torch.cat([along, rest, (squared / -2).float()], 1)  # the most that a row's nearness can be
        twice, give = 2 * rest.flatten(), self._rows.give(centers, torch.finfo(torch.float32).eps)
        found = []
        parts = self._columns.tensor_split(-(-len(self._columns) // BLOCK_TILES))
        row = 0
        for columns in parts:
            n = min(len(columns) * TILE_ROWS, len(labels) - row)
            near = torch.bmm(most.expand(len(columns), -1, -1), columns)
            own = _tile_like(labels[row : row + n], near)
            least = near.gather(1, own)
            least -= twice.index_select(0, own.flatten()).view_as(least).mul_(columns[:, None, -2]).add_(give)
            found.append(_beaten(near, own, least)[:n].nonzero().flatten().add_(row))
            row += n
        return torch.cat(found)

    def _project(self, centers: torch.Tensor) -> torch.Tensor:
        """``(cluster, direction)`` float32."""
        along = products(self._basis, centers.double()).squeeze(2)
        return along[: self._n_directions].T.float()

    def _put(self, part: slice, along: torch.Tensor) -> None:
        """Write projections ``(tile, direction, row)`` of some rows into their columns."""
        p, size = self._n_directions, along.shape[2]
        if size == TILE_ROWS and part.start % size == 0:
            self._columns[part.start // size : part.start // size + len(along), :p] = along
        else:
            at = torch.arange(part.start, part.stop)
            some = along.transpose(1, 2).reshape(-1, p)[: len(at)]
            self._columns[at // TILE_ROWS, :p, at % TILE_ROWS] = some


def directions(rows: Rows, n: int) -> torch.Tensor | None:
    """Directions in which the rows vary most, ``(direction, feature)`` float32, orthonormal.

    Two steps of subspace iteration on some of the rows; None where much of their length lies outside.
    """
    some = rows.x[:: max(1, len(rows.x) // SAMPLE_ROWS)] - rows.origin
    _, tiles = next(tiled(some, len(some)))
    found = some[:: len(some) // n][:n]
    for _ in range(2):
        found = functional.normalize(sums(products(tiles, found), tiles), dim=1).to(some)
    basis = torch.linalg.qr(found.double().T).Q.T.float()
    kept = total(products(tiles, basis.to(some)).square()) / total(tiles.square())
    return basis.contiguous() if kept > 1 - MOST_LEFT else None


def _tile_like(labels: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
    """``(tile, 1, row)``, filled up with 0."""
    missing = len(near) * near.shape[2] - len(labels)
    return (functional.pad(labels, (0, missing)) if missing else labels).view(len(near), 1, -1)


def _beaten(near: torch.Tensor, own: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    """Whether another centre than a row's own is at least so near, ``(row,)``. Overwrites `near`."""
    return (near.scatter_(1, own, -torch.inf).amax(1, keepdim=True) >= least).flatten()
