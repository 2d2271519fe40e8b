"""Sets of recordings: opened by one, read when asked for, chosen without a read, as long as they are."""

import csv
import json

import numpy as np
import pytest
import xarray as xr

import ecg_widget as ecg
from ecg_widget import many
from ecg_widget.formats import wfdb as reader
from ecg_widget.ragged import by_length, lengths

LEADS = ["I", "II", "V5"]


def written(folder, name, n_samples, seed, *, leads=LEADS, rate=100):
    import wfdb

    folder.mkdir(parents=True, exist_ok=True)
    values = np.cumsum(np.random.default_rng(seed).integers(-30, 31, (n_samples, len(leads))), axis=0)
    wfdb.wrsamp(
        name, fs=rate, units=["mV"] * len(leads), sig_name=list(leads), d_signal=values, fmt=["16"] * len(leads),
        adc_gain=[1000.0] * len(leads), baseline=[0] * len(leads), write_dir=str(folder),
    )  # fmt: skip
    return (values.T / 1000).astype(np.float32)


@pytest.fixture
def signals(tmp_path):
    return [written(tmp_path / f"p{i % 2}", f"r{i}", 400, i) for i in range(6)]


@pytest.fixture
def catalogue(tmp_path, signals):
    def write(
        name="all.csv", columns=("path", "patient", "fold", "label:MI", "label:AF", "age"), change=lambda rows: None
    ):
        rows = [[f"p{i % 2}/r{i}", f"p{i % 2}", i % 3 + 1, i % 2, int(i == 4), 40 + i] for i in range(6)]
        change(rows)
        with (tmp_path / name).open("w", newline="") as stream:
            csv.writer(stream).writerows([columns, *[row[: len(columns)] for row in rows]])
        return tmp_path / name

    return write


@pytest.fixture
def reads(monkeypatch):
    """Which headers were opened."""
    seen = []
    original = reader.read

    def read(path, **options):
        seen.append(path.name)
        return original(path, **options)

    read.__kwdefaults__ = original.__kwdefaults__
    monkeypatch.setattr(reader, "read", read)
    return seen


def test_a_catalogue_opens_by_its_first_record_and_reads_one_at_a_time(catalogue, signals, reads):
    ds = ecg.open_ecg(catalogue(), lazy=True)
    assert reads == ["r0.hea"]
    assert ds["signal"].shape == (6, 3, 400)
    assert ds["record"].values.tolist() == [f"r{i}" for i in range(6)]
    assert (ds["patient"].values.tolist(), ds["fold"].values.tolist()) == (["p0", "p1"] * 3, [1, 2, 3, 1, 2, 3])
    assert ds["label"].sel(target="MI").values.tolist() == [False, True] * 3
    assert "age" not in ds.variables
    np.testing.assert_array_equal(ds["signal"].isel(record=3).values, signals[3])
    assert reads == ["r0.hea", "r3.hea"]
    np.testing.assert_array_equal(
        ds["signal"].isel(record=[5, 1], lead=1, time=slice(50, 60)).values, [signals[i][1, 50:60] for i in (5, 1)]
    )
    assert sorted(reads[2:]) == ["r1.hea", "r5.hea"]


def test_the_same_from_a_list_and_from_a_folder(tmp_path, catalogue, signals, reads):
    whole = ecg.open_ecg(catalogue())
    np.testing.assert_array_equal(whole["signal"].values, signals)
    (tmp_path / "all.csv").unlink()
    (tmp_path / "notes.txt").write_text("nothing")
    folder = ecg.open_ecg(tmp_path)
    assert folder["record"].values.tolist() == ["r0", "r2", "r4", "r1", "r3", "r5"]
    assert folder.attrs["ignored"] == 1
    paths = [tmp_path / f"p{i % 2}" / f"r{i}" for i in range(6)]
    listed = ecg.open_ecg(paths, unreadable="nan", lazy=True)
    np.testing.assert_array_equal(listed["signal"].values, signals)
    np.testing.assert_array_equal(folder["signal"].sel(record=listed["record"]).values, signals)


def test_dask_reads_chunk_by_chunk(catalogue, signals, reads):
    chunked = ecg.open_ecg(catalogue(), lazy=True).chunk({"record": 2})
    n = len(reads)
    mean = chunked["signal"].isel(record=slice(0, 2)).mean(("record", "time"))
    assert len(reads) == n
    np.testing.assert_allclose(mean.values, np.mean(signals[:2], axis=(0, 2)), rtol=1e-5)
    assert sorted(reads[n:]) == ["r0.hea", "r1.hea"]


