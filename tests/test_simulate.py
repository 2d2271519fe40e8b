from __future__ import annotations

import importlib
import itertools
import json

import numpy as np
import pytest

from ecg_widget.heart_vector import CLASSES, ELECTRODES, beat, leads_of
from ecg_widget.records import LEADS, resample, validate_ecg
from ecg_widget.simulate import simulate

RATE = 500
N = 40


def _runs(wave, value):
    """Starts and ends (exclusive) of the runs of a value that lie wholly inside."""
    edge = np.diff(np.r_[0, (wave == value).astype(int), 0])
    starts, ends = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
    inside = (starts > 0) & (ends < len(wave))
    return list(zip(starts[inside], ends[inside], strict=True))


def _measure(ds, i):
    """What a reader measures with callipers on one clean record: medians over beats, ms and mV."""
    wave, rows = ds.wave.values[i], []
    signal = {lead: ds.signal.values[i, k].astype(float) for k, lead in enumerate(ds.lead.values)}
    atria, repolarisation = _runs(wave, 1), _runs(wave, 3)
    for start, end in _runs(wave, 2):
        t = next(((a, b) for a, b in repolarisation if a >= end), None)
        if t is None or t[0] - end > 0.4 * RATE or start < 20:
            continue
        p = [a for a, _ in atria if 0 < start - a < 0.3 * RATE]
        row = {"QRS": end - start, "QT": t[1] - start, "PR": start - p[-1] if p else np.nan}
        row = {k: v * 1000 / RATE for k, v in row.items()}
        for lead, x in signal.items():
            x0 = x - x[start - 8 : start].mean()
            qrs = x0[start:end]
            top = int(np.argmax(qrs))
            tt = x0[t[0] : t[1]]
            row |= {
                f"R {lead}": qrs.max(),
                f"S {lead}": qrs.min(),
                f"q {lead}": qrs[: top + 1].min(),
                f"late R {lead}": qrs[len(qrs) // 2 :].max(),
                f"late S {lead}": qrs[len(qrs) // 2 :].min(),
                f"J {lead}": x0[end + 10],
                f"T {lead}": tt[np.argmax(np.abs(tt))],
            }
        rows.append(row)
    # The record may begin inside a P wave: that beat has no PR.
    out = {k: float(np.median([r[k] for r in rows if not np.isnan(r[k])] or np.nan)) for k in rows[0]}
    rr = np.diff([start for start, _ in _runs(wave, 2)]) / RATE
    return out | {"RR": rr.mean(), "RR variation": rr.std() / rr.mean(), "QTc": out["QT"] / np.cbrt(rr.mean())}


@pytest.fixture(scope="module")
def measured():
    """Calliper measurements of 40 clean hearts of each class: name -> measurement -> (40,)."""
    out = {}
    for name in CLASSES:
        ds = simulate(N, classes=name, seed=11, snr=np.inf, wander=0)
        rows = [_measure(ds, i) for i in range(N)]
        out[name] = {k: np.array([r[k] for r in rows]) for k in rows[0]}
    return out


class TestContract:
    def test_dataset(self):
        ds = validate_ecg(simulate(9, seed=4))
        assert ds.lead.values.tolist() == list(LEADS)
        assert dict(ds.sizes) == {"record": 9, "lead": 12, "time": 5000, "target": 7}
        assert ds.label.dtype == np.uint8
        assert (ds.label.sum("target") == 1).all()
        assert ds.target.values[ds.label.values.argmax(1)].tolist() == [*CLASSES, "NORM", "IMI"]
        assert len(set(ds.patient.values)) == 9
        assert set(np.unique(ds.wave)) == {0, 1, 2, 3}
        assert ds.wave.attrs["flag_meanings"] == "none P QRS T"
        assert np.isfinite(ds.signal).all()
        json.dumps({**ds.attrs, **ds.wave.attrs, **ds.target.attrs}, allow_nan=False)

    @pytest.mark.parametrize(("duration", "rate"), [(1, 100), (2.5, 250), (31, 100), (10, 1000), (1.003, 333)])
    def test_any_length_and_rate(self, duration, rate):
        ds = validate_ecg(simulate(2, duration=duration, sampling_rate=rate))
        assert ds.sizes["time"] == round(duration * rate)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"n_records": 0}, ValueError, "n_records: expected at least 1"),
            ({"n_records": 2.0}, TypeError, "n_records: expected a whole number"),
            ({"seed": -1}, ValueError, "seed: expected at least 0"),
            ({"duration": 0.5}, ValueError, "duration: expected 1 to 3600 s"),
            ({"sampling_rate": 20}, ValueError, "sampling_rate: expected 50 to 10000 Hz"),
            ({"sampling_rate": np.nan}, ValueError, "sampling_rate"),
            ({"classes": ["NORM", "STEMI"]}, ValueError, r"classes: expected names out of NORM, IMI.*got \['STEMI'\]"),
            ({"classes": []}, ValueError, "classes"),
            ({"snr": np.nan}, ValueError, "snr"),
            ({"wander": -1}, ValueError, "wander: expected 0 to 10 mV"),
            ({"mains": np.inf}, ValueError, "mains"),
        ],
    )
    def test_refuses(self, arguments, error, message):
        with pytest.raises(error, match=message):
            simulate(**arguments)


