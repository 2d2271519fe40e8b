"""What the controls of a widget offer."""

from __future__ import annotations

from typing import Any

from ecg_widget.explorer import Explorer
from ecg_widget.fits import N_CLUSTERS


def choices(explorer: Explorer) -> dict[str, Any]:
    """Choices of layers with their time scales in ms, the range of numbers of clusters, records and targets, as JSON.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> [c["label"] for c in choices(ecg.Explorer(ecg.load_network(), ecg.load_example()))["layers"]][-2:]
    ['blocks.3', 'blocks.1+2+3']
    """
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
