from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from xml_lab import SECRETS, damage, damaged, opens_or_refuses

from ecg_widget.leads import LEADS
from ecg_widget.records import RecordError, open_ecg

N = 1000  # samples at 500 Hz
HEAD = "20021122091000.000"


def _digits(n=N, leads=LEADS):
    rng = np.random.default_rng(9)
    return {lead: rng.integers(-4000, 4000, n) for lead in leads}


def _sequence(lead, digits, scale='value="2.5" unit="uV"', origin='value="0" unit="uV"', kind="SLIST_PQ"):
    words = digits if isinstance(digits, str) else " ".join(map(str, digits))
    return (
        f'<component><sequence><code code="MDC_ECG_LEAD_{lead.upper()}"/><value xsi:type="{kind}">'
        + (f"<origin {origin}/>" if origin else "")
        + (f"<scale {scale}/>" if scale else "")
        + f"<digits>\n {words}\n</digits></value></sequence></component>"
    )


def _time(head=f'value="{HEAD}"', increment='value="0.002" unit="s"', code="TIME_ABSOLUTE", kind="GLIST_TS"):
    return (
        f'<component><sequence><code code="{code}"/><value xsi:type="{kind}">'
        + (f"<head {head}/>" if head else "")
        + (f"<increment {increment}/>" if increment else "")
        + "</value></sequence></component>"
    )


def _set(*sequences, time=None):
    return f"<component><sequenceSet>{_time() if time is None else time}{''.join(sequences)}</sequenceSet></component>"


def _twelve(**changes):
    return _set(*(_sequence(lead, digits) for lead, digits in _digits().items()), **changes)


def _at(milliseconds):
    return f"2002112209100{milliseconds // 1000}.{milliseconds % 1000:03d}"


def _wave(kind, low=None, high=None, lead=None, *, relative=False):
    def side(name, value):
        if value is None:
            return ""
        return f'<{name} value="{value}" unit="ms"/>' if relative else f'<{name} value="{_at(value)}"/>'

    named = f'<component><boundary><code code="MDC_ECG_LEAD_{lead}"/></boundary></component>' if lead else ""
    return (
        f'<component><annotation><code code="MDC_ECG_WAVC"/><value xsi:type="CE" code="MDC_ECG_WAVC_{kind}WAVE"/>'
        f'<support><supportingROI><code code="ROIPS"/><component><boundary><code code="TIME_{"RELATIVE" if relative else "ABSOLUTE"}"/>'
        f'<value xsi:type="IVL_TS">{side("low", low)}{side("high", high)}</value></boundary></component>{named}'
        "</supportingROI></support></annotation></component>"
    )


def _beat(*waves):
    return f'<component><annotation><code code="MDC_ECG_BEAT"/><value code="MDC_ECG_BEAT_NORMAL"/>{"".join(waves)}</annotation></component>'


def _annotations(*items):
    return f"<subjectOf><annotationSet><author><name>{SECRETS[0]}</name></author>{''.join(items)}</annotationSet></subjectOf>"


def _series(*parts, code="RHYTHM"):
    return f'<component><series><code code="{code}"/>{_filters()}{"".join(parts)}</series></component>'


def _filters():
    return "".join(
        f'<controlVariable><controlVariable><code code="MDC_ECG_CTL_VBL_ATTR_FILTER_{kind}"/><component><controlVariable>'
        f'<code code="MDC_ECG_CTL_VBL_ATTR_FILTER_{what}"/><value xsi:type="PQ" value="{hertz}" unit="Hz"/>'
        "</controlVariable></component></controlVariable></controlVariable>"
        for kind, what, hertz in (
            ("LOW_PASS", "CUTOFF_FREQ", 150),
            ("HIGH_PASS", "CUTOFF_FREQ", 0.05),
            ("NOTCH", "NOTCH_FREQ", 60),
        )
    )


def _document(*series):
    last, first, birth, patient, place, note, day = SECRETS
    return (
        '<?xml version="1.0" encoding="utf-8"?><!-- comment --><AnnotatedECG xmlns="urn:hl7-org:v3" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><effectiveTime><low value="{day}"/></effectiveTime>'
        f'<trialSubject><id extension="{patient}"/><name>{first} {last}</name><birthTime value="{birth}"/></trialSubject>'
        f"<trialSite><name>{place}</name></trialSite><text>{note}</text>{''.join(series)}</AnnotatedECG>"
    )


@pytest.fixture
def aecg(tmp_path):
    def write(*parts, series=None):
        path = tmp_path / "trial.xml"
        path.write_text(_document(*(series or [_series(*(parts or [_twelve()]))])))
        return path

    return write


