"""Tables of ``ecg-widget evaluate explanations``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecg_widget.commands.evaluate.settings import number, say, text_table

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["print_tables", "table_rows"]

_LEGENDS = {
    "faithfulness": """mean fall of the logit over all steps (AOPC); p: Wilcoxon, one-sided, most important first above
random runs of equal lengths in the same records; versus: two-sided against the first order. With a mean over time and a
Linear layer as the head, Grad-CAM is the contribution""",
    "stability": """adjusted Rand index between segmentations of the explained records: 1 alike, 0 by chance""",
    "sanity": """mean (least to most) over draws of weights. clusters: adjusted Rand index with those of the trained
network; contributions, outputs: rank correlation with the trained network's; AMI: of clusters with P, QRS, T, none""",
    "uncertainty": """AUROC for records with a wrong label; Spearman: with the entropy of the predicted probabilities;
AURC: mean share of wrong labels among the surest records, over all coverages""",
    "audit": """suspicion: the lesser of the differences of network and surrogate to the label""",
}


def table_rows(results: dict[str, xr.Dataset]) -> list[dict[str, Any]]:
    """One row for each line of the tables, the name of its measure first; every record of the audit."""
    rows: list[dict[str, Any]] = []
    for name, result in results.items():
        kind = name.removesuffix("_waves")
        rows += [{"measure": name, **row} for row in _ROWS[kind](result)]
    return rows


def print_tables(results: dict[str, xr.Dataset], settings: dict[str, Any], n_audited: int) -> None:
    """Every result as text, with what its numbers mean."""
    folds = ", ".join(map(str, settings["folds"]))
    say(
        f"{settings['network_name']} on PTB-XL: {settings['records']} records of folds {folds}; "
        f"{settings['clusters']} clusters of {settings['layers']}, made from {settings['fit_records']} records of "
        f"folds {', '.join(map(str, settings['fit_folds']))}"
    )
    _print_faithfulness(results["faithfulness"])
    _print_stability(results["stability"], settings)
    for name in ("sanity", "sanity_waves"):
        if name in results:
            _print_sanity(results[name], "LUDB" if name == "sanity_waves" else "PTB-XL")
    say(_LEGENDS["sanity"])
    _print_uncertainty(results["uncertainty"])
    _print_audit(results["audit"], n_audited)


def _faithfulness(result: xr.Dataset) -> list[dict[str, Any]]:
    rows = []
    for name in result["explanation"].values.tolist():
        one = result.sel(explanation=name)
        means = {
            v: float(one[v].mean("record")) for v in map(str, one.data_vars) if v.startswith("aopc") and one[v].ndim
        }
        tests = {v: float(one[v]) for v in ("aopc_difference", "p_value", "p_value_t", "p_value_versus")}
        rows.append({"name": name, "n_records": result.attrs["n_records"], **means, **tests})
    return rows


def _print_faithfulness(result: xr.Dataset) -> None:
    say(f"\nfaithfulness: {result.attrs['n_records']} records, runs deleted in the order of their importance")
    rows = [
        [r["name"], *(number(r[f"aopc_{n}"], 2) for n in ("morf", "random", "lerf", "difference")), _p(r["p_value"]),
         _p(r["p_value_versus"]), number(r["aopc_insertion"], 2), number(r["aopc_insertion_random"], 2)]
        for r in _faithfulness(result)
    ]  # fmt: skip
    head = ["", "most first", "random", "least first", "most - random", "p", "p versus", "inserted", "random"]
    say(text_table([head, *rows]))
    say(_LEGENDS["faithfulness"])


def _stability(result: xr.Dataset) -> list[dict[str, Any]]:
    rows = []
    for k in result["n_clusters"].values.tolist():
        one = result.sel(n_clusters=k)
        row: dict[str, Any] = {"name": f"K={k}", "n_clusters": k, "ari_seed": float(one["ari_seed"].median())}
        row["ari_seed_least"] = float(one["ari_seed"].min())
        row["ari_bootstrap"] = float(one["ari_bootstrap"].median()) if one["ari_bootstrap"].size else float("nan")
        row |= {f"ari_shift {1000 * s:g} ms": float(v) for s, v in one["ari_shift"].to_series().items()}
        row |= {f"ari_noise {s:g} dB": float(v) for s, v in one["ari_noise"].to_series().items()}
        rows.append(row)
    return rows


def _print_stability(result: xr.Dataset, settings: dict[str, Any]) -> None:
    say(f"\nstability: {settings['seeds']} seeds, {settings['fit_records']} records clustered; median (least)")
    rows = _stability(result)
    lines = [[r["name"], f"{number(r['ari_seed'])} ({number(r['ari_seed_least'])})"] for r in rows]
    say(text_table([["", "other seeds"], *lines]))
    chosen = next(r for r in rows if r["n_clusters"] == settings["clusters"])
    say(f"\nat {settings['clusters']} clusters: other records (bootstrap) {number(chosen['ari_bootstrap'])}")
    for name, text in (("ari_shift", "shifted by"), ("ari_noise", "noise at")):
        each = [
            f"{key.removeprefix(name + ' ')}: {number(v)}" for key, v in chosen.items() if key.startswith(f"{name} ")
        ]
        if each:
            say(f"{text} {', '.join(each)}")
    say(_LEGENDS["stability"])


