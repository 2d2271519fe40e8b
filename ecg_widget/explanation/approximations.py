"""Contributions through heads that no exact split exists for: integrated gradients and Shapley values of clusters."""

from __future__ import annotations

from math import factorial

import numpy as np
import torch

from ecg_widget.explanation.heads import Evidence, Head

STEP_TOLERANCE = 2e-4  # of the difference to the baseline that all steps together may miss before they are halved
MOST_HALVINGS = 5
MOST_PLAYERS = 10  # clusters in one record for exact Shapley values: 2^10 passes through the head


def integrated_gradients(head: Head, values: np.ndarray, baseline: np.ndarray, n_steps: int) -> Evidence:
    """Integrated gradients of the outputs with respect to the cells (Sundararajan et al. 2017).

    The gradient is averaged along the straight line from the baseline to the activations and multiplied by the
    difference; over all cells this adds up to ``f(activations) - f(baseline)`` but for the error of the quadrature. Of
    a head of ReLUs and maxima the gradient jumps along the way, and no fixed rule integrates jumps well. But for every
    step it is known what the gradient must add up to, the change of ``f``: steps that miss it are halved, up to five
    times.

    Parameters
    ----------
    head
        The part of the network behind the layer.
    values
        ``(record, cell, channel)`` float32.
    baseline
        ``(channel,)``, the activation that stands for no evidence.
    n_steps
        Equal steps at first; the gradient is taken in the middle of each.

    Returns
    -------
    Evidence
        Its intercept is ``f(baseline)``.
    """
    records, cells, channels = values.shape
    start = head.tensor(np.broadcast_to(baseline.astype(np.float32), (1, cells, channels)))
    change = head.tensor(values) - start
    intercept = _run(head, start)[0]
    largest = np.zeros(records)  # difference to the baseline
    for rows in head.passes(records, cells, channels):
        largest[rows] = np.abs(_run(head, start + change[torch.as_tensor(rows, device=head.device)]) - intercept).max(1)
    rounding = 8 * float(np.finfo(np.float32).eps) * (np.abs(intercept).max() + largest)
    limit = STEP_TOLERANCE * largest / n_steps + rounding
    total = torch.zeros((records, cells, len(intercept)), dtype=torch.float64, device=head.device)
    record, low = np.divmod(np.arange(records * n_steps), n_steps)
    width = 1 / n_steps
    low = low * width
    for halving in range(MOST_HALVINGS + 1):
        again = []
        for rows in head.passes(len(record), cells, 3 * channels):
            owner = torch.as_tensor(record[rows], device=head.device)
            share, off = _step(head, start, change[owner], low[rows], width)
            done = (off <= limit[record[rows]]) | (halving == MOST_HALVINGS)
            keep = torch.as_tensor(done, device=head.device)
            total.index_add_(0, owner[keep], share[keep])
            again.append(rows[~done])
        rest = np.concatenate(again) if again else np.array([], int)
        width /= 2
        record, low = np.repeat(record[rest], 2), (low[rest][:, None] + [0, width]).ravel()
    return Evidence(total.cpu().numpy(), intercept, f"integrated gradients, {n_steps} steps")


def _step(
    head: Head, start: torch.Tensor, change: torch.Tensor, low: np.ndarray, width: float
) -> tuple[torch.Tensor, np.ndarray]:
    """What some steps add ``(row, cell, target)``, and how far each is from the change of the outputs ``(row,)``."""

    def at(position: np.ndarray) -> torch.Tensor:
        return start + torch.as_tensor(position, device=change.device).to(change)[:, None, None] * change

    middle = at(low + width / 2).requires_grad_()
    out = head(middle)
    n_targets = out.shape[1]
    share = (
        torch.stack(
            [
                (torch.autograd.grad(out[:, c].sum(), middle, retain_graph=c < n_targets - 1)[0] * change).sum(2)
                for c in range(n_targets)
            ],
            dim=2,
        ).double()
        * width
    )
    ends = _run(head, torch.cat([at(low), at(low + width)]))
    wanted = ends[len(low) :] - ends[: len(low)]
    return share, np.abs(share.sum(1).cpu().numpy() - wanted).max(1)


def shapley_values(
    head: Head, values: np.ndarray, baseline: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Exact Shapley values of groups of cells, the players of a cooperative game (Shapley 1953).

    The value of a coalition is the head's output when the share of every cell that belongs to an absent player is
    replaced by the baseline. Every coalition is evaluated, so nothing is sampled.

    Parameters
    ----------
    head
        The part of the network behind the layer.
    values
        ``(record, cell, channel)`` float32.
    baseline
        ``(channel,)``.
    shares
        ``(record, cell, player)`` in [0, 1], how much of each cell belongs to each player; rows sum to 1.

    Returns
    -------
    contribution : numpy.ndarray
        ``(record, player, target)``; 0 for a player without any cell.
    intercept : numpy.ndarray
        ``(target,)``, the output at the baseline.

    Raises
    ------
    ValueError
        More than ten clusters (and masked cells besides) in a record.
    """
    records, cells, channels = values.shape
    start = np.broadcast_to(baseline.astype(np.float32), (1, cells, channels))
    intercept = _run(head, head.tensor(start))[0]
    out = np.zeros((records, shares.shape[2], len(intercept)))
    for n in range(records):
        players = np.flatnonzero(shares[n].any(0))
        if len(players) > MOST_PLAYERS + 1:
            raise ValueError(
                f"clusters: expected at most {MOST_PLAYERS} in a record for exact Shapley values, got {len(players)}; "
                "use method='ig' or fewer clusters"
            )
        present = ((np.arange(1 << len(players))[:, None] >> np.arange(len(players))) & 1).astype(np.float32)
        weight = present @ shares[n][:, players].T.astype(np.float32)  # (coalition, cell)
        difference = values[n] - start[0]
        worth = np.concatenate(
            [
                _run(head, head.tensor(start + weight[rows][:, :, None] * difference[None]))
                for rows in head.passes(len(weight), cells, channels)
            ]
        )
        out[n, players] = _shapley(worth, present.astype(bool))
    return out, intercept


def _shapley(worth: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Shapley values ``(player, target)`` of coalitions that are numbered by their bits."""
    n = present.shape[1]
    weight = np.array([factorial(size) * factorial(n - size - 1) / factorial(n) for size in range(n)])
    size = present.sum(1)
    out = np.empty((n, worth.shape[1]))
    for player in range(n):
        without = np.flatnonzero(~present[:, player])
        gain = worth[without | (1 << player)] - worth[without]
        out[player] = weight[size[without]] @ gain
    return out


def _run(head: Head, cells: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return head(cells).double().cpu().numpy()