def _runs(ds, lead=None):
    """Known waves as (first, last, value), and the samples where nothing is known."""
    wave, known = (ds[name][0] if lead is None else ds[name].sel(lead=lead)[0] for name in ("wave", "wave_known"))
    wave, known = wave.values, known.values
    edges = np.flatnonzero(np.diff(np.where(known, wave, -1))) + 1
    parts = np.split(np.arange(len(wave)), edges)
    return [(int(p[0]), int(p[-1]), int(wave[p[0]])) for p in parts if known[p[0]]]


class TestSamples:
    def test_values(self, aecg):
        ds = open_ecg(aecg())
        assert ds.lead.values.tolist() == list(LEADS)
        assert ds.time.attrs["sampling_rate"] == 500
        np.testing.assert_allclose(ds.signal[0], np.stack(list(_digits().values())) * 0.0025, atol=1e-6)
        np.testing.assert_allclose(ds.adc_step, 0.0025)
        assert ds.attrs["filters"] == "high-pass 0.05 Hz, low-pass 150 Hz, notch 60 Hz"
        assert "wave" not in ds

    def test_origin_and_scale_in_different_units(self, aecg):
        ds = open_ecg(aecg(_set(_sequence("II", "1 2 -3", 'value="-0.5" unit="mV"', 'value="100" unit="uV"'))))
        np.testing.assert_allclose(ds.signal[0, 0], [-0.4, -0.9, 1.6], atol=1e-6)
        assert ds.adc_step.item() == 0.5

    def test_no_origin_is_zero(self, aecg):
        ds = open_ecg(aecg(_set(_sequence("II", "1 2", origin=None))))
        np.testing.assert_allclose(ds.signal[0, 0], [0.0025, 0.005])

    def test_units_of_the_caller(self, aecg):
        path = aecg(_set(_sequence("II", "1 2", 'value="5"', 'value="0"')))
        with pytest.raises(RecordError, match="lead II: scale: units: expected a voltage, got 'none'"):
            open_ecg(path)
        np.testing.assert_allclose(open_ecg(path, units="uV").signal[0, 0], [0.005, 0.01])
        with pytest.raises(RecordError, match="the file states uV, the caller mV"):
            open_ecg(aecg(), units="mV")

    @pytest.mark.parametrize(
        ("time", "rate"),
        [
            (_time(increment='value="4" unit="ms"'), 250),
            (
                _time(
                    head='value="0" unit="ms"',
                    code="TIME_RELATIVE",
                    kind="GLIST_PQ",
                    increment='value="1000" unit="us"',
                ),
                1000,
            ),
            (_time(head=None, increment='value="0.00390625" unit="s"'), 256),
        ],
    )
    def test_rate(self, aecg, time, rate):
        assert open_ecg(aecg(_twelve(time=time))).time.attrs["sampling_rate"] == rate

    def test_leads_on_request(self, aecg):
        path = aecg()
        ds = open_ecg(path, leads=["V1", "MDC_ECG_LEAD_AVR"])
        assert ds.lead.values.tolist() == ["aVR", "V1"]
        np.testing.assert_array_equal(ds.signal, open_ecg(path).signal.sel(lead=["aVR", "V1"]))
        with pytest.raises(RecordError, match="leads: expected V9, got I, II"):
            open_ecg(path, leads=["V9"])

    def test_groups_of_leads_one_after_the_other(self, aecg):
        parts = []
        for i in range(4):
            leads = LEADS[3 * i : 3 * i + 3]
            time = _time(head=f'value="{_at(2500 * i)}"')
            parts.append(_set(*(_sequence(lead, _digits()[lead]) for lead in leads), time=time))
        ds = open_ecg(aecg(*parts))
        assert ds.sizes["time"] == 3 * 1250 + N
        assert ds.attrs["sequence_sets"] == 4
        for i, lead in enumerate(LEADS):
            start = 1250 * (i // 3)
            values = ds.signal.sel(lead=lead)[0].values
            np.testing.assert_allclose(values[start : start + N], _digits()[lead] * 0.0025, atol=1e-6)
            assert np.isnan(values).sum() == ds.sizes["time"] - N

    def test_derived_series_is_left_alone(self, aecg):
        median = _series(_set(_sequence("II", "1 2 3")), code="REPRESENTATIVE_BEAT")
        inner = f"<derivation><derivedSeries>{_set(_sequence('II', '7 7'))}</derivedSeries></derivation>"
        path = aecg(series=[median, _series(_twelve(), inner)])
        assert open_ecg(path).sizes["time"] == N
        assert open_ecg(path, series=0).sizes["time"] == 3
        with pytest.raises(RecordError, match="series: expected 0 to 1, got 2"):
            open_ecg(path, series=2)

    def test_nothing_of_the_patient(self, aecg):
        said = repr(open_ecg(aecg(_twelve(), _annotations(_wave("P", 100, 200)))).to_dict(data=False))
        assert not [secret for secret in SECRETS if secret in said]

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ((), "sequenceSet: expected at least one"),
            ((_set(),), "sequence set 0: expected at least one lead"),
            ((_twelve(time=""),), "expected a sequence of times"),
            ((_twelve(time=_time() + _time()),), "expected one sequence of times, got two"),
            ((_twelve(time=_time(kind="SLIST_TS")),), "type: expected GLIST_TS or GLIST_PQ, got 'SLIST_TS'"),
            ((_twelve(time=_time(increment=None)),), "increment: unit: expected a value"),
            ((_twelve(time=_time(increment='value="1" unit="h"')),), "increment: unit: expected one of s, ms"),
            (
                (_twelve(time=_time(increment='value="0" unit="s"')),),
                "increment: expected 1e-05 to 1 s between samples",
            ),
            ((_twelve(time=_time(increment='value="1e-320" unit="s"')),), "increment: expected 1e-05 to 1 s"),
            ((_twelve(time=_time(head='value="20021399"')),), "head: expected a time as YYYYMMDDhhmmss"),
            (
                (_twelve(time=_time(head='value="20021322091000"')),),
                "head: expected a time, got '20021322091000': month",
            ),
            ((_set(_sequence("II", "1 2"), _sequence("II", "1 2")),), "expected each lead once, got II twice"),
            (
                (_set(_sequence("II", "1 2"), _sequence("I", "1 2 3")),),
                "digits: expected as many samples of each lead, got II 2, I 3",
            ),
            ((_set(_sequence("II", "")),), "digits: expected as many samples of each lead, got II 0"),
            ((_set(_sequence("II", "1 2.5")),), "lead II: digits: expected whole numbers, got '2.5'"),
            ((_set(_sequence("II", "1 1_0")),), "digits: expected whole numbers, got '1_0'"),
            ((_set(_sequence("II", "1 \u0663")),), "digits: expected whole numbers"),
            ((_set(_sequence("II", "1 --2")),), "digits: expected whole numbers"),
            ((_set(_sequence("II", "1 " + "9" * 5000)),), "digits: expected whole numbers"),
            ((_set(_sequence("II", "1 9999999999")),), "digits: expected numbers up to"),
            ((_set(_sequence("II", "1 2", scale=None)),), "lead II: scale: value: expected a value, got none"),
            ((_set(_sequence("II", "1 2", 'value="0" unit="uV"')),), "scale: expected a number other than 0"),
            ((_set(_sequence("II", "1 2", 'value="1e308" unit="V"')),), "scale: expected a step of"),
            ((_set(_sequence("II", "1 2", origin='value="1e308" unit="V"')),), "origin: expected up to"),
            ((_set(_sequence("II", "1 2", 'value="1" unit="mm[Hg]"')),), r"expected a voltage, got 'mm\[Hg\]'"),
            ((_set(_sequence("II", "1 2", kind="SLIST_TS")),), "type: expected SLIST_PQ, got 'SLIST_TS'"),
            ((_twelve(), _twelve()), "lead I: expected its sequence sets one after the other, got overlap"),
            ((_twelve(), _twelve(time=_time(head=None))), "head: expected the time at which each of the 2"),
            ((_twelve(), _twelve(time=_time(increment='value="1" unit="ms"'))), "increment: expected one for all sets"),
            (
                (_twelve(), _twelve(time=_time(head='value="20021123091000"'))),
                "head: expected sequence sets one after the other",
            ),
        ],
    )
    def test_refused(self, aecg, parts, message):
        with pytest.raises(RecordError, match=message) as caught:
            open_ecg(aecg(series=[_series(*parts)]))
        assert "trial.xml" in str(caught.value)

    def test_more_samples_than_an_ecg_has(self, aecg):
        with pytest.raises(
            RecordError, match=r"trial\.xml: digits: expected at most 8388608 of all leads, got 9000000"
        ):
            open_ecg(aecg(_set(_sequence("II", "1 " * 9_000_000))))

    @pytest.mark.parametrize("codes", [["RHYTHM", "RHYTHM"], ["REPRESENTATIVE_BEAT"]])
    def test_series_must_be_chosen(self, aecg, codes):
        path = aecg(series=[_series(_twelve(), code=code) for code in codes])
        with pytest.raises(RecordError, match=r"series: expected one with code RHYTHM, got [02].*choose with series="):
            open_ecg(path)
        assert open_ecg(path, series=0).sizes["time"] == N

    @pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.9999])
    def test_truncated(self, aecg, share):
        path = aecg()
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(RecordError, match=r"trial\.xml"):
            open_ecg(path)


