"""One HTML file with the live view in it: no kernel, no network, results computed before."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import platform
import zlib
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ecg_widget.choices import choices
from ecg_widget.container import pack
from ecg_widget.explorer import SEGMENTS_S, Explorer
from ecg_widget.files import write_whole
from ecg_widget.fits import N_CLUSTERS
from ecg_widget.view_state import fingerprint
from ecg_widget.waveforms import waveform
from ecg_widget.wire import GAP, encode

if TYPE_CHECKING:
    from ecg_widget.widget import ECGWidget

__all__ = ["FORMAT", "compact", "page", "page_size", "to_html"]

FORMAT = 1  # of the data in a page, see js/src/host.ts
Beside = Callable[[dict[str, str], list[list[str]], list[int]], tuple[dict[str, Any], dict[str, Any], str]]
_SCRIPT = Path(__file__).parent / "static" / "page.js"
_STEPS = 16_300  # of entropy between 0 and 1: a multiple of 100, twice of which fits int16
_UNUSED = ("margin", "probability")  # which the page does not show
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 16px; font: 14px/1.5 system-ui, sans-serif; background: #ffffff; color: #1a1c1e; }
details { margin: 16px 0 0; max-width: 80em; }
summary { cursor: pointer; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; }
dt { color: #5c6167; }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-line; }
@media (prefers-color-scheme: dark) { body { background: #111315; color: #e8eaec; } dt { color: #a4abb3; } }
"""


def to_html(
    widget: ECGWidget,
    path: str | Path,
    *,
    records: Iterable[str] | None = None,
    layers: Iterable[str | Sequence[str]] | None = None,
    n_clusters: Iterable[int] | None = None,
    names: bool = False,
    title: str = "Segments of an ECG as a network sees it",
    max_bytes: int | None = None,
    beside: Beside | None = None,
) -> int:
    """Write the widget as one HTML file that works without Python and without a network.

    All three sliders are live for what is exported. The file forbids itself every request (Content-Security-Policy).

    Parameters
    ----------
    widget
        What `ecg_widget.explore` returned.
    path
        Of the file; replaced whole or not at all.
    records
        Names of records; the shown one if None.
    layers
        Choices of layers: each one name or several that are clustered together; all that the slider offers if None.
    n_clusters
        Numbers of clusters; 2 to 20 if None.
    names
        Whether the records' names and the name of their source are written. Without it records are ``"record 1"``,
        ``"record 2"``, in the order of `records`; what patients are called is never written.
    title
        Of the page.
    max_bytes
        Largest file that is written; any if None.
    beside
        What else the page holds, see `ecg_widget.side_by_side`.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    ValueError
        A record, layer or number of clusters that does not exist; a file larger than `max_bytes`, with what to leave
        out; a part of a long recording that is too long to show cells.
    FileNotFoundError
        No such folder.

    Examples
    --------
    >>> import tempfile
    >>> import ecg_widget as ecg
    >>> w = ecg.explore(ecg.load_network(), ecg.load_example(), n_clusters=4)
    >>> few = {"layers": ["blocks.3"], "n_clusters": range(3, 6)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_html(w, f"{folder}/figure.html", **few) == page_size(w, **few)
    True
    >>> w.close()
    """
    path = Path(path)
    if not path.parent.is_dir():  # before minutes of work
        raise FileNotFoundError(f"{path}: expected an existing folder, found none; make it first")
    text, parts = page(
        widget, records=records, layers=layers, n_clusters=n_clusters, names=names, title=title, beside=beside
    )
    data = text.encode()
    if max_bytes is not None and len(data) > max_bytes:
        listed = "; ".join(f"{name} {_size(size)}" for name, size in parts.items())
        raise ValueError(
            f"max_bytes: expected a file of at most {_size(max_bytes)}, got {_size(len(data))}: {listed}. "
            "Leave out records, choices of layers or numbers of clusters, the largest first"
        )
    write_whole(path, data)
    return len(data)


def page_size(widget: ECGWidget, **options: Any) -> int:
    """Bytes of the file that `to_html` would write with the same options; nothing is written.

    Results are computed for it and kept, so that `to_html` after it takes little time.
    """
    return len(page(widget, **options)[0].encode())