class TestSeed:
    def test_same_seed_same_bits(self):
        a, b = simulate(8, seed=3), simulate(8, seed=3)
        assert a.identical(b)
        assert not np.array_equal(a.signal, simulate(8, seed=4).signal)

    def test_a_record_does_not_depend_on_how_many_are_made(self):
        many, few = simulate(15, seed=2), simulate(6, seed=2)
        assert many.isel(record=slice(6)).identical(few)

    def test_records_differ(self):
        ds = simulate(6, classes="NORM")
        for i in range(5):
            assert float(abs(ds.signal[i] - ds.signal[i + 1]).max()) > 0.2

    def test_noise_leaves_the_heart_alone(self):
        quiet, loud = simulate(3, seed=1, snr=np.inf, wander=0), simulate(3, seed=1, snr=5, wander=0.3)
        assert quiet.wave.identical(loud.wave)
        assert float(abs(quiet.signal - loud.signal).max()) > 0.1


class TestLeads:
    @pytest.mark.parametrize(("snr", "wander"), [(np.inf, 0), (10, 0.2)])
    def test_einthoven_and_goldberger(self, snr, wander):
        ds = simulate(7, snr=snr, wander=wander)
        i, ii, iii, avr, avl, avf = (ds.signal.sel(lead=lead).astype(float) for lead in LEADS[:6])
        for left, right in (
            (i + iii, ii),
            (avr, -(i + ii) / 2),
            (avl, (i - iii) / 2),
            (avf, (ii + iii) / 2),
            (avr + avl + avf, 0 * i),
        ):
            assert float(abs(left - right).max()) < 1e-6

    def test_electrodes(self):
        """A disturbance at one electrode reaches the leads as the amplifier's wiring says."""
        noise = np.zeros((9, 1))
        noise[ELECTRODES.index("LA")] = 3
        lead = dict(zip(LEADS, leads_of(np.zeros((3, 1)), noise)[:, 0].tolist(), strict=True))
        assert lead == pytest.approx(
            {"I": 3, "II": 0, "III": -3, "aVR": -1.5, "aVL": 3, "aVF": -1.5} | dict.fromkeys(LEADS[6:], -1)
        )

    def test_a_common_disturbance_is_rejected(self):
        assert np.abs(leads_of(np.zeros((3, 1)), np.ones((9, 1)))).max() < 1e-6


class TestNoise:
    @pytest.mark.parametrize("snr", [0.0, 12.0, 24.0])
    def test_snr_is_as_stated(self, snr):
        clean = simulate(7, seed=5, snr=np.inf, wander=0).signal.values.astype(float)
        noisy = simulate(7, seed=5, snr=snr, wander=0).signal.values.astype(float)
        power = clean.var(axis=2).mean(axis=1) / (noisy - clean).var(axis=2).mean(axis=1)
        np.testing.assert_allclose(10 * np.log10(power), snr, atol=0.05)

    def test_wander_is_slow_and_as_large_as_stated(self):
        clean = simulate(7, seed=5, snr=np.inf, wander=0, duration=30).signal.values
        wander = simulate(7, seed=5, snr=np.inf, wander=0.1, duration=30).signal.values - clean
        # Lead I sees two electrodes with the same frequencies and phases of their own.
        assert 0.02 < wander[:, 0].std() < 0.2
        spectrum = np.abs(np.fft.rfft(wander * np.hanning(wander.shape[2]), axis=2)) ** 2
        f = np.fft.rfftfreq(wander.shape[2], 1 / RATE)
        assert spectrum[..., f > 1].sum() / spectrum.sum() < 1e-3

    @pytest.mark.parametrize("mains", [50, 60])
    def test_mains_line(self, mains):
        clean = simulate(2, snr=np.inf, wander=0).signal.values
        noise = simulate(2, snr=10, wander=0, mains=mains).signal.values - clean
        f = np.fft.rfftfreq(noise.shape[2], 1 / RATE)
        spectrum = (np.abs(np.fft.rfft(noise, axis=2)) ** 2).mean(axis=(0, 1))
        line = spectrum[np.abs(f - mains) < 0.5].max()
        around = np.median(spectrum[(np.abs(f - mains) > 2) & (np.abs(f - mains) < 8)])
        assert line > 50 * around

    def test_mains_beyond_the_band_does_not_alias(self):
        with_line = simulate(1, sampling_rate=100, snr=10, mains=50)
        without = simulate(1, sampling_rate=100, snr=10, mains=0)
        np.testing.assert_array_equal(with_line.signal, without.signal)