def test_choosing_reads_nothing(catalogue, reads):
    ds = ecg.open_ecg(catalogue(), lazy=True)
    n = len(reads)

    def names(**conditions):
        return [int(name[1:]) for name in ecg.select(ds, **conditions)["record"].values]

    assert names(fold=2) == [1, 4]
    assert names(fold=[1, 2]) == [0, 1, 3, 4]
    assert names(label="MI") == [1, 3, 5]
    assert names(label=["MI", "AF"]) == [1, 3, 4, 5]
    assert names(label={"MI": False, "AF": False}) == [0, 2]
    assert names(patient="p1", fold=1) == [3]
    assert len(reads) == n
    for conditions, message in (
        ({"fold": 9}, r"fold: expected some of \[1, 2, 3\], got \[9\]"),
        ({"label": "LBBB"}, r"label: expected one or several of \['MI', 'AF'\], got \['LBBB'\]"),
        ({"quality": "clean"}, "nobody has looked at these records"),
        ({"quality": "good"}, "quality: expected 'clean'"),
        ({"label": "AF", "fold": 1}, "expected at least one of 6 records, none has label='AF', fold=1"),
        ({"patient": []}, "got none"),
    ):
        with pytest.raises(ValueError, match=message):
            ecg.select(ds, **conditions)


def test_choosing_by_quality_keeps_the_findings_of_the_chosen():
    ds = ecg.simulate(3, seed=0)
    ds["signal"][1, 6] = 0
    looked = ds.assign_attrs(quality=ecg.quality(ds).attrs["quality"])
    flat = ecg.select(looked, quality=["flat"])
    assert flat.sizes["record"] == 2
    assert ds["record"].values[1] not in {item["record"] for item in json.loads(flat.attrs["quality"])}
    report = ecg.quality(ds)
    clean = report["record"].values[report["n_findings"].values == 0]
    assert ecg.select(ds, quality=report)["record"].values.tolist() == clean.tolist()


@pytest.fixture
def uneven(tmp_path):
    n = [300, 500, 410]
    signals = [written(tmp_path / "uneven", f"u{i}", k, i, leads=ecg.LEADS) for i, k in enumerate(n)]
    return tmp_path / "uneven", n, signals


def test_other_lengths_are_an_error_unless_they_are_asked_for(uneven):
    folder, n, signals = uneven
    ds = ecg.open_ecg(folder, lazy=True)
    with pytest.raises(ecg.RecordError, match=r"record 'u1': samples: expected 300 .*, got 500; .*ragged=True"):
        ds["signal"].load()
    ds = ecg.open_ecg(folder, ragged=True)
    assert ds["n_samples"].values.tolist() == n
    assert ds.sizes["time"] == 500
    assert "NaN behind" in ds.attrs["ragged"]
    for got, expected, k in zip(ds["signal"].values, signals, n, strict=True):
        np.testing.assert_array_equal(got[:, :k], expected)
        assert np.isnan(got[:, k:]).all()


def test_a_network_sees_ragged_records_as_long_as_they_are(uneven):
    folder, n, _ = uneven
    net, ds = ecg.load_network(), ecg.open_ecg(folder, ragged=True)
    alone = [ecg.open_ecg(folder / f"u{i}") for i in range(3)]
    prediction, acts = ecg.predict(net, ds), ecg.activations(net, ds)
    layer = acts["blocks.3"]
    for i, one in enumerate(alone):
        np.testing.assert_allclose(prediction.values[i], ecg.predict(net, one).values[0], atol=1e-6)
        expected = ecg.activations(net, one)
        np.testing.assert_allclose(acts.output.values[i], expected.output.values[0], atol=1e-5)
        cells = expected["blocks.3"]
        k = cells.sizes["cell"]
        np.testing.assert_allclose(layer.values[i, :k], cells.values[0], atol=1e-5)
        np.testing.assert_array_equal(layer["valid"].values[i, :k], cells["valid"].values[0])
        assert not layer["valid"].values[i, k:].any()
    seg = ecg.TimeClusters(4, random_state=0).fit_predict(acts)
    assert (seg["cluster"].values[0][seg["centre"].values > n[0] / 100] == -1).all()
    np.testing.assert_allclose(seg["proportion"].sum("cluster"), 1, rtol=1e-6)


