from __future__ import annotations

import warnings

import numpy as np
import pytest
import wfdb

from ecg_widget import formats
from ecg_widget.leads import canonical_lead
from ecg_widget.records import RecordError, open_ecg, validate_ecg


class TestSources:
    def test_list(self, record, digital):
        paths = [record("a"), record("b", samples=digital[::-1])]
        ds = open_ecg(paths)
        assert ds.record.values.tolist() == ["a", "b"]
        assert ds.attrs["source"] == ["a.hea", "b.hea"]
        np.testing.assert_array_equal(ds.signal[0], ds.signal[1, :, ::-1])
        assert ds.adc_step.dims == ("record", "lead")
        assert open_ecg(paths, records=["x", "y"]).record.values.tolist() == ["x", "y"]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"fs": 500}, r"sampling rate \(Hz\): expected one value for all files, got 250.0 in a and 500.0 in b"),
            ({"sig_name": ["ii", "V4", "DI"]}, "leads: expected one value"),
        ],
    )
    def test_unequal(self, record, changes, message):
        with pytest.raises(RecordError, match=message):
            open_ecg([record("a"), record("b", **changes)])

    def test_unequal_length(self, record, digital):
        with pytest.raises(RecordError, match=r"samples: .* got 800 in a and 700 in b"):
            open_ecg([record("a"), record("b", samples=digital[:700])])

    def test_same_name_twice(self, record, tmp_path):
        (tmp_path / "sub").mkdir()
        paths = [record("a"), record("a", folder=tmp_path / "sub")]
        with pytest.raises(RecordError, match=r"'a' twice; state them with records="):
            open_ecg(paths)
        assert open_ecg(paths, records=["1", "2"]).sizes["record"] == 2

    def test_absent(self, tmp_path):
        with pytest.raises(RecordError, match="nothing: expected a file or a WFDB record of that name"):
            open_ecg(tmp_path / "nothing")
        with pytest.raises(RecordError, match="got a folder"):
            open_ecg(tmp_path)
        with pytest.raises(ValueError, match="empty list"):
            open_ecg([])

    def test_every_reader_is_complete(self):
        for reader in formats.readers():
            assert reader.NAME
            assert {"leads", "units"} <= set(reader.read.__kwdefaults__)


@pytest.mark.real_data
class TestRealFiles:
    def _compare(self, header, **options):
        ds = validate_ecg(open_ecg(header, **options))
        reference = wfdb.rdrecord(str(header.with_suffix("")))
        for i, name in enumerate(reference.sig_name):
            lead = canonical_lead(name)
            if lead in ds.lead.values:
                expected = reference.p_signal[:, i]
                np.testing.assert_allclose(ds.signal.sel(lead=lead)[0], expected, rtol=2e-6, atol=1e-7)
        assert ds.time.attrs["sampling_rate"] == reference.fs
        return ds

    def test_wfdb(self, shared_data):
        assert self._compare(shared_data / "formats/wfdb/mitdb100_60s.hea").lead.values.tolist() == ["V5", "MLII"]
        ptb = self._compare(shared_data / "formats/wfdb/ptb_s0010_10s.hea")
        assert ptb.lead.values.tolist()[12:] == ["vx", "vy", "vz"]
        assert "female" not in str(ptb.attrs)

    def test_challenge_mat(self, shared_data):
        path = shared_data / "formats/mat/a103l.mat"
        with pytest.raises(RecordError, match="PLETH: units: expected a voltage, got 'NU'"):
            open_ecg(path)
        assert self._compare(path.with_suffix(".hea"), leads=["II", "V"]).sizes["lead"] == 2

    def test_cinc2021(self, shared_data):
        headers = sorted((shared_data / "formats/cinc2021").rglob("*.hea"))
        assert headers
        for header in headers:
            assert self._compare(header).sizes["lead"] == 12

    def test_ptbxl_and_ludb(self, shared_data):
        headers = (
            sorted((shared_data / "ptbxl").rglob("*.hea"))[::20] + sorted((shared_data / "ludb").rglob("*.hea"))[::10]
        )
        assert len(headers) > 20
        for header in headers:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # every checksum of these files holds
                assert self._compare(header).sizes["lead"] == 12

    def test_dicom(self, shared_data):
        (path,) = (shared_data / "formats/dicom").glob("*.dcm")
        assert open_ecg(path).sizes["lead"] == 12
