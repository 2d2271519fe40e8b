"""Damaged DICOM files: either a recording or RecordError, never another exception."""

from __future__ import annotations

import warnings

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from ecg_widget.records import RecordError, open_ecg


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """The bytes of the pydicom example with 20 samples, so that most damage falls on what describes them."""
    ds = pydicom.dcmread(get_testdata_file("waveform_ecg.dcm", download=False))
    ds.WaveformSequence = ds.WaveformSequence[:1]
    item = ds.WaveformSequence[0]
    item.NumberOfWaveformSamples = 20
    item.WaveformData = item.WaveformData[: 20 * 12 * 2]
    ds.WaveformAnnotationSequence = ds.WaveformAnnotationSequence[11:17]
    for position, mark in enumerate(ds.WaveformAnnotationSequence, start=3):
        mark.ReferencedSamplePositions = position
    path = tmp_path_factory.mktemp("dicom") / "valid.dcm"
    ds.save_as(path)
    assert int(open_ecg(path).wave_known.sum()) > 3
    return path.read_bytes()


@seed(0)
@settings(
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_mutated(valid, tmp_path, data):
    content = bytearray(valid)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(132, len(content) - 1))
        content[at : at + 4] = data.draw(st.binary(min_size=0, max_size=4))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(132, len(content))) :]
    path = tmp_path / "mutated.dcm"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error = None
        try:
            ds = open_ecg(path)
        except RecordError as caught:
            error = caught
    if error is not None:
        assert "mutated.dcm" in str(error)
    else:
        assert ds.signal.dtype == np.float32
        assert ds.sizes["time"] * ds.sizes["lead"] <= len(content)
