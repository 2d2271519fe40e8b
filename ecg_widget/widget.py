"""`ECGWidget`: traits and observers between an `Explorer` and the page, nothing else."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets as t
import xarray as xr
from torch import nn

from ecg_widget.activations import Activations
from ecg_widget.explorer import Explorer
from ecg_widget.fits import ANCHOR, N_CLUSTERS
from ecg_widget.lifetime import close_on_rerun, forget
from ecg_widget.wire import encode, quantise

log = logging.getLogger(__name__)

_BUNDLE = Path(__file__).parent / "static" / "widget.js"
UNCERTAIN_SHARE = 0.1  # the first threshold greys this share of the shown record's cells: its most uncertain tenth


def _bundle() -> str | Path:
    """The page's code as text; a Path is watched for changes by a thread that keeps every instance alive."""
    if not _BUNDLE.is_file():
        raise ImportError(f"{_BUNDLE.name}: expected the page's code in the package, found none; build it: make setup")
    if os.environ.get("ANYWIDGET_HMR") == "1":
        return _BUNDLE
    return "// ecg_widget\n" + _BUNDLE.read_text(encoding="utf-8")  # of one line, it would be taken for a file's name


class _Ready:
    """Results of one record and choice of layers for many numbers of clusters, as they travel to the page."""

    def __init__(self, results: Mapping[int, xr.Dataset]) -> None:
        self.results = dict(results)

    def holds(self, result: xr.Dataset | None) -> bool:
        """Whether the page has this very result."""
        return result is not None and self.results.get(result.attrs["n_clusters"]) is result

    def encoded(self) -> dict[str, Any]:
        """By number of clusters, as JSON has it: text."""
        return {str(k): encode(result) for k, result in sorted(self.results.items())}


class _Encoded(t.TraitType[Any, Any]):
    """Something in Python, JSON with buffers on the way to the page; only Python writes it."""

    def __init__(self, encoded: Callable[[Any], Any]) -> None:
        super().__init__(default_value=None, allow_none=True)
        self.tag(
            sync=True,
            echo_update=False,
            to_json=lambda value, _widget: None if value is None else encoded(value),
            from_json=lambda _value, widget: getattr(widget, self.name or ""),
        )

    def set(self, obj: Any, value: Any) -> None:
        """Notify by identity: ``==`` of Datasets is a Dataset, which is true."""
        old = obj._trait_values.get(self.name)  # noqa: SLF001  (the storage traitlets itself uses)
        obj._trait_values[self.name] = value  # noqa: SLF001
        if old is not value:
            obj._notify_trait(self.name, old, value)  # noqa: SLF001


