import shutil

import numpy as np
import pytest
import wfdb

from ecg_widget import formats
from ecg_widget.formats.ludb import waves
from ecg_widget.records import LEADS, RecordError, open_ecg, resample, validate_ecg

BEAT = [(100, "("), (110, "p"), (120, ")"), (140, "("), (150, "N"), (160, ")"), (200, "("), (230, "t"), (250, ")")]


def write(folder, *, records=("1", "2"), listed=None, marks=BEAT, n_samples=600):
    """A small folder in LUDB's layout."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    names = [f"data/{r}" for r in (listed or records)]
    (folder / "RECORDS").write_text("\n".join(names) + "\n")
    (folder / "ludb.csv").write_text('ID,Sex,Age,Rhythms,Electric axis of the heart\n1,"F\n","51\n",Sinus,left\n')
    rng = np.random.default_rng(1)
    for r in records:
        wfdb.wrsamp(
            r, 500, ["mV"] * 12, [lead.lower() for lead in LEADS], rng.normal(size=(n_samples, 12)).cumsum(0) / 50,
            fmt=["16"] * 12, adc_gain=[1000.0] * 12, baseline=[0] * 12, write_dir=str(folder / "data"),
        )  # fmt: skip
        for i, lead in enumerate(LEADS):
            at = np.array([a for a, _ in marks]) + i  # every lead has marks of its own
            annotate(folder, r, lead.lower(), at, [s for _, s in marks])
    return folder


def annotate(folder, record, lead, at, symbols):
    """The library writes no file whose extension has a digit, as v3 has."""
    wfdb.wrann(record, "tmp", np.asarray(at), symbols, write_dir=str(folder / "data"), fs=500)
    (folder / "data" / f"{record}.tmp").rename(folder / "data" / f"{record}.{lead}")


def test_waves_of_each_lead(tmp_path):
    ds = validate_ecg(open_ecg(write(tmp_path)))
    assert ds["wave"].dims == ds["wave_known"].dims == ("record", "lead", "time")
    assert ds["record"].values.tolist() == ["1", "2"]
    assert ds["lead"].values.tolist() == list(LEADS)
    for lead, shift in (("I", 0), ("V6", 11)):
        wave = ds["wave"].sel(record="2", lead=lead).values
        known = ds["wave_known"].sel(record="2", lead=lead).values
        for value, first, last in ((1, 100, 120), (2, 140, 160), (3, 200, 250)):
            assert np.flatnonzero(wave == value).tolist() == list(range(first + shift, last + shift + 1))
        assert np.flatnonzero(known).tolist() == list(range(100 + shift, 250 + shift + 1))
    assert open_ecg(tmp_path / "ludb.csv", leads=["II"]).sizes["lead"] == 1


def test_unknown_is_apart_from_none():
    wave, known = waves([at for at, _ in BEAT], [s for _, s in BEAT], 300)
    assert not known[:100].any()
    assert not known[251:].any()
    assert known[121:140].all()
    assert (wave[121:140] == 0).all()
    assert not waves([], [], 5)[1].any()


@pytest.mark.parametrize(
    ("marks", "unknown", "wave"),
    [
        ([(2, "("), (4, "N"), (6, ")"), (9, "("), (12, ")")], [10, 11], {2: [2, 3, 4, 5, 6]}),  # no peak: which wave?
        ([(2, "("), (4, "p"), (9, "("), (10, "N"), (12, ")")], [5, 6, 7, 8], {1: [2, 3, 4], 2: [9, 10, 11, 12]}),
        ([(2, "("), (4, "p"), (5, ")"), (9, "N")], [6, 7, 8], {1: [2, 3, 4, 5], 2: [9]}),
        ([(3, "t"), (6, "N")], [4, 5], {3: [3], 2: [6]}),
    ],
)
def test_lacking_marks_leave_unknown_what_they_would_bound(marks, unknown, wave):
    found, known = waves([at for at, _ in marks], [s for _, s in marks], 15)
    first, last = marks[0][0], marks[-1][0]
    assert [i for i in range(first, last + 1) if not known[i]] == unknown
    for value, at in wave.items():
        assert np.flatnonzero(found == value).tolist() == at


def test_resampling_keeps_both(tmp_path):
    ds = resample(open_ecg(write(tmp_path)), 100)
    assert np.flatnonzero(ds["wave"][0, 0] == 2).tolist() == [28, 29, 30, 31, 32]
    assert np.flatnonzero(ds["wave_known"][0, 0]).tolist() == list(range(20, 51))


def test_absent_records(tmp_path):
    write(tmp_path, listed=("1", "2", "3"))
    with pytest.raises(RecordError, match="the 3 records of RECORDS, 1 are absent"):
        open_ecg(tmp_path)
    assert open_ecg(tmp_path, missing="drop").attrs["missing"] == 1
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(RecordError, match="got none"):
        open_ecg(tmp_path, missing="drop")


def _outside(folder):
    (folder / "RECORDS").write_text("data/1\n../../etc/passwd\n")


def _no_annotation(folder):
    (folder / "data" / "1.v3").unlink()


def _huge(folder):
    (folder / "data" / "1.v3").write_bytes(b"\0" * (2 << 20))


def _noise(folder):
    (folder / "data" / "1.v3").write_bytes(bytes(range(1, 252)))


def _other_marks(folder):
    annotate(folder, "1", "v3", [10, 20], ["N", "V"])


def _beyond(folder):
    annotate(folder, "1", "v3", [10, 700], ["(", "N"])


def _twice(folder):
    (folder / "RECORDS").write_text("data/1\ndata/1\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_outside, r"RECORDS: expected names such as data/1, got '../../etc/passwd'"),
        (_no_annotation, r"1\.v3: expected the annotations of this lead"),
        (_huge, r"1\.v3: expected at most 1048576 bytes"),
        (_noise, r"1\.v3: "),
        (_other_marks, r"1\.v3: expected the marks \( p N t \), got \['V'\]"),
        (_beyond, r"1\.v3: expected marks in order from sample 0 to 599"),
        (_twice, r"RECORDS: expected each record once"),
    ],
)
def test_hostile_folders(tmp_path, damage, message):
    damage(write(tmp_path))
    with pytest.raises(RecordError, match=message):
        open_ecg(tmp_path)


def test_contract_of_known(tmp_path):
    ds = open_ecg(write(tmp_path))
    with pytest.raises(TypeError, match="wave_known: expected dtype bool, got int8"):
        validate_ecg(ds.assign(wave_known=ds["wave_known"].astype("int8")))
    with pytest.raises(ValueError, match="wave_known: expected the variable 'wave' with the same dims"):
        validate_ecg(ds.drop_vars("wave"))
    with pytest.raises(ValueError, match="missing: expected"):
        open_ecg(tmp_path, missing="skip")


@pytest.mark.real_data
def test_ludb(shared_data):
    ds = open_ecg(shared_data / "ludb")
    assert "LUDB" in {reader.NAME for reader in formats.readers()}
    assert ds["signal"].shape == (100, 12, 5000)
    known = ds["wave_known"]
    assert 0.6 < float(known.mean()) < 0.8
    share = [float(((ds["wave"] == k) & known).sum() / known.sum()) for k in range(4)]
    np.testing.assert_allclose(share, [0.58, 0.095, 0.128, 0.202], atol=0.02)
    # As the files say, mark by mark, in a lead that is marked in full.
    marks = wfdb.rdann(str(shared_data / "ludb" / "data" / "1"), "ii")
    wave = ds["wave"].sel(record="1", lead="II").values
    for at, symbol in zip(marks.sample, marks.symbol, strict=True):
        if symbol in "pNt":
            assert wave[at] == {"p": 1, "N": 2, "t": 3}[symbol]


def test_a_note_that_would_keep_the_library_for_ever_is_refused():
    """`rdann` looks for the end of definitions in notes and never stops where there is none."""
    from ecg_widget.formats.ludb import _vet

    def note(text):
        return bytes([len(text), 63 << 2]) + text + b"\0" * (len(text) % 2)

    _vet(note(b"## time resolution: 500") + bytes([0, 0]))
    with pytest.raises(ValueError, match="expected no definitions in notes"):
        _vet(note(b"## annotation type definitions") + bytes([0, 0]))
    with pytest.raises(ValueError, match="ends within one"):
        _vet(bytes([9, 63 << 2]))