class TestWaves:
    def test_beat(self, aecg):
        """P 100-200 ms, QRS 260-340 ms, T 500-700 ms; the ways between are none, the rest is unknown."""
        waves = [_beat(_wave("P", 100, 200), _wave("QRS", 260, 340), _wave("T", 500, 700))]
        ds = open_ecg(aecg(_twelve(), _annotations(*waves)))
        assert ds.wave.dims == ds.wave_known.dims == ("record", "time")
        assert _runs(ds) == [(50, 100, 1), (101, 129, 0), (130, 170, 2), (171, 249, 0), (250, 350, 3)]

    def test_between_beats_is_unknown_unless_the_caller_knows(self, aecg):
        waves = [
            _beat(_wave("P", 100, 200), _wave("QRS", 260, 340), _wave("T", 500, 700)),
            _beat(_wave("P", 900, 1000), _wave("QRS", 1060, 1140), _wave("T", 1300, 1500)),
        ]
        path = aecg(_twelve(), _annotations(*waves))
        assert (351, 449, 0) not in _runs(open_ecg(path))
        assert not open_ecg(path).wave_known[0, 351:450].any()
        ds = open_ecg(path, complete=True)
        assert (351, 449, 0) in _runs(ds)
        assert not ds.wave_known[0, :50].any()
        assert not ds.wave_known[0, 751:].any()

    def test_end_alone(self, aecg):
        ds = open_ecg(aecg(_twelve(), _annotations(_beat(_wave("QRS", 260, 340), _wave("T", None, 700)))))
        assert _runs(ds) == [(130, 170, 2), (350, 350, 3)]

    def test_waves_without_a_beat(self, aecg):
        near = [_wave("P", 100, 200), _wave("QRS", 260, 340)]
        assert (101, 129, 0) in _runs(open_ecg(aecg(_twelve(), _annotations(*near))))
        far = [_wave("P", 100, 200), _wave("QRS", 1260, 1340)]
        assert _runs(open_ecg(aecg(_twelve(), _annotations(*far)))) == [(50, 100, 1), (630, 670, 2)]

    def test_p_and_t_of_one_beat_without_qrs(self, aecg):
        ds = open_ecg(aecg(_twelve(), _annotations(_beat(_wave("P", 100, 200), _wave("T", 500, 700)))))
        assert _runs(ds) == [(50, 100, 1), (250, 350, 3)]  # the QRS lies somewhere between

    def test_single_leads(self, aecg):
        waves = [_wave("QRS", 260, 340, "II"), _wave("QRS", 270, 350, "V1"), _wave("P", 100, 200)]
        ds = open_ecg(aecg(_twelve(), _annotations(*waves)))
        assert ds.wave.dims == ("record", "lead", "time")
        assert _runs(ds, "II") == [(50, 100, 1), (101, 129, 0), (130, 170, 2)]
        assert _runs(ds, "V1") == [(50, 100, 1), (101, 134, 0), (135, 175, 2)]
        assert _runs(ds, "aVF") == [(50, 100, 1)]

    def test_overlap_of_waves_is_unknown(self, aecg):
        ds = open_ecg(aecg(_twelve(), _annotations(_wave("T", 100, 300), _wave("P", 260, 360))))
        assert _runs(ds) == [(50, 129, 3), (151, 180, 1)]
        assert not ds.wave[0, 130:151].any()

    def test_relative_times(self, aecg):
        marks = _annotations(_wave("P", 100, 200, relative=True))
        assert _runs(open_ecg(aecg(_twelve(), marks))) == [(50, 100, 1)]
        time = _time(head='value="40" unit="ms"', code="TIME_RELATIVE", kind="GLIST_PQ")
        assert _runs(open_ecg(aecg(_twelve(time=time), marks))) == [(30, 80, 1)]

    def test_time_zones(self, aecg):
        time = _time(head='value="20021122101000.000+0100"')
        assert _runs(open_ecg(aecg(_twelve(time=time), _annotations(_wave("P", 100, 200))))) == [(50, 100, 1)]

    def test_set_must_be_chosen(self, aecg):
        path = aecg(_twelve(), _annotations(_wave("P", 100, 200)), _annotations(), _annotations(_wave("P", 120, 200)))
        with pytest.raises(RecordError, match=r"expected waves in one set, got them in sets \[0, 2\]; choose with"):
            open_ecg(path)
        assert _runs(open_ecg(path, annotation_set=2)) == [(60, 100, 1)]
        assert "wave" not in open_ecg(path, annotation_set="none")
        with pytest.raises(RecordError, match="annotation_set: expected 'none' or 0 to 2, got 3"):
            open_ecg(path, annotation_set=3)

    def test_last_sample(self, aecg):
        ds = open_ecg(aecg(_twelve(), _annotations(_wave("T", 1900, 2000))))
        assert _runs(ds) == [(950, 999, 3)]

    @pytest.mark.parametrize(
        ("wave", "message"),
        [
            (_wave("T", 1900, 2010), "wave 0: high: expected a time from 0 to 2 s after the start, got 2.01 s"),
            (_wave("T", 700, 500), "wave 0: expected an end after the begin"),
            (_wave("T", 700, 900).replace("TIME_ABSOLUTE", "DEPTH"), "wave 0: boundary: expected one of time, got 0"),
            (_wave("T", 700, 900).replace(_at(700), "soon"), "wave 0: low: expected a time as"),
            (_wave("T", 700, 900, relative=True).replace("700", "1e300"), "wave 0: low: expected a time up to"),
        ],
    )
    def test_refused(self, aecg, wave, message):
        path = aecg(_twelve(), _annotations(wave))
        with pytest.raises(RecordError, match=message):
            open_ecg(path)
        assert open_ecg(path, annotation_set="none").sizes["time"] == N

    def test_absolute_marks_need_an_absolute_clock(self, aecg):
        path = aecg(_twelve(time=_time(head=None)), _annotations(_wave("P", 100, 200)))
        with pytest.raises(RecordError, match="expected times relative to the recording's start"):
            open_ecg(path)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(changes=damage)