class TestTruth:
    def test_order_in_every_beat(self):
        ds = simulate(N, classes="NORM", seed=1)
        for wave in ds.wave.values:
            order = wave[np.r_[True, np.diff(wave) != 0]]
            order = order[order > 0]
            assert all({1: 2, 2: 3, 3: 1}[a] == b for a, b in itertools.pairwise(order))

    def test_energy_lies_where_the_truth_says(self):
        ds = simulate(N, classes="NORM", seed=1, snr=np.inf, wander=0)
        slope = np.abs(np.gradient(ds.signal.values, axis=2)).max(axis=1)
        wave = ds.wave.values
        assert slope[wave == 2].mean() > 20 * slope[wave == 0].mean()
        assert 0.08 < (wave == 2).mean() < 0.16
        p, rest = np.abs(ds.signal.sel(lead="II").values)[wave == 1], np.abs(ds.signal.sel(lead="II").values)[wave == 0]
        assert p.mean() > 2 * rest.mean()

    def test_resampled_truth_stays_on_the_wave(self):
        ds = simulate(7, seed=1)
        direct, resampled = simulate(7, seed=1, sampling_rate=100), resample(ds, 100)
        assert (direct.wave.values == resampled.wave.values).mean() > 0.98

    def test_support_of_the_typical_beat(self):
        for name in CLASSES:
            one = beat(name)
            assert (one.rise > 0).all()
            assert (one.fall > 0).all()
            assert (1 in one.kind) == (name != "AFIB")


