"""Records of several lengths in one set: a network sees each as long as it is, never what fills it up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from ecg_widget.activations import Activations

__all__ = ["activations_by_length", "by_length", "lengths"]


def lengths(ds: xr.Dataset) -> np.ndarray | None:
    """Samples of each record where they differ from the length of ``time``, else None.

    Parameters
    ----------
    ds
        Of the data contract; ``n_samples (record)`` is the coordinate that `ecg_widget.open_ecg` gives ragged sets.

    Raises
    ------
    ValueError
        Lengths that do not fit ``time``, as when a part of it was selected.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(2)
    >>> lengths(ds), lengths(ds.assign_coords(n_samples=("record", [5000, 3000])))
    (None, array([5000, 3000]))
    """
    if "n_samples" not in ds.coords or ds["n_samples"].dims != ("record",):
        return None
    found, longest = ds["n_samples"].values, ds.sizes["time"]
    if found.dtype.kind not in "iu" or (found < 1).any() or (found > longest).any():
        raise ValueError(
            f"n_samples: expected whole numbers from 1 to the {longest} samples of time, got {found.min()} to "
            f"{found.max()}; cut records by ds.isel(record=[i], time=slice(n)).drop_vars('n_samples')"
        )
    return None if (found == longest).all() else found.astype(np.int64)


def by_length(ds: xr.Dataset) -> Iterator[tuple[np.ndarray, xr.Dataset]]:
    """Rows of equal length, and these records without what fills them up; the longest first.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(3).assign_coords(n_samples=("record", [3000, 5000, 3000]))
    >>> [(rows.tolist(), part.sizes["time"]) for rows, part in by_length(ds)]
    [([1], 5000), ([0, 2], 3000)]
    """
    found = lengths(ds)
    if found is None:
        yield np.arange(ds.sizes["record"]), ds
        return
    for n in np.unique(found)[::-1]:
        rows = np.flatnonzero(found == n)
        yield rows, ds.isel(record=rows, time=slice(0, int(n))).drop_vars("n_samples", errors="ignore")


def activations_by_length(ds: xr.Dataset, run: Callable[[xr.Dataset], Activations]) -> Activations:
    """Activations of a ragged set on the cells of the longest record; cells behind a record's end are not valid.

    Parameters
    ----------
    ds
        A ragged set.
    run
        Gives the activations of records of one length.

    Raises
    ------
    ValueError
        A network that puts records of another length elsewhere, as one of fixed length does that centres them.
    """
    whole = ds.sizes["time"]
    blank = np.zeros((1, ds.sizes["lead"], whole), np.float32)
    coords = {"record": ["blank"], "lead": ds["lead"].variable, "time": ds["time"].variable}
    grid = run(xr.Dataset({"signal": (("record", "lead", "time"), blank, {"units": "mV"})}, coords))
    n_records = ds.sizes["record"]
    values = {name: np.zeros((n_records, *a.shape[1:]), a.dtype) for name, a in grid.items()}
    valid = {name: np.zeros((n_records, a.sizes["cell"]), bool) for name, a in grid.items()}
    output = np.full((n_records, *grid.output.shape[1:]), np.nan, grid.output.dtype)
    errors = dict.fromkeys(grid, 0.0)
    for rows, part in by_length(ds):
        acts = run(part)
        output[rows] = acts.output.values
        for name, layer in acts.items():
            n = min(layer.sizes["cell"], grid[name].sizes["cell"])
            there, here = grid[name]["centre"].values[:n], layer["centre"].values[:n]
            if not np.allclose(there, here, atol=0.5 / float(ds["time"].attrs["sampling_rate"])):
                raise ValueError(
                    f"n_samples: expected a network whose cells begin with the record, whatever its length, but those "
                    f"of {name} lie elsewhere in records of {part.sizes['time']} samples than in those of {whole}; "
                    "give it records of one length at a time: for n, part in ds.groupby('n_samples')"
                )
            values[name][rows, :n] = layer.values[:, :n]
            valid[name][rows, :n] = layer["valid"].values[:, :n]
            errors[name] = max(errors[name], float(layer.attrs["rounding_error"]))
    record = ds["record"].variable
    layers = {
        name: xr.DataArray(
            values[name],
            {
                "record": record,
                "centre": a["centre"].variable,
                "width": a["width"].variable,
                "valid": (("record", "cell"), valid[name]),
            },
            a.dims,
            a.name,
            {**a.attrs, "rounding_error": errors[name]},
        )
        for name, a in grid.items()
    }
    coords = {"record": record, "target": grid.output["target"].variable}
    return type(grid)(layers, xr.DataArray(output, coords, grid.output.dims, grid.output.name, grid.output.attrs))
