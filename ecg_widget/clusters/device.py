"""Lloyd's algorithm for accelerators: several runs in one pass over the rows, the host asked only now and then.

The centres of all runs stand in one product, so that rows are read once for all of them. A host that waits for the
result of each iteration would leave the device idle; here runs that have converged stand still by a flag on the device,
and the host looks at the flags after several iterations. Where a cluster was left empty meanwhile, those iterations are
done again with the rule for empty clusters, for which the host must look each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch

from ecg_widget.clusters.interruption import stop_if_interrupted
from ecg_widget.clusters.moments import inertia, means, refilled, variance
from ecg_widget.clusters.sketch import Rows

PRODUCTS = 2**24  # row-centre pairs at once: 64 MB of float32, and as much again for what belongs where
ITERATIONS = 8  # between two looks of the host

Run = tuple[torch.Tensor, torch.Tensor, float, int, bool]


def lloyd(rows: Rows, inits: Sequence[torch.Tensor], max_iter: int, tol: float) -> list[Run]:
    """Run from several starts at once.

    Parameters
    ----------
    rows
        On any device.
    inits
        ``(cluster, feature)`` each, of any numbers of clusters, relative to the origin.
    max_iter, tol
        As for `kmeans`.

    Returns
    -------
    list of tuple
        Of each start: centres relative to the origin, labels ``(row,)`` int64, inertia, iterations, whether it
        converged.

    Examples
    --------
    >>> rows = Rows(torch.tensor([[0.0], [0.1], [5.0], [5.1]]))
    >>> starts = [torch.tensor([[-1.0], [1.0]]), torch.tensor([[-3.0], [0.0], [2.6]])]
    >>> [(len(centers), round(inertia, 3), done) for centers, _, inertia, _, done in lloyd(rows, starts, 300, 1e-5)]
    [(2, 0.01, True), (3, 0.01, True)]
    """
    state = _Runs(rows, inits, max_iter, tol)
    done = state.finished()
    while len(done) < len(inits):
        before = state.snapshot()
        for _ in range(ITERATIONS):
            stop_if_interrupted()
            state.iterate()
        if bool(state.emptied):
            state.restore(before)
            for _ in range(ITERATIONS):
                stop_if_interrupted()
                state.refill()
                state.iterate()
        done |= state.finished()
    return [done[run] for run in range(len(inits))]


class _Runs:
    """Runs that have not ended yet, their clusters one after the other in one table."""

    def __init__(self, rows: Rows, inits: Sequence[torch.Tensor], max_iter: int, tol: float) -> None:
        self._rows, self._max_iter = rows, max_iter
        self._names = list(range(len(inits)))
        self._sizes = [len(init) for init in inits]
        self._centers = torch.cat(list(inits))
        device = rows.x.device
        # Of 32,767 clusters at most; as int64 the labels of 20 runs would take as much memory as 40 features.
        self._labels = torch.full((len(inits), len(rows.x)), -1, dtype=torch.int16, device=device)
        self._n_iter = torch.zeros(len(inits), dtype=torch.int64, device=device)
        self._active = self._n_iter < max_iter
        self._converged = torch.zeros_like(self._active)
        self.emptied = torch.zeros((), dtype=torch.bool, device=device)
        self._sums = torch.zeros(self._centers.shape, dtype=torch.float64, device=device)
        self._counts = self._sums.new_zeros(len(self._centers))
        self._arrange()
        self._assign()
        self._limit = tol * variance(rows, self._sums[: self._sizes[0]])

    def iterate(self) -> None:
        """One iteration of every run that has not converged; nothing here waits for the device."""
        active = self._active[self._run]
        self.emptied |= ((self._counts == 0) & active).any()
        moved = means(self._rows, self._centers, self._sums, self._counts)
        moved = torch.where(active[:, None], moved, self._centers)
        shift = self._member @ (moved - self._centers).double().square().sum(1)
        self._centers = moved
        changed = self._assign()
        self._n_iter += self._active
        still = (shift <= self._limit) | (changed == 0)
        self._converged |= still & self._active
        self._active = self._active & ~still & (self._n_iter < self._max_iter)

    def refill(self) -> None:
        """Apply the rule for empty clusters."""
        for run, (start, stop) in enumerate(self._spans):
            if bool(self._active[run]):
                part, labels = slice(start, stop), self._labels[run].long()
                self._sums[part], self._counts[part] = refilled(
                    self._rows, labels, self._centers[part], self._sums[part], self._counts[part]
                )

    def snapshot(self) -> tuple[torch.Tensor, ...]:
        """What `restore` needs."""
        return self._centers, self._n_iter.clone(), self._active, self._converged.clone()

    def restore(self, before: tuple[torch.Tensor, ...]) -> None:
        """Go back to where `snapshot` was taken."""
        self._centers, self._n_iter, self._active, self._converged = before
        self._assign()

    def finished(self) -> dict[int, Run]:
        """Results of the runs that have ended, which are left out from now on."""
        self.emptied.zero_()
        active = self._active.tolist()
        done: dict[int, Run] = {}
        for run, (start, stop) in enumerate(self._spans):
            if not active[run]:
                labels, centers = self._labels[run].long(), self._centers[start:stop]
                left = inertia(self._rows, labels, centers, self._sums[start:stop], self._counts[start:stop])
                n_iter, converged = int(self._n_iter[run]), bool(self._converged[run])
                done[self._names[run]] = (centers.clone(), labels, left, n_iter, converged)
        if done and len(done) < len(active):
            kept = [run for run, going in enumerate(active) if going]
            rows = torch.cat([torch.arange(*self._spans[run]) for run in kept]).to(self._centers.device)
            self._names = [self._names[run] for run in kept]
            self._sizes = [self._sizes[run] for run in kept]
            self._centers, self._sums, self._counts = self._centers[rows], self._sums[rows], self._counts[rows]
            self._labels, self._n_iter = self._labels[kept], self._n_iter[kept]
            self._active, self._converged = self._active[kept], self._converged[kept]
            self._arrange()
        return done

    def _arrange(self) -> None:
        self._spans = list(pairwise(accumulate(self._sizes, initial=0)))
        at = self._centers.device
        self._first = torch.tensor([start for start, _ in self._spans], device=at)[:, None]
        runs = torch.arange(len(self._sizes))
        self._run = torch.repeat_interleave(runs, torch.tensor(self._sizes)).to(at)  # of each centre
        self._member = (self._run == runs[:, None].to(at)).double()

    def _assign(self) -> torch.Tensor:
        """Nearest centre of each row in every run, sums and counts; how many rows changed cluster, of every run."""
        x = self._rows.x
        offsets = self._rows.offsets(self._centers)
        self._sums.zero_()
        self._counts.zero_()
        changed = self._n_iter.new_zeros(len(self._spans))
        step = max(1, PRODUCTS // len(self._centers))
        for start in range(0, len(x), step):
            part = x[start : start + step]
            near = torch.addmm(offsets, self._centers, part.T, beta=-1)
            nearest = torch.stack([near[begin:end].max(0).indices for begin, end in self._spans])
            before = self._labels[:, start : start + step]
            changed += (before != nearest).sum(1)
            before.copy_(nearest)
            members = near.zero_().scatter_(0, nearest + self._first, 1)
            self._sums += (members @ part).double()
            self._counts += members.sum(1).double()
        return changed