def page(
    widget: ECGWidget,
    *,
    records: Iterable[str] | None = None,
    layers: Iterable[str | Sequence[str]] | None = None,
    n_clusters: Iterable[int] | None = None,
    names: bool = False,
    title: str = "Segments of an ECG as a network sees it",
    beside: Beside | None = None,
) -> tuple[str, dict[str, int]]:
    """Text of the page and the bytes of its parts, see `to_html`; `beside` gives what else the page holds."""
    if not _SCRIPT.is_file():
        raise ImportError(f"{_SCRIPT.name}: expected the page's code in the package, found none; build it: make setup")
    explorer = widget.explorer
    chosen = _names("records", [widget.record] if records is None else records)
    known = explorer.ds["record"].values.astype(str).tolist()
    if missing := [name for name in chosen if name not in known]:
        raise ValueError(f"records: expected some of {known[:5]}, got {missing[:3]}")
    listed = [explorer.check_layers(c) for c in (explorer.choices if layers is None else list(layers))]
    combined = [list(c) for c in dict.fromkeys(map(tuple, listed))]
    numbers = sorted(set(range(N_CLUSTERS[0], N_CLUSTERS[1] + 1) if n_clusters is None else n_clusters))
    wrong = [k for k in numbers if not isinstance(k, (int, np.integer)) or not N_CLUSTERS[0] <= k <= N_CLUSTERS[1]]
    if wrong or not numbers or not combined:
        raise ValueError(
            f"n_clusters, layers: expected at least one choice of layers and whole numbers from {N_CLUSTERS[0]} to "
            f"{N_CLUSTERS[1]}, got {combined} and {numbers}"
        )
    span = explorer.windows.span(widget.span)
    if span is not None and span[1] - span[0] > SEGMENTS_S:
        raise ValueError(
            f"span: expected at most {SEGMENTS_S:g} s, of which cells are shown, got {span[1] - span[0]:g} s; set "
            "w.span to a part of the recording first"
        )
    shown = {name: name if names else f"record {i}" for i, name in enumerate(chosen, 1)}
    waveforms = {shown[name]: _recording(widget, name, shown[name], names=names) for name in chosen}
    results, missing_why, facts = computed(explorer, shown, combined, [int(k) for k in numbers], widget.span)
    about = _about(widget, shown, combined, [int(k) for k in numbers], facts, names=names)
    data = {
        "format": FORMAT,
        "traits": {
            "layers": widget.layers if widget.layers in combined else combined[0],
            "n_clusters": min(numbers, key=lambda k: (abs(k - widget.n_clusters), k)),
            "threshold": widget.threshold,
            "record": shown.get(widget.record, next(iter(shown.values()))),
            "target": widget.target,
            "display": widget.display,
            "cluster_names": widget.cluster_names,
            "calipers": [{**c, "record": shown[c["record"]]} for c in widget.calipers if c["record"] in shown],
            "selection": _selection(widget, shown),
        },
        "choices": offered(explorer, combined, [int(k) for k in numbers], list(shown.values())),
        "waveforms": waveforms,
        "results": results,
        "missing": missing_why,
    }
    if beside is not None:
        more, facts_of_more, methods = beside(shown, combined, [int(k) for k in numbers])
        data |= more
        about |= facts_of_more
        about["methods"] += methods
    packed = _packed(data)
    script = _SCRIPT.read_text(encoding="utf-8")
    parts = {"the page's code": len(script)}
    parts["recordings"] = len(_packed({"waveforms": waveforms}))
    for i, combination in enumerate(combined):
        one = [by_layers[i] for by_layers in results.values()]
        parts[f"results of {'+'.join(combination)}"] = len(_packed({"results": one}))
    return _html(script, packed, about, title), parts


