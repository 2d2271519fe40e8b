"""Print the tables of README from what ``ecg-widget evaluate`` wrote: ``python tests/bench/readme_tables.py FOLDER ...``.

Each folder holds ``ptbxl.json``, ``ludb.json``, or both, of one network.
"""

import json
import sys
from pathlib import Path

DEFAULT = 10  # clusters


def short(value, digits=3):
    return "-" if value is None else f"{value:.{digits}f}".replace("0.", ".", 1)


def rows(folder, name):
    file = folder / f"{name}.json"
    return json.loads(file.read_text()) if file.is_file() else {"rows": [], "settings": {}}


def controls(folder, k=DEFAULT):
    done = rows(folder, "ptbxl")
    yield f"{done['settings'].get('network_name')}: {sum(done['settings']['records'].values())} records, {k} clusters"
    yield "| | agreement | kappa | accuracy | AUROC | AUROC, hard labels |"
    yield "|---|---|---|---|---|---|"
    for row in done["rows"]:
        if row["clusters"] == k and row["preset"] == "last-three-blocks":
            cells = (
                f"{short(row[f'{s}_mean'])} ± {short(row[f'{s}_sd'])}"
                for s in ("agreement", "kappa", "accuracy", "auroc", "auroc_hard")
            )
            yield f"| {row['surrogate']} | {' | '.join(cells)} |"


def curve(folder):
    ptbxl, ludb = rows(folder, "ptbxl"), rows(folder, "ludb")
    yield "| clusters | agreement | kappa | on fold 9 | AMI, last three | signal | ratio (95 %) | ratio, finest | ratio, all |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in (r for r in ptbxl["rows"] if r["surrogate"] == "clusters"):
        at = {r["preset"]: r for r in ludb["rows"] if r["clusters"] == row["clusters"]}
        here = at["last-three-blocks"]
        cells = [
            str(row["clusters"]),
            f"{short(row['agreement_mean'])} ± {short(row['agreement_sd'])}",
            f"{short(row['kappa_mean'])} ± {short(row['kappa_sd'])}",
            f"{short(row['agreement fold 9'])}, {short(row['kappa fold 9'])}",
            short(here["network ami"]),
            short(here["signal ami"]),
            f"{here['ratio']:.2f} ({here['ratio_95_low']:.2f} to {here['ratio_95_high']:.2f})",
            *(f"{at[p]['ratio']:.2f}" for p in ("finest", "all") if p in at),
        ]
        yield f"| {' | '.join(cells)} |"


def explanations(folder):
    done = rows(folder, "explanations")
    for row in done["rows"]:
        if row["measure"] == "stability":
            yield f"| {row['n_clusters']} | {short(row['ari_seed'])} | {short(row['ari_seed_least'])} |"
        elif row["measure"] != "audit":
            yield str({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items() if v is not None})


def alignment(folder):
    done = rows(folder, "ludb")
    for row in [*done["rows"], *done.get("layers_alone", [])]:
        if row["clusters"] == DEFAULT:
            yield (
                f"| {done['settings']['network_name']} | {row['preset']} | {row['cell_s'] * 1000:.0f} ms | "
                f"{short(row['network ami'])} ({short(row['network ami_95 low'])} to {short(row['network ami_95 high'])}) | "
                f"{short(row['signal ami'])} | {row['ratio']:.2f} ({row['ratio_95_low']:.2f} to "
                f"{row['ratio_95_high']:.2f}) | {row['network z']:.0f} |"
            )


for name in sys.argv[1:]:
    folder = Path(name)
    for table in (controls, curve, alignment, explanations):
        try:
            print("\n".join(table(folder)), end="\n\n")
        except KeyError as error:
            print(f"{folder}: no {error}", end="\n\n")
