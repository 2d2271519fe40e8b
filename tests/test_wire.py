"""The contract between Python and the page: both sides read tests/fixtures/wire."""

import base64
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecg_widget.wire import GAP, decode, encode, quantise

FIXTURES = Path(__file__).parent / "fixtures" / "wire"
NAN = float("nan")


def golden():
    """Small Datasets that use every feature of the format once."""
    signal = xr.DataArray(
        np.float32([[0.0, 0.005, NAN, -0.015], [0.1, 0.2, 0.3, -0.4]]),
        dims=("lead", "time"),
        coords={"lead": ["II", "aVR"], "time": ("time", np.arange(4) / 500, {"units": "s", "sampling_rate": 500.0})},
        attrs={"units": "mV"},
    )
    quantised, _ = quantise(signal)
    rng = np.random.default_rng(0)
    return {
        "waveform": xr.Dataset({"signal": quantised}, attrs={"record": "1", "sampling_rate": 500.0, "filters": ""}),
        "result": xr.Dataset(
            {
                "cluster": ("cell", np.int16([0, 0, 2, 1, -1])),
                "entropy": ("cell", np.float32([0.125, 0.5, 1.0, 0.0, NAN]), {"units": "1"}),
                "valid": ("cell", np.array([True, True, True, True, False])),
                "slot": ("colour", np.uint8([3, 0, 19])),
                "contribution": (("kind", "target"), rng.normal(size=(3, 2)).astype(np.float32), {"units": "logit"}),
                "total": ((), np.float64(2.5)),
                "count": ("kind", np.uint32([1, 2, 4_000_000_000])),
            },
            coords={
                "centre": ("cell", np.float64([0.02, 0.06, 0.1, 0.14, 0.18]), {"units": "s"}),
                "irregular": ("cell", np.float64([0.0, 0.1, 0.3, 0.4, 0.5])),
                "target": ["NORM", "Ärger <b>"],
            },
            attrs={"layers": ["blocks.1", "blocks.2"], "n_clusters": 3, "tau": 0.25, "note": None, "exact": True},
        ),
        "empty": xr.Dataset({"cluster": ("cell", np.int16([])), "names": ("kind", np.array([], dtype=str))}),
    }


def portable(value):
    """Buffers as base64, the only thing JSON lacks."""
    if isinstance(value, (bytes, memoryview)):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {k: portable(v) for k, v in value.items()}
    return [portable(v) for v in value] if isinstance(value, list) else value


def binary(value):
    if isinstance(value, dict):
        return (
            base64.b64decode(value["base64"]) if set(value) == {"base64"} else {k: binary(v) for k, v in value.items()}
        )
    return [binary(v) for v in value] if isinstance(value, list) else value


def plain(value):
    if isinstance(value, list):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def contents(ds):
    back = decode(encode(ds))
    return {str(name): plain(v.values.tolist()) for name, v in back.variables.items()}


@pytest.mark.parametrize("name", sorted(golden()))
def test_golden_files_hold_what_python_writes(name):
    ds = golden()[name]
    text = json.dumps({"encoded": portable(encode(ds)), "values": contents(ds)}, indent=1, ensure_ascii=False)
    file = FIXTURES / f"{name}.json"
    if os.environ.get("UPDATE_FIXTURES"):
        file.write_text(text + "\n", encoding="utf-8")
    assert file.read_text(encoding="utf-8").strip() == text


@pytest.mark.parametrize("name", sorted(golden()))
def test_golden_files_read_back(name):
    stored = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    back = decode(binary(stored["encoded"]))
    assert {str(n): plain(v.values.tolist()) for n, v in back.variables.items()} == stored["values"]
    want = golden()[name]
    assert {n: v.dims for n, v in back.variables.items()} == {n: v.dims for n, v in want.variables.items()}
    for n, v in want.variables.items():
        assert back[n].attrs == {k: a for k, a in v.attrs.items() if k != "scale"}


@example(np.array([[2144, 311, 312]], np.int16), 0.00488)  # few levels far apart: an error of the step would add up
@given(hnp.arrays(np.int16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(-32767, 32767)),
       st.sampled_from([0.001, 0.0025, 0.00488, 0.005, 1e-4, 1 / 1000 * 3]))  # fmt: skip
def test_adc_data_comes_back_exactly(counts, step):
    counts = np.concatenate([counts, np.full((len(counts), 3), [0, 1, 3])], axis=1)  # a trace crosses near levels
    signal = xr.DataArray((counts * step).astype(np.float32), dims=("lead", "time"))
    quantised, error = quantise(signal)
    scale = np.array(quantised.attrs["scale"])[:, None]
    np.testing.assert_array_equal((quantised.values * scale).astype(np.float32), signal.values)
    assert error <= np.abs(signal.values).max(initial=0) * 2.0**-23


@given(hnp.arrays(np.float32, (2, 50), elements=st.floats(-8, 8, width=32)))
def test_any_float_is_within_half_a_step(values):
    quantised, error = quantise(xr.DataArray(values, dims=("lead", "time")))
    for row, scale, original in zip(quantised.values, quantised.attrs["scale"], values, strict=True):
        largest = np.abs(original).max(initial=0)
        assert np.abs(row * scale - original).max() <= largest / 32767 / 2 + largest * 2.0**-22 + 1e-45
        assert error >= np.abs(row * scale - original).max() - 1e-12


def test_gaps_survive():
    quantised, _ = quantise(xr.DataArray(np.float32([[NAN, 1, NAN, 2]]), dims=("lead", "time")))
    assert (quantised.values == GAP).tolist() == [[True, False, True, False]]
    assert (np.abs(quantised.values[~(quantised.values == GAP)]) < -GAP).all()


@pytest.mark.parametrize(
    ("ds", "message"),
    [
        (xr.Dataset({"n": ("x", np.int64([1]))}), "n: expected a dtype of"),
        (xr.Dataset({"n": ("x", np.complex64([1]))}), "n: expected a dtype of"),
        (xr.Dataset({"n": ("x", np.array([b"a", None], dtype=object))}), "n: expected text"),
        (xr.Dataset({"n": (("x", "y"), np.array([["a", "b"]]))}), "n: expected text in at most one dimension"),
        (xr.Dataset(attrs={"auc": NAN}), "attrs.*expected a finite number"),
        (xr.Dataset(attrs={"deep": {"list": [1, {"x": float("inf")}]}}), r"attrs\['deep'\]\['list'\]\[1\]\['x'\]"),
        (xr.Dataset(attrs={"what": object()}), "expected text, number, list or mapping"),
    ],
)
def test_what_cannot_be_carried_is_refused(ds, message):
    with pytest.raises(TypeError, match=message):
        encode(ds)


def test_wrong_lengths_and_unknown_types_are_refused():
    wire = encode(xr.Dataset({"x": ("t", np.float32([1, 2, 3]))}))
    wire["data_vars"]["x"]["shape"] = [4]
    with pytest.raises(ValueError, match=r"x: expected 16 bytes of float32 \(4,\), got 12"):
        decode(wire)
    wire["data_vars"]["x"]["dtype"] = "float128"
    with pytest.raises(TypeError, match="unknown dtype 'float128'"):
        decode(wire)


def test_infinite_samples_are_refused():
    with pytest.raises(ValueError, match="got infinity"):
        quantise(xr.DataArray(np.float32([[np.inf, 0]]), dims=("lead", "time")))
