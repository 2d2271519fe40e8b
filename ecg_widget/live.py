"""`explore`: records and a network in, a live view out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import xarray as xr
from torch import nn

from ecg_widget.activations import Activations
from ecg_widget.captured import Store
from ecg_widget.clusters.kmeans import somebody_waits
from ecg_widget.explorer import CACHE_BYTES, Explorer
from ecg_widget.fits import ANCHOR
from ecg_widget.lifetime import close_on_rerun, pause_earlier
from ecg_widget.widget import ECGWidget

__all__ = ["ECGWidget", "explore"]


def explore(
    net: nn.Module | None = None,
    ds: xr.Dataset | None = None,
    *,
    ecg: xr.Dataset | None = None,
    activations: Activations | None = None,
    layers: str | Sequence[str] | None = None,
    n_clusters: int = ANCHOR,
    threshold: float | None = None,
    record: str | None = None,
    target: str | None = None,
    device: torch.device | str | None = None,
    random_state: int = 0,
    cache_bytes: int = CACHE_BYTES,
    store: Store = "float32",
) -> ECGWidget:
    """Show records as a network sees them: segments on the trace, and three sliders.

    Parameters
    ----------
    net
        An `ECGNetwork`, or any ``torch.nn.Module`` that takes ``(record, lead, time)``.
    ds, ecg
        Records of the data contract, under either name; clusters are shared by all of them.
    activations
        In place of `net`: activations of these records, see `ecg_widget.activations_from_arrays`.
    layers
        Layers to cluster, or ``"last-three-blocks"`` (if None), ``"finest"``, ``"all"``.
    n_clusters
        2 to 20.
    threshold
        Entropy above which a cell is greyed, 0 to 1; if None, such that a tenth of the first record is.
    record, target
        Shown first; the first of each if None.
    device
        Torch device of network and clustering; CUDA where there is one, else the CPU, if None.
    random_state
        Seed of the clustering.
    cache_bytes
        Bytes of activations, embeddings, fits and results that are kept, see `Explorer`.
    store
        ``"float16"`` keeps activations in half the memory, see `ecg_widget.activations`.

    Returns
    -------
    ECGWidget
        Display it as the last line of a cell. Running the cell again closes it.

    Raises
    ------
    ValueError
        Records that do not fit the data contract or the network; a layer that does not exist.
    TypeError
        No records or two sets of them; no network and no activations, or both.
    traitlets.TraitError
        A number of clusters, threshold, record or target out of range.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> w = explore(ecg.load_network(), ecg.load_example(), n_clusters=6)
    >>> w.result["cluster"].dims, w.result.sizes["cluster"], w.error
    (('cell',), 6, '')
    >>> w.close()
    """
    source = [part for part in (net, activations) if part is not None]
    records = [part for part in (ds, ecg) if part is not None]
    if len(source) != 1 or len(records) != 1:
        raise TypeError(
            f"explore: expected a network or activations, and one set of records, got {len(source)} and "
            f"{len(records)}; call explore(net, ds) or explore(ecg=ds, activations=...)"
        )
    pause_earlier()
    with somebody_waits():
        explorer = Explorer(
            source[0],
            records[0],
            layers=layers,
            device=device,
            random_state=random_state,
            cache_bytes=cache_bytes,
            store=store,
        )
        given = {"threshold": threshold, "record": record, "target": target}
        widget = ECGWidget(explorer, n_clusters=n_clusters, **{k: v for k, v in given.items() if v is not None})
    close_on_rerun(widget)
    return widget
