"""``ecg-widget evaluate ludb``: alignment of clusters with the waves that experts marked."""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from ecg_widget.commands.evaluate.settings import add_shared, digest, network_of, number, say, show, text_table

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from ecg_widget.evaluation.fidelity import Arrays
    from ecg_widget.networks import ECGNetwork

NAME = "ludb"
HELP = """Compare clusters with the P waves, QRS complexes and T waves that cardiologists marked in LUDB.

On the clusters' own cells, for each choice of layers and number of clusters: adjusted mutual information with none, P,
QRS and T, its bootstrap interval over records, its distance from circularly shifted tracks in standard deviations, and
the same for k-means on the raw leads with as many clusters at the same cells. Where the last three blocks do not align
better than the raw signal, the layers that do are named."""

_LEGEND = """AMI: adjusted mutual information with the landmarks (95 %: bootstrap over records); signal: that of k-means
on the raw leads; z: against circular shifts; purity (of one single cluster); IoU: of the best cluster; boundaries: F1
within 40 and 80 ms (of shifted tracks)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_shared(parser, "LUDB's folder")
    parser.add_argument(
        "--landmarks",
        choices=("waves", "segments"),
        default="waves",
        help="none, P, QRS, T; or TP, P, PQ, QRS, ST, T; default: waves",
    )
    parser.add_argument("--shifts", type=int, default=200, help="circular shifts for the null; default: %(default)s")
    parser.add_argument("--draws", type=int, default=500, help="of records, for intervals; default: %(default)s")


def run(options: argparse.Namespace) -> int:
    """Evaluate, or print again what was evaluated."""
    from ecg_widget import __version__  # noqa: PLC0415
    from ecg_widget.activations import list_layers  # noqa: PLC0415
    from ecg_widget.clusters import TimeClusters  # noqa: PLC0415
    from ecg_widget.evaluation.journal import Journal  # noqa: PLC0415
    from ecg_widget.formats import ludb  # noqa: PLC0415

    folder = ludb.locate(options.data)
    if folder is None:
        raise ValueError(f"--data: expected LUDB's folder with RECORDS and ludb.csv, got {options.data}")
    net = network_of(options)
    clusters = options.clusters or [TimeClusters().n_clusters]
    settings = {
        "evaluation": NAME,
        "data": digest(folder / "RECORDS", *sorted((folder / "data").glob("*"))),
        "network": net.fingerprint,
        "network_name": net.name,
        "presets": options.presets,
        "clusters": clusters,
        "normalization": options.normalization,
        "n_init": TimeClusters().n_init,
        "landmarks": options.landmarks,
        "shifts": options.shifts,
        "draws": options.draws,
        "seed": options.seed,
        "version": __version__,
    }
    journal = Journal(options.output, NAME, settings, say=show)
    done = journal.results
    if done is None:
        ds = ludb.read(folder, missing=options.missing)
        delineated = _unpack(journal.keep("NeuroKit2", partial(_delineation, net, ds, options.landmarks)))
        rows = []
        for preset in options.presets:
            for k in clusters:
                step = f"{preset} K={k}"
                rows.append(_unpack(journal.keep(step, partial(_study, net, ds, preset, k, options))))
        singles = []
        if any(row["preset"] == "last-three-blocks" and not _aligns(row) for row in rows):
            for layer in list_layers(net):
                step = f"layer {layer} K={clusters[0]}"
                study = journal.keep(step, partial(_study, net, ds, layer, clusters[0], options))
                singles.append(_unpack(study))
        done = journal.finish(rows, neurokit2=delineated, layers_alone=singles)
    _print(done, net)
    say(f"{options.output / NAME}.json, {options.output / NAME}.csv")
    return 0


def _study(net: ECGNetwork, ds: xr.Dataset, preset: str, k: int, options: argparse.Namespace) -> Arrays:
    from ecg_widget.activations import activations  # noqa: PLC0415
    from ecg_widget.clusters import TimeClusters  # noqa: PLC0415
    from ecg_widget.evaluation.alignment import alignment  # noqa: PLC0415

    acts = activations(net, ds, preset.split("+") if "+" in preset else preset)
    clusters = TimeClusters(k, normalization=options.normalization, random_state=options.seed)
    result = alignment(
        clusters.fit_predict(acts),
        ds,
        landmarks=options.landmarks,
        n_shifts=options.shifts,
        n_bootstrap=options.draws,
        random_state=options.seed,
    )
    row: dict[str, Any] = {"preset": preset, "layers": "+".join(acts), "clusters": k}
    row |= {key: result.attrs[key] for key in ("cell_s", "n_cells", "n_records")}
    row |= {"ratio": float(result["ratio"]), "purity_majority": float(result["purity_majority"])}
    row |= {f"ratio_95_{b}": float(result["ratio_95"].sel(bound=b)) for b in ("low", "high")}
    for source in result["source"].values.tolist():
        here = result.sel(source=source)
        for name, array in here.data_vars.items():
            if "source" not in result[name].dims or "cluster" in array.dims:
                continue
            for at, value in array.stack(at=list(array.dims)).to_series().items() if array.ndim else [((), array)]:
                key = " ".join([source, str(name), *(str(part) for part in at)])
                row[key] = float(value)
    row["probability"] = result["probability"].sel(source="network").values.tolist()
    row["lift"] = result["lift"].sel(source="network").values.tolist()
    row["landmarks"] = result["landmark"].values.tolist()
    return _pack(row)


def _delineation(net: ECGNetwork, ds: xr.Dataset, landmarks: Any) -> Arrays:
    """How far NeuroKit2 agrees with the experts, on the finest cells: what to expect where there are no experts."""
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415

    from ecg_widget.activations import activations, list_layers  # noqa: PLC0415
    from ecg_widget.evaluation.delineation import delineate  # noqa: PLC0415
    from ecg_widget.evaluation.landmarks import cell_landmarks  # noqa: PLC0415

    cells = activations(net, ds, list_layers(net)[0])
    first = next(iter(cells.values()))
    found = delineate(ds)
    experts, theirs = (cell_landmarks(d, first, landmarks).values for d in (ds, found))
    both = (experts >= 0) & (theirs >= 0)
    out = {
        "source": found.attrs["wave_source"],
        "agreement": float((experts == theirs)[both].mean()) if both.any() else None,
        "kappa": float(cohen_kappa_score(experts[both], theirs[both])) if both.any() else None,
        "share_compared": float(both.sum() / (experts >= 0).sum()),
        "lead_agreement": float(found["lead_agreement"].mean()),
        "not_found": {str(w): float(v) for w, v in found["not_found"].mean("record").to_series().items()},
    }
    return _pack(out)


def _aligns(row: dict[str, Any]) -> bool:
    """Better than the raw signal in 97.5 % of draws of records, and than any shifted track."""
    return bool(row["ratio_95_low"] > 1 and row["network z"] > 20)


def _print(done: dict[str, Any], net: ECGNetwork) -> None:
    rows = done["rows"]
    say(f"{net.name} on LUDB: {rows[0]['n_records']} records, landmarks {', '.join(rows[0]['landmarks'])}")
    head = ["", "K", "cell", "AMI (95 %)", "signal", "ratio (95 %)", "z", "NMI", "purity"]
    waves = [w for w in rows[0]["landmarks"] if w not in ("none", "TP")]
    table = [[*head, *(f"IoU {w}" for w in waves), "boundaries 40", "80 ms"]]
    table += [_line(row, waves) for row in [*rows, *done["layers_alone"]]]
    say(text_table(table))
    say(_LEGEND)
    for row in rows[:1]:
        say(f"\n{row['preset']}, {row['clusters']} clusters: share of each landmark (times its share of all cells)")
        lines = [
            [
                chr(ord("A") + i % 26),
                *(f"{number(p, 2)} ({number(x, 1)})" for p, x in zip(probability, lift, strict=True)),
            ]
            for i, (probability, lift) in enumerate(zip(_nan(row["probability"]), _nan(row["lift"]), strict=True))
        ]
        say(text_table([["", *row["landmarks"]], *lines]))
    nk = done["neurokit2"]
    lacking = ", ".join(f"{wave} {number(share)}" for wave, share in nk["not_found"].items())
    say(
        f"\n{nk['source']}, which needs no experts, "
        f"agrees with the experts on {number(nk['agreement'])} of cells, kappa {number(nk['kappa'])}; "
        f"marks not found: {lacking}"
    )
    for row in rows:
        if row["preset"] == "last-three-blocks" and not _aligns(row):
            better = [r["preset"] for r in done["layers_alone"] if _aligns(r)]
            say(
                f"the last three blocks ({row['layers']}) do not align better than the raw signal at {row['clusters']} "
                f"clusters; {'these do alone: ' + ', '.join(better) if better else 'no single layer does'}"
            )


def _line(row: dict[str, Any], waves: list[str]) -> list[str]:
    low, high = (number(row[f"network ami_95 {b}"]) for b in ("low", "high"))
    ratio = f"{number(row['ratio'], 2)} ({number(row['ratio_95_low'], 2)}-{number(row['ratio_95_high'], 2)})"
    return [
        row["preset"],
        str(row["clusters"]),
        f"{1000 * row['cell_s']:.0f} ms",
        f"{number(row['network ami'])} ({low}-{high})",
        number(row["signal ami"]),
        ratio,
        number(row["network z"], 0),
        number(row["network nmi"]),
        f"{number(row['network purity'])} ({number(row['purity_majority'])})",
        *(number(row[f"network iou {w}"]) for w in waves),
        *(f"{number(row[f'network boundary_f1 {t}'])} ({number(row[f'network boundary_f1_shifted {t}'])})"
          for t in ("0.04", "0.08")),
    ]  # fmt: skip


def _nan(table: list[list[float | None]]) -> list[list[float]]:
    return [[float("nan") if v is None else v for v in row] for row in table]


def _pack(row: dict[str, Any]) -> Arrays:
    import numpy as np  # noqa: PLC0415

    return {"json": np.array(json.dumps(row))}


def _unpack(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    out: dict[str, Any] = json.loads(str(arrays["json"]))
    return out