def _sanity(result: xr.Dataset) -> list[dict[str, Any]]:
    rows = []
    for stage in result["stage"].values.tolist():
        row: dict[str, Any] = {"name": stage}
        for name in ("ari", "proportion_distance", "contribution_rank", "output_rank", "ami"):
            if name in result:
                values = result[name].sel(stage=stage)
                row |= {name: float(values.mean()), f"{name}_least": float(values.min())}
                row[f"{name}_most"] = float(values.max())
        rows.append(row)
    rows.append({"name": "other seed", "ari": float(result["refit"].mean())})
    if "ami_signal" in result:
        rows.append({"name": "raw signal", "ami": float(result["ami_signal"].mean())})
    return rows


def _print_sanity(result: xr.Dataset, source: str) -> None:
    columns = {"ari": "clusters", "contribution_rank": "contributions", "output_rank": "outputs", "ami": "AMI"}
    columns = {key: text for key, text in columns.items() if key in result}
    say(f"\nsanity: weights drawn anew from the output on, {result.attrs['n_records']} records of {source}")
    rows = _sanity(result)
    say(text_table([["", *columns.values()], *([r["name"], *(_range(r, c) for c in columns)] for r in rows)]))
    last = rows[len(result["stage"]) - 1]
    say(f"all weights random: {number(last['ari'])} of the trained network's clusters are left (adjusted Rand index)")
    if "ami" in result:
        share = last["ami"] / rows[0]["ami"]
        raw = float(result["ami_signal"].mean()) / rows[0]["ami"]
        say(f"and {number(share)} of its alignment with waves; the raw signal has {number(raw)} of it")


def _range(row: dict[str, Any], name: str) -> str:
    if name not in row:
        return ""
    if f"{name}_least" not in row:
        return number(row[name])
    return f"{number(row[name])} ({number(row[f'{name}_least'])} to {number(row[f'{name}_most'])})"


def _uncertainty(result: xr.Dataset) -> list[dict[str, Any]]:
    rows = []
    for name in result["measure"].values.tolist():
        one = result.sel(measure=name)
        scores = ("auroc", "auroc_low", "auroc_high", "spearman", "p_value", "aurc")
        rows.append({"name": name, **{v: float(one[v]) for v in scores}})
    rows.append({"name": "random order", "auroc": 0.5, "aurc": float(result["risk"])})
    return [*rows, {"name": "best order", "auroc": 1.0, "aurc": float(result["aurc_best"])}]


def _print_uncertainty(result: xr.Dataset) -> None:
    say(
        f"\nuncertainty: {result.attrs['n_records']} labelled records, {number(float(result['error_rate']))} with a "
        f"wrong label, {number(float(result['risk']))} of labels wrong"
    )
    lines = []
    for r in _uncertainty(result):
        interval = f" ({number(r['auroc_low'])}-{number(r['auroc_high'])})" if "auroc_low" in r else ""
        rank = f"{number(r['spearman'])} (p {_p(r['p_value'])})" if "spearman" in r else ""
        lines.append([r["name"].replace("_", ", "), number(r["auroc"]) + interval, rank, number(r["aurc"])])
    say(text_table([["", "AUROC (95 %)", "Spearman", "AURC"], *lines]))
    say(_LEGENDS["uncertainty"])


def _audit(result: xr.Dataset) -> list[dict[str, Any]]:
    rows = []
    for i, record in enumerate(result["record"].values.tolist()):
        one = result.isel(record=i)
        target = str(one["suspect"].values)
        at = {n: one[n].sel(target=target) for n in ("prediction", "surrogate", "label")}
        rows.append(
            {
                "name": str(record),
                "rank": int(one["rank"]),
                "suspect": target,
                "suspicion": float(one["worst"]),
                **{n: float(v) for n, v in at.items()},
                "labels": "+".join(result["target"].values[one["label"].values.astype(bool)].astype(str)),
                "entropy": float(one["entropy"]),
            }
        )
    return rows


def _print_audit(result: xr.Dataset, n_audited: int) -> None:
    total = result.sizes["record"]
    say(f"\nlabel audit: the first {min(n_audited, total)} of {total} records; {result.attrs['surrogate']}")
    head = ["", "labels", "suspect", "suspicion", "network", "surrogate", "entropy"]
    lines = [
        [r["name"], r["labels"], f"{'' if r['label'] else 'not '}{r['suspect']}",
         *(number(r[n], 2) for n in ("suspicion", "prediction", "surrogate", "entropy"))]
        for r in _audit(result)[:n_audited]
    ]  # fmt: skip
    say(text_table([head, *lines]))
    say(_LEGENDS["audit"])


def _p(value: float) -> str:
    return "-" if value != value else f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"  # noqa: PLR0124  (NaN)


_ROWS = {
    "faithfulness": _faithfulness,
    "stability": _stability,
    "sanity": _sanity,
    "uncertainty": _uncertainty,
    "audit": _audit,
}