class ECGWidget(anywidget.AnyWidget):  # type: ignore[misc]
    """A live view of an ECG as a network sees it; made by `explore`.

    The user's traits may be set from the page or from Python; the others are Python's answers.

    Attributes
    ----------
    layers : list of str
        Names of the clustered layers, in network order.
    n_clusters : int
        2 to 20.
    threshold : float
        Cells with an entropy above it are greyed, 0 to 1.
    record, target : str
        What is shown.
    result : xarray.Dataset or None
        Of the shown record, see `Explorer.result`. Replaced, never changed. After a move in the page it may be a
        first answer from some of the cells, see ``result.attrs["draft"]``; the exact one follows by itself.
    ready : object or None
        Results for other numbers of clusters, computed in the background so that a move to one of them takes a frame.
    waveform : xarray.Dataset or None
        ``signal (lead, time)`` int16 with ``attrs["scale"]`` in mV for each lead.
    choices : dict
        What the controls offer.
    error, progress : str
        What went wrong, what is being computed; empty if nothing.
    explorer : Explorer
        The computation behind the view; ``w.explorer.segmentation()`` has the segments of all records.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> w = ecg.explore(ecg.load_network(), ecg.load_example(), target="NORM")
    >>> w.n_clusters = 12  # as the slider does
    >>> w.result.sizes["cluster"], w.error
    (12, '')
    >>> w.close()
    """

    _esm = _bundle()

    layers = t.List(t.Unicode()).tag(sync=True)
    n_clusters = t.Int(ANCHOR).tag(sync=True)
    threshold = t.Float(0.5).tag(sync=True)
    record = t.Unicode().tag(sync=True)
    target = t.Unicode().tag(sync=True)
    result: t.TraitType[xr.Dataset | None, xr.Dataset | None] = _Encoded(encode)
    ready: t.TraitType[_Ready | None, _Ready | None] = _Encoded(_Ready.encoded)
    waveform: t.TraitType[xr.Dataset | None, xr.Dataset | None] = _Encoded(encode)
    choices = t.Dict().tag(sync=True, echo_update=False)
    error = t.Unicode().tag(sync=True, echo_update=False)
    progress = t.Unicode().tag(sync=True, echo_update=False)

    def __init__(self, explorer: Explorer, **traits: Any) -> None:
        self.explorer = explorer
        chosen = {
            "layers": explorer.default_layers,
            "record": str(explorer.ds["record"].values[0]),
            "target": next(iter(explorer.network.targets), ""),
            **traits,
        }
        super().__init__(**chosen)
        self._moving = threading.RLock()
        self.choices = _choices(explorer)
        explorer.on_progress = self._show_progress
        self.observe(self._update, ["layers", "n_clusters", "record"])
        self._update()
        if "threshold" not in traits and self.result is not None and bool(self.result["valid"].any()):
            entropy = self.result["entropy"].values
            self.threshold = round(float(np.ceil(np.nanquantile(entropy, 1 - UNCERTAIN_SHARE) * 100)) / 100, 2)

    @t.validate("layers")
    def _valid_layers(self, proposal: Any) -> list[str]:
        return self._checked(self.explorer.check_layers, proposal.value)

    @t.validate("n_clusters")
    def _valid_clusters(self, proposal: Any) -> int:
        low, high = N_CLUSTERS
        if not low <= proposal.value <= high:
            raise t.TraitError(f"n_clusters: expected a whole number from {low} to {high}, got {proposal.value}")
        return int(proposal.value)

    @t.validate("threshold")
    def _valid_threshold(self, proposal: Any) -> float:
        if not 0 <= proposal.value <= 1:
            raise t.TraitError(f"threshold: expected a number from 0 to 1, got {proposal.value}")
        return float(proposal.value)

    @t.validate("record", "target")
    def _valid_name(self, proposal: Any) -> str:
        name = proposal.trait.name
        known = (
            self.explorer.ds["record"].values.astype(str)
            if name == "record"
            else self.explorer.network.targets or ("",)
        )
        if proposal.value not in set(known):
            raise t.TraitError(f"{name}: expected one of {list(known)[:8]}, got {proposal.value!r}")
        return str(proposal.value)

    def close(self) -> None:
        """Leave the page and free caches and device memory."""
        self.explorer.close()
        self.layout.close()  # a widget of its own, which nothing else closes
        super().close()
        forget(self)

    def _checked(self, check: Any, value: Any) -> Any:
        try:
            return check(value)
        except ValueError as error:
            raise t.TraitError(str(error)) from error

    def _update(self, change: Any = None) -> None:
        """Bring `waveform` and `result` to the user's choice, in one message; on an error what still holds stays."""
        new_record = change is None or change.name == "record"
        moved_in_page = change is not None and change.name in self._property_lock
        self.explorer.ahead.interrupt()
        with self._moving, self.hold_sync():
            try:
                if self.explorer.offer(self.layers):
                    self.choices = _choices(self.explorer)
                if new_record:
                    self.waveform = _waveform(self.explorer, self.record)
                self.result = self.explorer.result(self.record, self.layers, self.n_clusters, draft=moved_in_page)
                self.error = ""
            except (ValueError, RuntimeError, MemoryError) as error:
                log.exception("%s", type(error).__name__)
                self.result = None if new_record else self.result
                self.error = str(error) or type(error).__name__
            self.progress = ""
        if not self.error and getattr(self.comm, "kernel", None) is not None:  # there may be a page
            choice = (self.record, tuple(self.layers))
            self.explorer.prefetch(self.record, self.layers, self.n_clusters, partial(self._take, choice))

    def _take(self, choice: tuple[str, tuple[str, ...]], results: dict[int, xr.Dataset]) -> None:
        """Keep what the background has computed for a choice, unless the user has moved on."""
        with self._moving:
            if choice != (self.record, tuple(self.layers)):
                return
            self.ready = _Ready(results)
            if self.result is not None and self.result.attrs["draft"] and self.n_clusters in results:
                self.result = results[self.n_clusters]

    def _should_send_property(self, key: str, value: Any) -> bool:
        """What the page has among `ready` is not sent once more."""
        if key == "result" and self.ready is not None and self.ready.holds(self.result):
            return False
        return bool(super()._should_send_property(key, value))

    def _show_progress(self, text: str) -> None:
        self.progress = text
        self.send_state("progress")  # at once, while the rest is held


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
    explorer = Explorer(source[0], records[0], layers=layers, device=device, random_state=random_state)
    given = {"threshold": threshold, "record": record, "target": target}
    widget = ECGWidget(explorer, n_clusters=n_clusters, **{k: v for k, v in given.items() if v is not None})
    close_on_rerun(widget)
    return widget


def _choices(explorer: Explorer) -> dict[str, Any]:
    layers = []
    for names in explorer.choices:
        shapes = [explorer.geometry(name) for name in names]
        finest = max(shapes, key=lambda a: a.sizes["cell"])
        widest = max(float(shape["width"].values[0]) for shape in shapes)
        layers.append(
            {
                "value": names,
                "label": _label(names),
                "stride_ms": round(1000 * float(finest.attrs["stride"]), 3),
                "width_ms": round(1000 * widest, 3),
            }
        )
    return {
        "layers": layers,
        "n_clusters": list(N_CLUSTERS),
        "records": explorer.ds["record"].values.astype(str).tolist(),
        "targets": list(explorer.network.targets),
    }


def _label(names: list[str]) -> str:
    """Short enough for a slider: ``blocks.1+2+3``."""
    parents = {name.rpartition(".")[0] for name in names}
    if len(names) == 1 or len(parents) > 1 or parents == {""}:
        return " + ".join(names)
    return f"{parents.pop()}." + "+".join(name.rpartition(".")[2] for name in names)


def _waveform(explorer: Explorer, record: str) -> xr.Dataset:
    one = explorer.signal(record)
    quantised, error = quantise(one["signal"].drop_vars("record"))
    source = explorer.ds.attrs.get("source", "")
    return xr.Dataset(
        {"signal": quantised},
        attrs={
            "record": record,
            "sampling_rate": float(one["time"].attrs["sampling_rate"]),
            "source": source if isinstance(source, str) else "",
            "filters": str(explorer.ds.attrs.get("filters", "")),
            "quantisation_error": error,
        },
    )