def test_hostile_bytes(tmp_path_factory, changes):
    path = Path(tmp_path_factory.getbasetemp()) / "aecg-fuzz.xml"
    waves = _beat(_wave("P", 0, 8), _wave("QRS", 10, 14, "II"), _wave("T", None, 30, relative=True))
    sets = [
        _set(*(_sequence(lead, _digits(20)[lead]) for lead in ("I", "II")), time=_time(head=f'value="{_at(t)}"'))
        for t in (0, 40)
    ]
    path.write_bytes(damaged(_document(_series(*sets, _annotations(waves))).encode(), changes))
    opens_or_refuses(path)


@pytest.mark.real_data
def test_real_file(shared_data):
    from ecgdatakit.parsing.parsers.hl7_aecg import HL7aECGParser

    path = shared_data / "formats/hl7_aecg/fda_Example_aECG.xml"
    ds = open_ecg(path)
    assert (dict(ds.sizes), ds.time.attrs["sampling_rate"]) == ({"record": 1, "lead": 12, "time": 5000}, 500)
    assert ds.lead.values.tolist() == list(LEADS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        leads = HL7aECGParser().parse(path).leads
    assert {lead.label for lead in leads} == set(LEADS)
    for lead in leads:
        assert lead.resolution_unit in ("uV", "µV")
        expected = (lead.samples * lead.resolution + lead.offset) / 1000
        np.testing.assert_allclose(ds.signal.sel(lead=lead.label)[0], expected, atol=1e-6)
    np.testing.assert_allclose(
        ds.signal.sel(lead="II"), ds.signal.sel(lead="I") + ds.signal.sel(lead="III"), atol=0.0076
    )
    assert ds.attrs["filters"] == "low-pass 150 Hz, notch 60 Hz"
    # What the file's first beat says: P 122-224 ms, QRS 270-390 ms, T until 690 ms, its begin not given.
    runs = _runs(ds)
    assert runs[:4] == [(61, 112, 1), (113, 134, 0), (135, 195, 2), (345, 345, 3)]
    assert [wave for _, _, wave in runs] == [1, 0, 2, 3] * 12
    assert "wave" not in open_ecg(path, annotation_set="none")
    said = repr(ds.to_dict(data=False)).replace(path.stem, "")
    for secret in ("SBJ-123", "Clark", "19530508", "River City", "JMK", "dizzy", "John", "20021122"):
        assert secret not in said