def compact(result: xr.Dataset) -> xr.Dataset:
    """A result with less to carry: clusters as int8, entropy in steps of 1/16300.

    Parameters
    ----------
    result
        See `Explorer.result`.

    Returns
    -------
    xarray.Dataset
        Without ``margin`` and ``probability``. ``entropy`` is int16 with ``attrs["scale"]`` and -32768 for NaN; it is
        above a threshold of 0.00, 0.01, ... 1.00 if and only if it was before, and ``attrs["entropy_error"]`` is its
        largest absolute difference, at most 1/32600.

    Examples
    --------
    >>> small = compact(xr.Dataset({"entropy": ("cell", np.float32([0, 0.3, 0.30000004, np.nan]))}))
    >>> small["entropy"].values.tolist(), small.attrs["entropy_error"] < 1 / 32600 + 1e-7
    ([0, 9779, 9781, -32768], True)
    """
    out = result.drop_vars([name for name in _UNUSED if name in result])
    entropy = out["entropy"]
    values = entropy.values
    edges = (np.arange(_STEPS + 1) / _STEPS).astype(np.float32)  # among them every threshold of the slider
    above = np.searchsorted(edges, values, side="left")
    whole = np.where(np.isnan(values), GAP, np.where(above == 0, 0, 2 * above - 1)).astype(np.int16)
    scale = 1 / (2 * _STEPS)
    error = float(np.nanmax(np.abs(np.where(whole == GAP, np.nan, whole * scale) - values), initial=0.0))
    out["entropy"] = (entropy.dims, whole, {**entropy.attrs, "scale": scale})
    if "cluster" in out.variables:
        out["cluster"] = (out["cluster"].dims, out["cluster"].values.astype(np.int8), out["cluster"].attrs)
    return out.assign_attrs(entropy_error=error)


def offered(explorer: Explorer, combined: list[list[str]], numbers: list[int], records: list[str]) -> dict[str, Any]:
    """What the controls of a page offer, see `ecg_widget.choices.choices`."""
    known = {tuple(c["value"]): c for c in choices(explorer)["layers"]}
    for one in combined:
        known.setdefault(tuple(one), {"value": one, "label": " + ".join(one), "stride_ms": 0, "width_ms": 0})
    return {
        "layers": [known[tuple(c)] for c in combined],
        "n_clusters": [numbers[0], numbers[-1]],
        "records": records,
        "targets": list(explorer.network.targets),
    }


def computed(
    explorer: Explorer,
    shown: dict[str, str],
    combined: list[list[str]],
    numbers: list[int],
    span: Sequence[float],
    *,
    without: Sequence[str] = (),
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str], dict[str, Any]]:
    """Encoded results by record, place of layers and number; why some are not there; what all have in common."""
    results: dict[str, list[dict[str, Any]]] = {}
    missing: dict[str, str] = {}
    facts: dict[str, Any] = {"entropy_error": 0.0, "methods": [], "tau": {}}
    for record, label in shown.items():
        results[label] = []
        for place, layers in enumerate(combined):
            found = {}
            for k in numbers:
                try:
                    result = compact(explorer.result(record, layers, k, span=span))
                except ValueError as error:  # fewer cells than clusters
                    missing[f"{label}\n{place}\n{k}"] = str(error)
                    continue
                result = result.drop_vars([name for name in without if name in result.variables])
                result.attrs["record"] = label
                facts["entropy_error"] = max(facts["entropy_error"], result.attrs.pop("entropy_error"))
                facts["tau"][" + ".join(layers)] = result.attrs["tau"]
                if result.attrs["contribution_method"] not in ["", *facts["methods"]]:
                    facts["methods"].append(result.attrs["contribution_method"])
                found[str(k)] = encode(result)
            results[label].append(found)
    if not any(found for by_layers in results.values() for found in by_layers):
        raise ValueError(f"n_clusters: no result for any of these records: {next(iter(missing.values()))}")
    return results, missing, facts


def _selection(widget: ECGWidget, shown: dict[str, str]) -> dict[str, Any]:
    """What is selected of a record of the page, under the record's name there."""
    record = widget.selection.get("record")
    return {**widget.selection, "record": shown[record]} if record in shown else {}


def _recording(widget: ECGWidget, record: str, label: str, *, names: bool) -> dict[str, Any]:
    one = waveform(widget.explorer, record, widget.span)
    one.attrs["record"] = label
    for name in ("signal", "lead", "time"):  # attributes of a file may say anything
        one[name].attrs = {k: v for k, v in one[name].attrs.items() if k in ("units", "scale", "sampling_rate")}
    if not names:
        one.attrs["source"] = ""  # the name of a file, or a path
    return encode(one)


