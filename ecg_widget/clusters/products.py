"""Products of rows with centres: tile by tile, so that the same data give the same bits on any number of threads.

A large matrix product is cut among threads wherever the library likes, and rows at a cut are added up in another order
than the rest; a batch of many small products is cut between them. Everything that k-means adds up is such a batch.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional

BLOCK_ROWS = 16_384  # rows a block: its products with 20 centres stay in a core's cache
TILE_ROWS = 128  # rows of one small matrix product, which one thread does alone
LEAST_TILES = (
    32  # products done at once: of fewer, a library cuts each among threads, and its bits depend on their number
)


def squared_distances(x: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distances ``(row, cluster)``, never below 0.

    They lie cluster by cluster in memory, where the least over clusters takes a tenth of the time.

    Parameters
    ----------
    x
        ``(row, feature)``.
    centers
        ``(cluster, feature)``.

    Examples
    --------
    >>> squared_distances(torch.tensor([[0.0, 3.0]]), torch.tensor([[0.0, 0.0], [4.0, 3.0]]))
    tensor([[ 9., 16.]])
    """
    out = x.new_empty((len(centers), len(x)))
    half = centers.square().sum(1)[:, None] / 2
    for rows, tiles in tiled(x):
        near = products(tiles, centers).sub_(half).transpose(0, 1).reshape(len(centers), -1)
        length = torch.linalg.vector_norm(x[rows], dim=1).square_()
        torch.sub(length, near[:, : len(length)], alpha=2, out=out[:, rows])
    return out.clamp_(min=0).T


def two_nearest(x: torch.Tensor, centers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Nearest centre of each row, and the squared distances to it and to the second nearest.

    Parameters
    ----------
    x
        ``(row, feature)``.
    centers
        ``(cluster, feature)``, at least two.

    Returns
    -------
    labels : torch.Tensor
        ``(row,)`` int64; the first of several that are equally near.
    first, second : torch.Tensor
        ``(row,)``.

    Examples
    --------
    >>> two_nearest(torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [7.0], [3.0]]))
    (tensor([0, 1]), tensor([1., 4.]), tensor([9., 4.]))
    """
    labels = torch.empty(len(x), dtype=torch.int64, device=x.device)
    first, second = x.new_empty(len(x)), x.new_empty(len(x))
    half = centers.square().sum(1)[:, None] / 2
    for rows, tiles in tiled(x):
        n = rows.stop - rows.start
        near = products(tiles, centers).sub_(half)
        best = near.max(1, keepdim=True)
        labels[rows] = best.indices.flatten()[:n]
        others = near.scatter_(1, best.indices, -torch.inf).amax(1)
        length = torch.linalg.vector_norm(x[rows], dim=1).square_()
        first[rows] = (length - 2 * best.values.flatten()[:n]).clamp_(min=0)
        second[rows] = (length - 2 * others.flatten()[:n]).clamp_(min=0)
    return labels, first, second


def products(tiles: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Products of every row with every centre, ``(tile, cluster, row)``: what runs over clusters runs over whole rows.

    Parameters
    ----------
    tiles
        ``(tile, row, feature)``.
    centers
        ``(cluster, feature)``.
    """
    return torch.bmm(centers.expand(len(tiles), -1, -1), tiles.transpose(1, 2))


def sums(members: torch.Tensor, tiles: torch.Tensor) -> torch.Tensor:
    """Weighted sums of rows ``(cluster, feature)`` float64, those of some thousand rows added up in their own dtype.

    Parameters
    ----------
    members
        ``(tile, cluster, row)``, the weight of every row in every sum.
    tiles
        ``(tile, row, feature)``.
    """
    return torch.bmm(members, tiles).sum(0).double()


def total(values: torch.Tensor) -> float:
    """Sum of all values, in float64 and in a fixed order: a long sum is cut among threads as a product is."""
    return sum(float(part.sum(dtype=torch.float64)) for part in torch.split(values.flatten(), BLOCK_ROWS))


def tiled(x: torch.Tensor, block_rows: int = BLOCK_ROWS) -> Iterator[tuple[slice, torch.Tensor]]:
    """Blocks of rows as tiles ``(tile, row, feature)``; only the rows left over, less than a tile, are copied.

    Parameters
    ----------
    x
        ``(row, feature)``.
    block_rows
        Rows of a block at most.

    Yields
    ------
    rows : slice
        Rows of the block.
    tiles : torch.Tensor
        At least `LEAST_TILES`. Those of the last block are filled up with zeros.
    """
    for rows, size in blocks(len(x), block_rows):
        block = x[rows]
        missing = -len(block) % size
        missing = max(missing, LEAST_TILES * size - len(block))
        filled = functional.pad(block, (0, 0, 0, missing)) if missing else block
        yield rows, filled.reshape(-1, size, x.shape[1])


def blocks(n: int, block_rows: int = BLOCK_ROWS) -> Iterator[tuple[slice, int]]:
    """Rows of each block, about as many in all of them, and rows of a tile in it."""
    even = -(-n // max(1, -(-n // block_rows)) // TILE_ROWS) * TILE_ROWS
    for start in range(0, n, even) if n else ():
        stop = min(n, start + even)
        size = tile_rows(stop - start)
        whole = start + (stop - start) // size * size
        if whole - start < LEAST_TILES * size:
            whole = start
        if start < whole:
            yield slice(start, whole), size
        if whole < stop:
            yield slice(whole, stop), tile_rows(stop - whole)


def tile_rows(n: int) -> int:
    """Rows of a tile of `n` rows: a power of two, so that there are `LEAST_TILES` where there are enough rows."""
    return min(TILE_ROWS, 1 << max(0, (n // LEAST_TILES).bit_length() - 1))