def test_ragged_records_are_shown_and_keep_their_lengths_on_the_way(uneven):
    folder, n, _ = uneven
    ds = ecg.open_ecg(folder, ragged=True, lazy=True)
    explorer = ecg.Explorer(ecg.load_network(), ds)
    result = explorer.result("u0", explorer.default_layers, 4)
    assert not result["valid"].values[result["centre"].values > n[0] / 100].any()
    alone = ecg.predict(ecg.load_network(), ecg.open_ecg(folder / "u0"))
    np.testing.assert_allclose(result["prediction"].values, alone.values[0], atol=1e-6)
    faster = ecg.resample(ds, 250)
    assert faster["n_samples"].values.tolist() == [-(-k * 5 // 2) for k in n]
    report = ecg.quality(ds.load())
    assert report["gap"].values.max() == 0
    with pytest.raises(ValueError, match="n_samples: expected whole numbers from 1 to the 100 samples of time"):
        lengths(ds.isel(time=slice(100)))
    assert [part.sizes["time"] for _, part in by_length(ds)] == [500, 410, 300]


def test_a_network_that_moves_short_records_says_so(uneven):
    folder, _, _ = uneven
    net = ecg.load_network()
    fixed = ecg.ECGNetwork(
        net.module, ecg.InputSpec(sampling_rate=100, n_samples=450), targets=list(net.targets), output="sigmoid"
    )
    ds = ecg.open_ecg(folder, ragged=True)
    expected = [ecg.predict(fixed, ecg.open_ecg(folder / f"u{i}")).values[0] for i in range(3)]
    np.testing.assert_allclose(ecg.predict(fixed, ds).values, expected, atol=1e-6)
    with pytest.raises(ValueError, match="n_samples: expected a network whose cells begin with the record"):
        ecg.activations(fixed, ds)


def test_what_cannot_be_read_is_told_as_asked(tmp_path, catalogue, signals):
    (tmp_path / "p0" / "r2.dat").write_bytes(b"short")
    (tmp_path / "p1" / "r3.hea").write_text("no header")
    path = catalogue()
    ds = ecg.open_ecg(path, lazy=True)
    with pytest.raises(ecg.RecordError, match="record 'r3'"):
        ds["signal"].isel(record=3).values  # noqa: B018
    np.testing.assert_array_equal(ds["signal"].isel(record=4).values, signals[4])
    skipped = ecg.open_ecg(path, unreadable="skip", lazy=True)
    assert "r3" not in skipped["record"].values
    assert skipped.attrs["n_unreadable"] == len(skipped.attrs["unreadable"]) == 6 - skipped.sizes["record"]
    assert skipped["fold"].sel(record="r4") == 2
    with pytest.warns(UserWarning, match="record 'r3' is NaN"):
        holes = ecg.open_ecg(path, unreadable="nan")
    assert np.isnan(holes["signal"].sel(record="r3")).all()
    np.testing.assert_array_equal(holes["signal"].sel(record="r4").values, signals[4])
    with pytest.raises(ValueError, match="unreadable: expected one of 'error', 'skip', 'nan', got 'ignore'"):
        ecg.open_ecg(path, unreadable="ignore")


@pytest.mark.parametrize("place", ["../x", "/etc/passwd", "~/x", "p0\\r0", "file:x", "", "p0/../../x", "a\nb"])
def test_a_catalogue_stays_in_its_folder(catalogue, place):
    def change(rows):
        rows[4][0] = place

    with pytest.raises(ecg.RecordError, match=r"path: expected a relative path below the catalogue's folder|line"):
        ecg.open_ecg(catalogue(change=change))


def test_a_link_out_of_the_folder_is_refused_when_it_is_read(tmp_path, catalogue):
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    written(outside, "r9", 400, 9)
    (tmp_path / "p0" / "r4.hea").unlink()
    (tmp_path / "p0" / "r4.hea").symlink_to(outside / "r9.hea")
    ds = ecg.open_ecg(catalogue(), lazy=True)
    with pytest.raises(ecg.RecordError, match=r"expected a file below .*, got a link out of it"):
        ds["signal"].isel(record=4).values  # noqa: B018


def test_other_leads_and_rates_name_their_record(tmp_path):
    written(tmp_path, "a", 400, 0)
    written(tmp_path, "b", 400, 1, leads=["I", "II", "V6"])
    written(tmp_path, "c", 400, 2, rate=200)
    ds = ecg.open_ecg(tmp_path, lazy=True)
    for i, message in (
        (1, r"record 'b': leads: expected \['I', 'II', 'V5'\]"),
        (2, "record 'c': sampling rate: expected 100"),
    ):
        with pytest.raises(ecg.RecordError, match=message):
            ds["signal"].isel(record=i).values  # noqa: B018
    both = ecg.open_ecg(tmp_path, leads=["II"], unreadable="skip")
    assert both["record"].values.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label:MI", "maybe", "line 3: label:MI: expected 0 or 1, got 'maybe'"),
        ("fold", "two", "fold"),
        ("record", "r0", "record: expected different names"),
    ],
)
def test_a_damaged_catalogue_says_where(catalogue, column, value, message):
    columns = ["path", column]

    def change(rows):
        for i, row in enumerate(rows):
            row[1] = {"label:MI": "1", "fold": "1", "record": f"r{i}"}[column]
        rows[1][1] = value

    with pytest.raises(ecg.RecordError, match=message):
        ecg.open_ecg(catalogue(columns=columns, change=change))


def test_more_of_the_table_on_request(catalogue):
    ds = ecg.open_ecg(catalogue(), columns=["age"], lazy=True)
    assert ds["age"].values.tolist() == [str(40 + i) for i in range(6)]
    with pytest.raises(ecg.RecordError, match="columns: expected sex"):
        ecg.open_ecg(catalogue(), columns=["sex"])


def test_a_hundred_thousand_records_cost_one(tmp_path, reads):
    written(tmp_path, "one", 400, 0)
    paths = [str(tmp_path / "one")] * 100_000
    names = [f"{i:06d}" for i in range(len(paths))]
    about = xr.Dataset(coords={"record": names, "fold": ("record", np.arange(len(paths)) % 10)})
    ds = many.open_many(paths, names, many.located(None, None, {}), attrs={}, about=about, lazy=True)
    fold = ecg.select(ds, fold=7)
    assert (len(reads), fold.sizes["record"]) == (1, 10_000)
    assert fold["signal"].isel(record=slice(3, 5)).values.shape == (2, 3, 400)
    assert len(reads) == 3
