"""Annotations of WFDB records: beats and waves, and where nobody said anything."""

from __future__ import annotations

import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecg_widget.formats.wfdb_annotations import read_marks
from ecg_widget.records import RecordError, open_ecg, resample, validate_ecg
from ecg_widget.validation import BEATS
from ecg_widget.writing import write_dataset

FS = 250  # of the records of the fixture: 800 samples


def annotate(path, marks, *, extension="atr", fs=FS, **more):
    """`marks`: (sample, symbol)."""
    samples, symbols = zip(*marks, strict=True)
    wfdb.wrann(path.name, extension, np.array(samples), list(symbols), fs=fs, write_dir=str(path.parent), **more)
    return path


def spans(known):
    edges = np.flatnonzero(np.diff(np.concatenate(([0], known.astype(int), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_symbols_are_those_of_physionet():
    table = {label.label_store: label.symbol for label in wfdb.io.annotation.ann_labels}
    assert {code: symbol for code, (symbol, _) in BEATS.items()} == {code: table[code] for code in BEATS}
    assert len({name for _, name in BEATS.values()}) == len(BEATS)


def test_beats_of_the_reference_are_found(record):
    path = annotate(record(), [(10, "+"), (100, "N"), (300, "V"), (500, "A"), (700, "~")],
                    aux_note=["(N Quisling", "", "", "", ""])  # fmt: skip
    ds = validate_ecg(open_ecg(path))
    assert ds.beat.values.tolist() == [[1, 5, 8]]
    np.testing.assert_allclose(ds.beat_time.values[0], [0.4, 1.2, 2.0])
    assert spans(ds.beat_known.values[0]) == [(10, 701)]  # from the first annotation to the last
    assert dict(zip(ds.beat.attrs["flag_values"], ds.beat.attrs["flag_meanings"].split(), strict=True))[5] == (
        "ventricular_premature"
    )
    assert "wave" not in ds
    assert "Quisling" not in str(ds) + str(ds.beat.attrs)
    assert "beat" not in open_ecg(path, annotations="none")
    with pytest.raises(RecordError, match=r"annotations: expected r\.qrs beside the header, got none"):
        open_ecg(path, annotations="qrs")
    for bad in ("../r.atr", "hea", "a/b", ""):
        with pytest.raises(RecordError, match="annotations: expected 'none' or the extension"):
            open_ecg(path, annotations=bad)


def test_another_annotator(record):
    path = annotate(record(), [(100, "N")], extension="qrs")
    assert "beat" not in open_ecg(path)
    assert open_ecg(path, annotations="qrs").beat.values.tolist() == [[1]]


def test_fibrillation_and_unreadable_signal_are_unknown(record):
    marks = [(50, "N"), (200, "["), (250, "!"), (400, "]"), (450, "N"), (500, "~"), (600, "~"), (650, "N"), (700, "~")]
    subtypes = np.array([0, 0, 0, 0, 0, -1, 0, 0, 3])  # unreadable, clean, noisy yet readable
    ds = open_ecg(annotate(record(), marks, subtype=subtypes))
    assert spans(ds.beat_known.values[0]) == [(50, 201), (400, 501), (600, 701)]
    assert ds.beat.values.tolist() == [[1, 1, 1]]


def test_times_in_another_resolution_and_leads_of_more_samples(record, tmp_path):
    wfdb.wrsamp("m", fs=100, units=["mV"] * 2, sig_name=["II", "V1"], e_d_signal=[np.arange(200), np.arange(400)],
                samps_per_frame=[1, 2], fmt=["16"] * 2, adc_gain=[100.0] * 2, baseline=[0] * 2,
                write_dir=str(tmp_path))  # fmt: skip
    annotate(tmp_path / "m", [(50, "N"), (150, "V")], fs=100)
    annotate(tmp_path / "m", [(500, "N"), (1500, "V")], fs=1000, extension="fine")
    annotate(tmp_path / "m", [(50, "N"), (150, "V")], fs=None, extension="bare")
    for lead, n in (("II", 200), ("V1", 400)):
        for extension in ("atr", "fine", "bare"):
            ds = open_ecg(tmp_path / "m", leads=lead, annotations=extension)
            np.testing.assert_allclose(ds.beat_time.values[0], [0.5, 1.5])
            assert spans(ds.beat_known.values[0]) == [(n // 4, 3 * n // 4 + 1)]


def test_waves_and_what_is_unknown_of_them(record):
    beat = [(100, "("), (110, "p"), (120, ")"), (140, "("), (150, "N"), (160, ")"), (200, "("), (230, "t"), (250, ")")]
    u = [(255, "("), (260, "u"), (265, ")")]
    late = [(790, "("), (793, "N"), (796, ")")]
    ds = validate_ecg(open_ecg(annotate(record(), beat + u + late)))
    for code, first, last in ((1, 100, 120), (2, 140, 160), (3, 200, 250)):
        assert np.flatnonzero(ds.wave.values[0] == code)[: last - first + 1].tolist() == list(range(first, last + 1))
    # nothing about the U wave, and nobody knows of beats between 1.06 s and 3.16 s
    assert spans(ds.wave_known.values[0]) == [(100, 256), (265, 266), (790, 797)]
    assert "beat" not in ds  # N is here the peak of a QRS of whatever kind


def test_marks_of_clusters_are_no_waves(record):
    ds = open_ecg(annotate(record(), [(0, "("), (100, ")"), (100, "("), (200, ")")]))
    assert not {"wave", "beat"} & set(ds)


def test_records_with_and_without_annotations_together(record, tmp_path):
    annotate(record("a"), [(100, "N"), (300, "V"), (500, "A")])
    annotate(record("b"), [(100, "N")])
    record("c")
    ds = validate_ecg(open_ecg([tmp_path / n for n in "abc"]))
    assert ds.beat.values.tolist() == [[1, 5, 8], [1, 0, 0], [0, 0, 0]]
    assert np.isnan(ds.beat_time.values).sum(axis=1).tolist() == [0, 2, 3]
    assert ds.beat_known.values.sum(axis=1).tolist() == [401, 1, 0]
    assert ds.beat.attrs["flag_symbols"].startswith("- N L")
    annotate(record("d"), [(100, "("), (110, "N"), (120, ")")])
    ds = validate_ecg(open_ecg([tmp_path / n for n in "ad"]))
    assert ds.wave_known.values.sum(axis=1).tolist() == [0, 21]
    assert ds.wave.dtype == np.int8


def test_a_set_of_recordings_reads_no_annotations(record, tmp_path):
    for name in "ab":
        record(name)
    (tmp_path / "b.atr").write_bytes(b"damaged")
    ds = open_ecg(tmp_path, units=None)
    assert "beat" not in ds
    assert np.isfinite(ds.signal.sel(record="b").values).all()


def test_beats_stay_where_they_are_in_time(record, tmp_path):
    ds = open_ecg(annotate(record(), [(100, "N"), (300, "V")]))
    slower = validate_ecg(resample(ds, 125))
    np.testing.assert_array_equal(slower.beat_time, ds.beat_time)
    assert spans(slower.beat_known.values[0]) == [(50, 151)]
    for suffix in (".nc", ".zarr"):
        back = open_ecg(write_dataset(tmp_path / f"a{suffix}", ds))
        for name in ("beat", "beat_time", "beat_known"):
            np.testing.assert_array_equal(back[name].values, ds[name].values)
            assert back[name].dtype == ds[name].dtype


def test_what_is_known_of_a_long_recording_is_painted_when_asked_for(record):
    path = annotate(record(), [(10, "+"), (100, "N"), (200, "["), (400, "]"), (790, "N")])
    now, later = open_ecg(path), open_ecg(path, lazy=True)
    assert not later.beat_known.variable._in_memory
    np.testing.assert_array_equal(later.beat_known.values, now.beat_known.values)
    np.testing.assert_array_equal(later.beat_known[0, 150:500:7].values, now.beat_known[0, 150:500:7].values)


@pytest.mark.parametrize(("change", "message"), [
    ({"beat": ("nth_beat", "record")}, "beat: expected dims"),
    ({"beat_time": None}, "beat_time: expected it beside"),
    ({"beat": 14}, "beat: expected 0 none, or codes of beats"),
    ({"beat_time": np.nan}, "beat_time: expected ascending s"),
    ({"beat": "int16"}, "beat: expected dtype int8, got int16"),
])  # fmt: skip
def test_the_contract_is_held(record, change, message):
    ds = open_ecg(annotate(record(), [(100, "N"), (300, "V")]))
    ((name, value),) = change.items()
    if value is None:
        ds = ds.drop_vars(name)
    elif isinstance(value, tuple):
        ds = ds.assign({name: ds[name].transpose(*value)})
    elif isinstance(value, str):
        ds = ds.assign({name: ds[name].astype(value)})
    else:
        ds = ds.assign({name: ds[name].copy(data=np.full(ds[name].shape, value, ds[name].dtype))})
    with pytest.raises((ValueError, TypeError), match=message):
        validate_ecg(ds)


def word(code, interval):
    return (code << 10 | interval).to_bytes(2, "little")


@pytest.mark.parametrize(("data", "message"), [
    (b"", "mark of their end"), (b"\0", "mark of their end"), (word(1, 100), "mark of their end"),
    (word(1, 100) + word(63, 9) + b"note", "mark of their end"),
    (word(1, 1000) + bytes(2), "in order, from 0 to 3.2 s, got 4 to 4 s"),
    (word(59, 0) + b"\xff\xff\x00\x00" + word(1, 0) + bytes(2), "in order"),  # back in time
    (word(22, 0) + word(63, 24) + b"## time resolution: 0.00" + word(1, 1) + bytes(2), "more than 0 Hz"),
])  # fmt: skip
def test_damaged_annotations_are_refused(record, data, message):
    path = record()
    path.with_suffix(".atr").write_bytes(data)
    with pytest.raises(RecordError, match=message):
        open_ecg(path)
    assert open_ecg(path, annotations="none").sizes["time"] == 800


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 5, 14, 22, 24, 27, 29, 32, 33, 39, 40, 59, 60, 61, 63]),
                          st.integers(0, 60)), max_size=12), st.binary(max_size=6))  # fmt: skip
def test_any_words_open_or_are_refused(tmp_path, words, tail):
    path = tmp_path / "a.atr"
    path.write_bytes(b"".join(word(*w) for w in words) + tail)
    try:
        marks = read_marks(path, 100, 10)
    except RecordError as error:
        assert "a.atr" in str(error)  # noqa: PT017  (either is right)
    else:
        assert ((marks.seconds >= 0) & (marks.seconds < 10)).all()


@pytest.mark.real_data
def test_files_as_the_library_reads_them(shared_data):
    paths = [shared_data / "formats/wfdb/mitdb100_60s.atr", *sorted((shared_data / "ludb/data").glob("*.v[1-6]"))]
    codes = {label.symbol: label.label_store for label in wfdb.io.annotation.ann_labels}
    assert len(paths) > 500
    for path in paths:
        rate = 360 if path.suffix == ".atr" else 500
        expected = wfdb.rdann(str(path.with_suffix("")), path.suffix[1:])
        found = read_marks(path, rate, 60)
        np.testing.assert_array_equal(np.round(found.seconds * rate), expected.sample)
        assert found.codes.tolist() == [codes[s] for s in expected.symbol]


@pytest.mark.real_data
def test_beats_of_mitdb_100(shared_data):
    ds = open_ecg(shared_data / "formats/wfdb/mitdb100_60s")
    assert ds.sizes["nth_beat"] == 74
    assert np.unique(ds.beat, return_counts=True)[1].tolist() == [73, 1]
    lead = ds.signal.sel(lead="MLII")[0]
    for at in ds.beat_time.values[0]:  # every mark is within 50 ms of the tallest sample around it
        near = lead.sel(time=slice(at - 0.2, at + 0.2))
        assert abs(float(near.time[int(near.values.argmax())]) - at) < 0.05
    one = open_ecg(shared_data / "ludb/data/1", annotations="ii")
    many = open_ecg(shared_data / "ludb", missing="drop").sel(record="1", lead="II")
    np.testing.assert_array_equal(one.wave[0], many.wave)
    np.testing.assert_array_equal(one.wave_known[0], many.wave_known)
