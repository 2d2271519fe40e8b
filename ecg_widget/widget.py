"""`ECGWidget`: what answers the user's choices, between an `Explorer` and the page."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets as t
import xarray as xr

from ecg_widget.ahead import FIRST_REST_S, REST_S, TOLD_S
from ecg_widget.choices import choices
from ecg_widget.chosen import Chosen
from ecg_widget.clusters.kmeans import somebody_waits
from ecg_widget.controls import Controls
from ecg_widget.explorer import Explorer
from ecg_widget.export import page_size, to_html
from ecg_widget.iframe import Frame, to_iframe
from ecg_widget.lifetime import forget
from ecg_widget.still import save_view, scene_of_view, with_picture
from ecg_widget.traits import Encoded, Ready, Result
from ecg_widget.view_state import restore_state, view_state
from ecg_widget.waveforms import overview, waveform
from ecg_widget.wire import encode

if TYPE_CHECKING:
    from ecg_widget.figures.shapes import Scene

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


class ECGWidget(Chosen):
    """A live view of an ECG as a network sees it; made by `ecg_widget.explore`.

    The user's traits may be set from the page or from Python; the others are Python's answers. A move that the page
    answers itself (threshold, target, a number of clusters that is ready) sends nothing while the hand moves: Python
    has it half a second after the last such move, or when the focus leaves the widget.

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
    span : list of float
        Of a long recording: beginning and end in s of the part that `waveform` and `result` are about, whole windows of
        10 s (or of the length that the network reads); empty for recordings that are shown whole.
    calipers : list of dict
        What has been measured in the page, of all records, in the order in which it was placed, see
        `ecg_widget.calipers`. May be set from Python: the page draws it, and fills values in when it next measures.
    display : dict
        How the paper looks, where it was chosen otherwise than at first, see `ecg_widget.calipers.check_display`.
    selection : dict
        What is selected on the page or in Python: ``{"record": name, "intervals": [[from, to], ...], "label": text}``
        in s; empty for nothing. It stays where it is in time while layers and number of clusters move. `selected` has
        it as xarray.
    cluster_names : dict
        By the letter of a cluster, which goes with its colour while layers and number of clusters move: a dict with any
        of ``name`` and ``note`` (text), ``merged`` (letter of the cluster that it is shown as) and ``hidden`` (bool).
    result : xarray.Dataset or None
        Of the shown record, see `Explorer.result`. Replaced, never changed. The page may be shown a first answer from
        some of the cells until the exact one is there; reading it in Python waits for the exact one.
    ready : object or None
        Results for other numbers of clusters, computed in the background so that a move to one of them takes a frame.
    waveform : xarray.Dataset or None
        See `ecg_widget.waveforms.waveform`.
    overview : xarray.Dataset or None
        Of a long recording, see `ecg_widget.waveforms.overview`.
    choices : dict
        What the controls offer.
    error, progress : str
        What went wrong, what is being computed; empty if nothing.
    still : str
        Class of the static picture that stands in a notebook for the view, see `ecg_widget.still`.
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

    result: t.TraitType[xr.Dataset | None, xr.Dataset | None] = Result(encode)
    ready: t.TraitType[Ready | None, Ready | None] = Encoded(Ready.encoded)
    waveform: t.TraitType[xr.Dataset | None, xr.Dataset | None] = Encoded(encode)
    overview: t.TraitType[xr.Dataset | None, xr.Dataset | None] = Encoded(encode)
    choices = t.Dict().tag(sync=True, echo_update=False)
    error = t.Unicode().tag(sync=True, echo_update=False)
    progress = t.Unicode().tag(sync=True, echo_update=False)
    still = t.Unicode(read_only=True).tag(sync=True, echo_update=False)

    def __init__(self, explorer: Explorer, **traits: Any) -> None:
        self.explorer = explorer
        self._reads = threading.local()
        self._moving = threading.RLock()
        self._reading = threading.Event()  # set: no longer
        self._controls: list[Controls] = []
        chosen = {
            "layers": explorer.default_layers,
            "record": str(explorer.ds["record"].values[0]),
            "span": list(explorer.windows.span() or []),
            "target": next(iter(explorer.network.targets), ""),
            **traits,
        }
        super().__init__(**chosen)
        self.choices = choices(explorer)
        explorer.on_progress = self._show_progress
        self.observe(self._update, ["layers", "n_clusters", "record", "span"])
        with somebody_waits():
            if "threshold" not in traits:
                self._first_threshold()
            self._update()

    def _first_threshold(self) -> None:
        """Grey a share of what is shown first, by its first draft: the same number with a page and without one."""
        try:
            first = self._computed(draft=True)
        except (ValueError, RuntimeError, MemoryError):
            return  # which `_update` will say
        if bool(first["valid"].any()):
            quantile = np.nanquantile(first["entropy"].values, 1 - UNCERTAIN_SHARE)
            self.threshold = round(float(np.ceil(quantile * 100)) / 100, 2)

    @t.default("still")
    def _new_still(self) -> str:
        return f"ecg-still-{secrets.token_hex(8)}"

    def pause(self) -> None:
        """Stop what is computed ahead, until the next move."""
        self._reading.set()
        self.explorer.ahead.interrupt()

    def close(self) -> None:
        """Leave the page and free caches and device memory."""
        self.pause()
        for controls in self._controls:
            controls.close()
        self.explorer.close()
        if self.comm is not None:  # a page keeps the model of a closed widget, which need not keep its data
            state = dict.fromkeys(("waveform", "result", "ready", "overview"))
            for _ in range(2):  # once more, as the model also keeps its state before the last change
                self._send({"method": "update", "state": state, "buffer_paths": []})
        self.layout.close()  # a widget of its own, which nothing else closes
        super().close()
        forget(self)

    def _update(self, change: Any = None) -> None:
        """Bring `waveform` and `result` to the user's choice, in one message; on an error what still holds stays."""
        new_record = change is None or change.name == "record"
        self.explorer.ahead.interrupt()
        with somebody_waits(), self._moving, self.hold_sync():
            try:
                if self.explorer.offer(self.layers):
                    self.choices = choices(self.explorer)
                if new_record:
                    self.overview = overview(self.explorer, self.record)
                if new_record or change.name == "span":
                    self.waveform = waveform(self.explorer, self.record, self.span)
                draft = change is None or change.name in self._property_lock  # the page moved: it cannot wait
                self.result = self._computed(draft=draft and self._followed)
                self.error = ""
            except (ValueError, RuntimeError, MemoryError) as error:
                self.result = None if new_record else self.result
                self._fail(error)
            self.progress = ""
        if new_record:
            self._read_on()
        self._look_ahead(FIRST_REST_S if change is None else REST_S)

    def _read_on(self) -> None:
        """Read a long recording in the background, for the overview."""
        self._reading.set()
        if self.overview is None or not self._followed:
            return
        stop = self._reading = threading.Event()
        record, pyramid, told = self.record, self.explorer.pyramid(self.record), [time.monotonic()]

        def tell(read: float) -> None:
            if read == 1 or time.monotonic() - told[0] > TOLD_S:
                told[0] = time.monotonic()
                with self._moving:
                    if not stop.is_set():
                        self.overview = overview(self.explorer, record)

        threading.Thread(target=pyramid.build, args=(stop, tell), name="ecg-widget reading", daemon=True).start()

    def _computed(self, *, draft: bool) -> xr.Dataset:
        return self.explorer.result(self.record, self.layers, self.n_clusters, span=self.span, draft=draft)

    @property
    def _followed(self) -> bool:
        """Whether there may be a page, for which exact results follow drafts."""
        return getattr(self.comm, "kernel", None) is not None

    @property
    def _choice(self) -> tuple[Any, ...]:
        """What results computed ahead belong to, for any number of clusters."""
        return self.record, tuple(self.layers), self.explorer.windows.span(self.span)

    def _look_ahead(self, rest_s: float = REST_S) -> None:
        if not self.error and self._followed:
            choice = self._choice
            self.explorer.prefetch(
                self.record,
                self.layers,
                self.n_clusters,
                partial(self._take, choice),
                partial(self._miss, choice),
                span=self.span,
                rest_s=rest_s,
            )
            self.progress = ""

    def _take(self, choice: tuple[Any, ...], results: dict[int, xr.Dataset]) -> None:
        """Keep what the background has computed for a choice, unless the user has moved on."""
        with self._moving:
            if choice != self._choice:
                return
            found = Ready(choice, results)
            self.ready = found if self.ready is None else self.ready.joined(found)
            if self._shown is not None and self._shown.attrs["draft"] and self.n_clusters in results:
                self.result = results[self.n_clusters]

    def _miss(self, choice: tuple[Any, ...], error: Exception) -> None:
        """Say why a draft is not followed by the exact result."""
        with self._moving:
            if choice == self._choice and self._shown is not None and self._shown.attrs["draft"]:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        log.error("%s", type(error).__name__, exc_info=error)
        self.error = str(error) or type(error).__name__

    @property
    def _shown(self) -> xr.Dataset | None:
        """`result` as it stands, be it a draft."""
        shown: xr.Dataset | None = self._trait_values.get("result")
        return shown

    def _finish(self) -> None:
        """Put the exact result in the place of a draft."""
        self.explorer.ahead.interrupt()
        with somebody_waits(), self._moving:
            if self._shown is not None and self._shown.attrs["draft"]:
                try:
                    self.result = self._computed(draft=False)
                except (ValueError, RuntimeError, MemoryError) as error:
                    self._fail(error)
                self.progress = ""
        self._look_ahead()

    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What is sent to the page: a result as it stands, be it a draft."""
        with self._as_it_stands():
            return dict(super().get_state(*args, **kwargs))

    def notify_change(self, change: Any) -> None:
        """Tell the page and observers of a change, without computing anything."""
        with self._as_it_stands():
            super().notify_change(change)

    @contextmanager
    def _as_it_stands(self) -> Iterator[None]:
        before, self._reads.drafts = getattr(self._reads, "drafts", False), True
        try:
            yield
        finally:
            self._reads.drafts = before

    def _should_send_property(self, key: str, value: Any) -> bool:
        """What the page has among `ready` is not sent once more."""
        if key == "result" and self.ready is not None and self.ready.holds(self._shown):
            return False
        return bool(super()._should_send_property(key, value))

    def controls(self, *names: str) -> Controls:
        """Sliders and selectors of ipywidgets that are linked with this view, for dashboards and ``interact``.

        Parameters
        ----------
        names
            Of ``"layers", "n_clusters", "threshold", "record", "target"``; all of them without one.

        Returns
        -------
        Controls
            A `ipywidgets.VBox`, see `ecg_widget.controls.Controls`. Each call gives others, all linked.
        """
        made = Controls(self, names)
        self._controls = [*(controls for controls in self._controls if controls.linked), made]
        return made

    @property
    def state(self) -> dict[str, Any]:
        """The user's choices as JSON; setting it restores the same view, see `ecg_widget.view_state`."""
        return view_state(self)

    @state.setter
    def state(self, state: Mapping[str, Any] | str) -> None:
        restore_state(self, state)

    def to_html(self, path: str | Path, **options: Any) -> int:
        """Write one HTML file with the live view, that needs neither Python nor a network; its bytes.

        Options are those of `ecg_widget.export.to_html`: records, layers, n_clusters, names, title, max_bytes.
        """
        return to_html(self, path, **options)

    def export_size(self, **options: Any) -> int:
        """Bytes that `to_html` would write with the same options; nothing is written."""
        return page_size(self, **options)

    def to_iframe(self, **options: Any) -> Frame:
        """Freeze the view into an output that stays interactive without a kernel, for the last line of a cell.

        Options are those of `ecg_widget.iframe.to_iframe`: height, max_bytes, and those of `to_html`.
        """
        return to_iframe(self, **options)

    def to_svg(self, path: str | Path, *, width_mm: float | None = None, **options: Any) -> None:
        """Write what is shown as SVG on millimetre-exact ECG paper; options of `ecg_widget.figures.save_segments`."""
        save_view(self, path, "svg", width_mm=width_mm, **options)

    def to_pdf(self, path: str | Path, *, width_mm: float | None = None, **options: Any) -> None:
        """Write what is shown as PDF on millimetre-exact ECG paper; options of `ecg_widget.figures.save_segments`."""
        save_view(self, path, "pdf", width_mm=width_mm, **options)

    def to_png(self, path: str | Path, *, width_mm: float | None = None, dpi: float = 300, **options: Any) -> None:
        """Write what is shown as PNG on millimetre-exact ECG paper; options of `ecg_widget.figures.save_segments`."""
        save_view(self, path, "png", width_mm=width_mm, dpi=dpi, **options)

    def picture_scene(self) -> Scene:
        """What a static picture of the view shows, as it stands; see `ecg_widget.figures.shapes.Scene`."""
        if self._shown is None:
            raise ValueError("result: expected segments to draw, got none")
        return scene_of_view(self, self._shown)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The view, and beside it a static picture for pages without a kernel: saved notebooks, nbconvert, MyST."""
        return with_picture(self, super()._repr_mimebundle_(**kwargs))

    def _show_progress(self, text: str) -> None:
        self.progress = text
        self.send_state("progress")  # at once, while the rest is held