class TestCardiology:
    """Criteria that a reader applies; every heart of the class must meet them, unless a share is stated."""

    @pytest.mark.parametrize("name", [c for c in CLASSES if c != "AFIB"])
    def test_sinus_rhythm(self, measured, name):
        m = measured[name]
        assert ((m["PR"] >= 120) & (m["PR"] <= 200)).all()
        assert ((60 / m["RR"] > 48) & (60 / m["RR"] < 100)).all()
        assert (m["RR variation"] < 0.08).all()
        assert (m["RR variation"] > 0.005).all()

    @pytest.mark.parametrize(
        ("name", "least", "most"),
        [
            ("NORM", 80, 110),
            ("INVT", 80, 110),
            ("LVH", 85, 119),
            ("IMI", 85, 115),
            ("AFIB", 80, 110),
            ("CLBBB", 120, 180),
            ("CRBBB", 120, 170),
        ],
    )
    def test_qrs_duration(self, measured, name, least, most):
        assert ((measured[name]["QRS"] >= least) & (measured[name]["QRS"] <= most)).all()

    def test_qt_follows_rate(self, measured):
        for name in ("NORM", "INVT", "LVH", "IMI"):
            assert ((measured[name]["QTc"] > 360) & (measured[name]["QTc"] < 450)).all()
        m = measured["NORM"]
        assert np.corrcoef(m["RR"], m["QT"])[0, 1] > 0.6
        assert abs(np.corrcoef(m["RR"], m["QTc"])[0, 1]) < 0.4

    def test_normal(self, measured):
        m = measured["NORM"]
        axis = np.degrees(np.arctan2((m["R aVF"] + m["S aVF"]) * 2 / np.sqrt(3), m["R I"] + m["S I"]))
        assert ((axis > -30) & (axis < 90)).all()
        assert (m["R V1"] < -m["S V1"]).all()  # rS
        assert (m["R V6"] > -m["S V6"]).all()  # qR
        assert (m["q V6"] < -0.02).mean() > 0.8  # septal q
        assert (m["R V4"] > m["R V3"]).mean() > 0.8
        assert (m["R V3"] > m["R V2"]).all()
        assert (m["R V2"] > m["R V1"]).all()
        for lead in ("I", "II", "V3", "V4", "V5", "V6"):
            assert (m[f"T {lead}"] > 0).all(), lead
        assert (m["T aVR"] < 0).all()
        assert (-m["S V1"] + m["R V5"] < 4.0).mean() > 0.9  # young hearts may pass Sokolow-Lyon's 3.5
        assert (np.abs([m[f"J {lead}"] for lead in LEADS]) < 0.12).all()

    def test_inferior_infarction(self, measured):
        m = measured["IMI"]
        for lead in ("III", "aVF"):
            assert (-m[f"q {lead}"] > m[f"R {lead}"] / 4).all(), lead
        for lead in ("II", "III", "aVF"):
            assert (m[f"q {lead}"] < -0.1).all(), lead
            assert (m[f"J {lead}"] > 0.1).all(), lead
        for lead in ("I", "aVL"):
            assert (m[f"J {lead}"] < -0.04).all(), lead
        assert (m["J III"] > m["J II"]).all()  # right coronary artery

    def test_left_bundle_branch_block(self, measured):
        m = measured["CLBBB"]
        for lead in ("I", "V6"):
            assert (m[f"q {lead}"] > -0.03).all(), lead  # no septal q
            assert (m[f"T {lead}"] < 0).all(), lead  # discordant
        for lead in ("V1", "V2"):
            assert (m[f"S {lead}"] < -4 * m[f"R {lead}"]).all(), lead  # QS or rS
            assert (m[f"T {lead}"] > 0).all(), lead
            assert (m[f"J {lead}"] > 0.05).all(), lead

    def test_left_bundle_branch_block_is_notched(self):
        ds = simulate(N, classes="CLBBB", seed=11, snr=np.inf, wander=0)
        notched = 0
        for i in range(N):
            start, end = _runs(ds.wave.values[i], 2)[1]
            x = ds.signal.sel(lead=["I", "V5", "V6"]).values[i, :, start:end]
            peaks = (
                (x[:, 1:-1] > x[:, :-2]) & (x[:, 1:-1] >= x[:, 2:]) & (x[:, 1:-1] > 0.5 * x.max(1, keepdims=True))
            ).sum(1)
            notched += (peaks >= 2).any()
        assert notched > 0.8 * N

    def test_right_bundle_branch_block(self, measured):
        m = measured["CRBBB"]
        assert (m["late R V1"] > 0.3).all()  # R'
        assert (m["late R V1"] >= m["R V1"]).mean() > 0.8
        assert (m["S V1"] < -0.1).all()  # between r and R'
        assert (m["late S I"] < -0.05).all()
        assert (m["late S V6"] < -0.15).all()
        assert (m["T V1"] < 0).all()
        assert (m["T V6"] > 0).all()

    def test_t_inversion(self, measured):
        m = measured["INVT"]
        for lead in ("V3", "V4", "V5", "V6"):
            assert (m[f"T {lead}"] < -0.1).all(), lead
        assert (m["T V2"] < 0).all()
        assert (m["T I"] < 0).all()

    def test_left_ventricular_hypertrophy(self, measured):
        m = measured["LVH"]
        assert (-m["S V1"] + np.maximum(m["R V5"], m["R V6"]) >= 3.5).mean() >= 0.95  # Sokolow-Lyon
        for lead in ("V5", "V6", "I"):
            assert (m[f"T {lead}"] < -0.05).all(), lead
        for lead in ("V5", "V6"):
            assert (m[f"J {lead}"] < -0.05).all(), lead

    def test_atrial_fibrillation(self, measured):
        assert (measured["AFIB"]["RR variation"] > 0.1).all()
        ds = simulate(N, classes="AFIB", seed=11, snr=np.inf, wander=0)
        assert not (ds.wave == 1).any()
        # Between T and the next QRS the base line is flat in sinus rhythm and never in fibrillation.
        plain = simulate(N, classes="NORM", seed=11, snr=np.inf, wander=0)
        quiet = {}
        for name, d in (("AFIB", ds), ("NORM", plain)):
            x = d.signal.sel(lead="V1").values
            after_t = [x[i, b : b + 40].std() for i in range(N) for _, b in _runs(d.wave.values[i], 3)[:-1]]
            quiet[name] = np.median(after_t)
        assert quiet["AFIB"] > 3 * quiet["NORM"]


@pytest.mark.real_data
def test_a_network_trained_on_patients_reads_the_simulated_hearts(shared_data, monkeypatch):
    """A published PTB-XL network, which never saw the simulator, names the superclass of nearly every heart."""
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(shared_data / "networks"))
    networks = importlib.import_module("networks")
    net, outputs = networks.load("plaincnn7"), ["CD", "HYP", "MI", "NORM", "STTC"]
    expected = {"NORM": "NORM", "IMI": "MI", "CLBBB": "CD", "CRBBB": "CD", "INVT": "STTC", "LVH": "HYP"}
    for name, superclass in expected.items():
        ds = resample(simulate(20, classes=name, seed=21), 100)
        with torch.inference_mode():
            probability = torch.sigmoid(net(torch.from_numpy(ds.signal.values))).numpy()
        assert (probability[:, outputs.index(superclass)] > 0.5).mean() >= 0.9, name
        if name != "NORM":
            assert (probability[:, outputs.index("NORM")] < 0.5).mean() >= 0.9, name