def _about(
    widget: ECGWidget,
    shown: dict[str, str],
    combined: list[list[str]],
    numbers: list[int],
    facts: dict[str, Any],
    *,
    names: bool,
) -> dict[str, Any]:
    """Where the figure comes from, as JSON."""
    explorer, ds = widget.explorer, widget.explorer.ds
    network = explorer.network
    rate = explorer.windows.rate
    sha = fingerprint(explorer)
    layers = [" + ".join(c) for c in combined]
    clusters = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
    methods = (
        f"Activations of {network.name} (SHA-256 {sha[:16] or 'not known'}) in {', '.join(layers)} were "
        f"standardised, embedded and split into {clusters} clusters by k-means (seed {explorer.random_state}), shared "
        f"by {ds.sizes['record']} recording(s) of {ds.sizes['time'] / rate:g} s at {rate:g} Hz. Cells whose entropy "
        "of the soft assignment is above the threshold are shown as uncertain."
    )
    if facts["methods"]:
        methods += f" Contributions of clusters to each output: {'; '.join(facts['methods'])}."
    return {
        "kind": "figure of ecg_widget",
        "format": FORMAT,
        "methods": methods,
        "network": {"name": network.name, "sha256": sha},
        "layers": combined,
        "n_clusters": numbers,
        "threshold": widget.threshold,
        "seed": explorer.random_state,
        "temperature": facts["tau"],
        "entropy_error": facts["entropy_error"],
        "data": {
            "records": {label: _data_id(explorer, name, widget.span) for name, label in shown.items()},
            "filters": str(ds.attrs.get("filters", "")),
            **({"source": str(ds.attrs.get("source", ""))} if names else {}),
        },
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of Python and of what the numbers depend on."""
    from ecg_widget import __version__  # noqa: PLC0415  (the package imports this module)

    out = {"ecg_widget": __version__, "python": platform.python_version()}
    for name in ("numpy", "scikit-learn", "torch", "xarray"):
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "not known"
    return out


def _data_id(explorer: Explorer, record: str, span: Sequence[float]) -> str:
    """SHA-256 of the samples (float32, lead by lead), which say which recording it is to whoever has it."""
    signal = explorer.signal(record, span)["signal"].transpose("lead", "time")
    return hashlib.sha256(np.ascontiguousarray(signal.values, dtype="<f4").tobytes()).hexdigest()


def _html(script: str, packed: str, about: dict[str, Any], title: str) -> str:
    if "</script" in script.lower() or "<!--" in script:
        raise RuntimeError("page.js: expected code that can stand inside HTML; build it anew: make setup")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    rows = {
        "Network": f"{about['network']['name']}, SHA-256 {about['network']['sha256'] or 'not known'}",
        "Layers": "; ".join(" + ".join(c) for c in about["layers"]),
        "Clusters": ", ".join(map(str, about["n_clusters"])),
        "Seed": about["seed"],
        "Data (SHA-256 of the samples)": "\n".join(f"{k}: {v}" for k, v in about["data"]["records"].items()),
        "Filters": about["data"]["filters"] or "none",
        "Error of entropy": f"at most {about['entropy_error']:.1e}, by rounding",
        "Versions": ", ".join(f"{k} {v}" for k, v in about["versions"].items()),
    }
    if "other" in about:
        other = about["other"]
        rows |= {
            "Second side": f"{other['network']['name']}, SHA-256 {other['network']['sha256'] or 'not known'}",
            "Its layers": "; ".join(" + ".join(c) for c in other["layers"]),
            "Its clusters": ", ".join(map(str, other["n_clusters"])),
        }
    listed = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(str(v))}</dd>" for k, v in rows.items())
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        '<main id="ecg-view"><noscript>This figure needs JavaScript, which this browser does not run.</noscript></main>'
        f'\n<details id="ecg-about"><summary>About this figure</summary>\n<p>{html.escape(about["methods"])}</p>\n'
        f"<dl>{listed}</dl>\n</details>\n"
        f'<script type="application/json" id="ecg-provenance">{in_script(about)}</script>\n'
        f'<script type="text/plain" id="ecg-data">{packed}</script>\n<script>{script}</script>\n</body>\n</html>\n'
    )


def in_script(value: Any) -> str:
    r"""JSON that no parser of HTML takes for anything else.

    Examples
    --------
    >>> in_script({"a": "</script><!--&"})
    '{"a": "\\u003c/script\\u003e\\u003c!--\\u0026"}'
    """
    text = json.dumps(value, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _packed(tree: dict[str, Any]) -> str:
    return base64.b64encode(zlib.compress(pack(tree), 9)).decode()


def _names(what: str, names: Iterable[str]) -> list[str]:
    found = [names] if isinstance(names, str) else list(dict.fromkeys(map(str, names)))
    if not found:
        raise ValueError(f"{what}: expected at least one, got none")
    return found


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.2f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:.1f} kB"
