"""Sets of recordings: opened without reading them, one at a time, nothing padded or left out in secret."""

import os
import pickle
import warnings

import code15_folder
import numpy as np
import pandas as pd
import ptbxl_folder
import pytest
import wfdb
import xarray as xr

import ecg_widget as ecg
from ecg_widget import many
from ecg_widget.formats import wfdb as reader
from ecg_widget.lazy import is_lazy
from ecg_widget.lengths import own_samples, with_ends
from ecg_widget.records import RecordError
from ecg_widget.windows import Piece, Windows

RATE = 100


def write(folder, name, *, n=1000, seed=0, leads=ecg.LEADS, rate=RATE, comments=()):
    """A record of beats that differ by `seed`, and its values as they are stored."""
    ds = ecg.resample(ecg.simulate(1, seed=seed, duration=10), rate)
    values = np.tile(ds["signal"].values[0], (1, 4))[: len(leads), :n].T.astype(float)
    folder.mkdir(parents=True, exist_ok=True)
    k = len(leads)
    wfdb.wrsamp(name, rate, ["mV"] * k, [x.upper() for x in leads], values, fmt=["16"] * k, adc_gain=[1000.0] * k,
                baseline=[0] * k, comments=list(comments), write_dir=str(folder))  # fmt: skip
    return folder / name


def catalogue(folder, rows, name="list.csv"):
    pd.DataFrame(rows).to_csv(folder / name, index=False)
    return folder / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six records in two folders, and a catalogue."""
    home = tmp_path_factory.mktemp("set")
    paths = [write(home / f"part{i % 2}", f"r{i}", seed=i).relative_to(home) for i in range(6)]
    rows = [
        {"path": str(path), "record": f"rec {i}", "patient": f"p{i // 2}", "fold": i % 3 + 1,
         "label:NORM": i % 2, "label:MI": i == 1, "name": "Doe"}
        for i, path in enumerate(paths)
    ]  # fmt: skip
    catalogue(home, rows)
    return home


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Records of 4, 10 and 7 s; the coordinates of the first are those of no other."""
    home = tmp_path_factory.mktemp("ragged")
    return [write(home, f"r{i}", n=n, seed=i) for i, n in enumerate((400, 1000, 700, 1000))]


@pytest.fixture
def read(monkeypatch):
    """Names of records that were opened, with their samples or without."""
    calls = []
    original = reader.read

    def counted(path, **options):
        calls.append((path.stem, "looked" if options.get("lazy") else "read"))
        return original(path, **options)

    counted.__kwdefaults__ = original.__kwdefaults__
    monkeypatch.setattr(reader, "read", counted)
    return calls


class TestCatalogue:
    def test_opens_by_its_first_record(self, folder, read):
        ds = ecg.open_ecg(folder / "list.csv", lazy=True)
        assert read == [("r0", "looked")]
        assert ds.sizes == {"record": 6, "lead": 12, "time": 1000, "target": 2}
        assert ds["record"].values.tolist() == [f"rec {i}" for i in range(6)]
        assert ds["label"].values.tolist() == [[bool(i % 2), i == 1] for i in range(6)]
        assert (ds["patient"].values[3], ds["fold"].values[3]) == ("p1", 1)
        assert "name" not in ds.coords  # it may tell of the patient
        assert "Doe" not in repr(ds.attrs)
        read.clear()
        some = ds["signal"].isel(record=[4, 2], lead=[1]).values
        assert read == [("r2", "read"), ("r4", "read")]  # each once, in the order of the set
        for got, i in zip(some, (4, 2), strict=True):
            np.testing.assert_array_equal(got, ecg.open_ecg(folder / f"part{i % 2}/r{i}", leads=["II"])["signal"][0])
        read.clear()
        ds["signal"].isel(record=3, time=slice(100, 110)).load()
        assert read == [("r3", "looked")]  # a piece is read without the rest

    def test_a_hundred_thousand_rows_need_one_record(self, tmp_path, read):
        write(tmp_path, "one")
        n = 100_000
        rows = {"path": ["one"] * n, "record": [f"r{i}" for i in range(n)], "fold": np.arange(n) % 10 + 1}
        ds = ecg.open_ecg(catalogue(tmp_path, rows))
        assert read == [("one", "looked")]
        fold = ecg.select(ds, fold=3)
        assert fold.sizes["record"] == 10_000
        assert read == [("one", "looked")]
        assert fold["signal"][[0, -1]].shape == (2, 12, 1000)
        assert np.isfinite(fold["signal"][[0, -1]].values).all()
        assert len(read) == 3

    def test_frame(self, folder, read):
        frame = pd.read_csv(folder / "list.csv").set_index("record", drop=False)
        frame["path"] = [str(folder / path) for path in frame["path"]]
        ds = ecg.open_ecg(frame[frame["fold"] == 2], lazy=True, columns=["name"])
        assert read == [("r1", "looked")]
        assert (ds["record"].values.tolist(), ds["name"].values.tolist()) == (["rec 1", "rec 4"], ["Doe", "Doe"])
        assert ds["label"].values.tolist() == [[True, True], [False, False]]
        with pytest.raises(ValueError, match="DataFrame with a column 'path'"):
            ecg.open_ecg(frame.drop(columns="path"))
        with pytest.raises(RecordError, match="row 1: path: expected a path, got none"):
            ecg.open_ecg(pd.DataFrame({"path": [frame["path"].iloc[0], None]}))

    def test_dask_reads_one_block(self, folder, read):
        pytest.importorskip("dask")
        ds = ecg.open_ecg(folder / "list.csv", chunks=2)
        assert ds["signal"].chunks[0] == (2, 2, 2)
        assert read == [("r0", "looked")]
        read.clear()
        block = ds["signal"].isel(record=slice(2, 4)).compute(scheduler="synchronous")
        assert {name for name, _ in read} == {"r2", "r3"}
        whole = ecg.open_ecg(folder / "list.csv", lazy=False)
        np.testing.assert_array_equal(block, whole["signal"][2:4])
        np.testing.assert_array_equal(ds["signal"].compute(scheduler="threads"), whole["signal"])

    @pytest.mark.parametrize(
        "path", ["../secret", "/etc/hostname", "a/../../b", "~/x", "file:///etc/hostname", "", "a\\b", "x\x00y", "a\nb"]
    )
    def test_paths_stay_below(self, tmp_path, path):
        table = tmp_path / "list.csv"
        table.write_text(f'path,record\n"{path}",a\n')
        write(tmp_path.parent, "secret")
        with pytest.raises(
            RecordError, match=r"line 2: path: expected a relative path|UTF-8|NUL|known layout|content of"
        ):
            ecg.open_ecg(table)

    @pytest.mark.parametrize("what", ["r.hea", "r.dat"])
    def test_links_stay_below(self, tmp_path, what):
        home, out = tmp_path / "home", tmp_path / "out"
        write(home, "r")
        out.mkdir()
        (home / what).rename(out / what)
        (home / what).symlink_to(out / what)
        for path in ("r", "r.hea"):
            with pytest.raises(RecordError, match=f"{what}: expected a file below home, got a link out of it"):
                ecg.open_ecg(catalogue(home, [{"path": path}]))

    def test_no_set_in_a_set(self, tmp_path):
        with pytest.raises(RecordError, match=r"expected one recording, got a set of them \(catalogue\)"):
            ecg.open_ecg(catalogue(tmp_path, [{"path": "list.csv"}]))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"label:MI": "maybe"}, "label:MI: expected 0 or 1, got 'maybe'"),
            ({"fold": "x"}, "fold: expected a whole number, got 'x'"),
            ({"record": ""}, "record: expected different names"),
        ],
    )
    def test_damaged_tables(self, folder, tmp_path, change, message):
        rows = [{"path": "r", "record": "a", "fold": 1, "label:MI": 1}, {"path": "s", "record": "b", "fold": 2}]
        write(tmp_path, "r")
        rows[1] |= {"label:MI": 0} | change
        with pytest.raises(RecordError, match=message):
            ecg.open_ecg(catalogue(tmp_path, rows))
        with pytest.raises(RecordError, match="columns: expected sex"):
            ecg.open_ecg(folder / "list.csv", columns=["sex"])
        with pytest.raises(TypeError, match="no option folds"):
            ecg.open_ecg(folder / "list.csv", folds=[1])


class TestUnreadable:
    @pytest.fixture
    def damaged(self, tmp_path):
        """Good, of another rate, cut short, good, absent, with other leads."""
        write(tmp_path, "a")
        write(tmp_path, "b", rate=200)
        write(tmp_path, "c")
        os.truncate(tmp_path / "c.dat", 100)
        write(tmp_path, "d", seed=1)
        write(tmp_path, "f", leads=ecg.LEADS[:2])
        return catalogue(tmp_path, [{"path": name} for name in "abcdef"])

    def test_error_names_the_record(self, damaged):
        ds = ecg.open_ecg(damaged, lazy=True)
        assert np.isfinite(ds["signal"][[0, 3]].values).all()
        for row, message in (
            (1, "record 'b': sampling rate: expected 100 Hz as in the first record, got 200"),
            (2, "record 'c': .*truncated"),
            (4, "record 'e': .*got none"),
            (5, "record 'f': leads: expected"),
        ):
            with pytest.raises(RecordError, match=message):
                ds["signal"][row].load()
        with pytest.raises(RecordError, match="record 'b'"):
            ecg.open_ecg(damaged, lazy=False)

    def test_skip_lists_them(self, damaged):
        ds = ecg.open_ecg(damaged, unreadable="skip")
        assert ds["record"].values.tolist() == ["a", "d"]
        assert ds.attrs["n_unreadable"] == 4
        assert [text.split(":")[0] for text in ds.attrs["unreadable"]] == [f"record {name!r}" for name in "bcef"]
        assert "truncated" in str(ds.attrs["unreadable"])

    def test_nan_warns(self, damaged):
        ds = ecg.open_ecg(damaged, unreadable="nan", lazy=True)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            values = ds["signal"].values
        told = sorted(str(w.message) for w in said)
        assert [text[: len("record 'b'")] for text in told] == [f"record {name!r}" for name in "bcef"]
        assert all(text.endswith("its samples are NaN") for text in told)
        assert np.isnan(values).all(axis=(1, 2)).tolist() == [False, True, True, False, True, True]
        first = ecg.open_ecg(damaged.with_name("a"))
        np.testing.assert_array_equal(values[0], first["signal"][0])

    def test_nan_where_the_first_is_bad(self, tmp_path):
        write(tmp_path, "b")
        ds = ecg.open_ecg(catalogue(tmp_path, [{"path": "a"}, {"path": "b"}]), unreadable="nan", lazy=True)
        assert ds.attrs["n_unreadable"] == 1
        assert "record 'a'" in ds.attrs["unreadable"][0]
        with pytest.warns(UserWarning, match="record 'a'"):
            assert np.isnan(ds["signal"].values).all(axis=(1, 2)).tolist() == [True, False]

    def test_none_is_good(self, tmp_path):
        write(tmp_path, "x")
        table = catalogue(tmp_path, [{"path": "a"}, {"path": "b"}])
        for choice in ("skip", "nan"):
            with pytest.raises(RecordError, match="got 2 of which none can: record 'a'"):
                ecg.open_ecg(table, unreadable=choice)
        with pytest.raises(RecordError, match="record 'a'"):
            ecg.open_ecg(table)

    def test_choices(self, damaged):
        with pytest.raises(ValueError, match="unreadable: expected one of 'error', 'skip', 'nan', got 'drop'"):
            ecg.open_ecg(damaged, unreadable="drop")
        with pytest.raises(TypeError, match=r"ragged: expected True or False, got 1\.5"):
            ecg.open_ecg(damaged, ragged=1.5)

    def test_a_file_that_goes_away(self, tmp_path):
        paths = [write(tmp_path, name) for name in "ab"]
        ds = ecg.open_ecg(paths, chunks=1)
        (tmp_path / "b.dat").unlink()
        with pytest.raises(RecordError, match="record 'b'"):
            ds["signal"].compute(scheduler="synchronous")


class TestFolder:
    def test_finds_by_content(self, folder, read, tmp_path):
        (folder / "part0" / "readme.txt").write_text("no recording")
        ds = ecg.open_ecg(folder, lazy=True)
        assert read == [("r0", "looked")]
        assert ds["record"].values.tolist() == ["r0", "r2", "r4", "r1", "r3", "r5"]
        assert sorted(ds.attrs["ignored"]) == ["list.csv", "part0/readme.txt"]
        assert ds.attrs["n_ignored"] == 2
        one = ecg.open_ecg(folder / "part0/r2")
        np.testing.assert_array_equal(ds["signal"].sel(record="r2"), one["signal"][0])

    def test_names_that_repeat(self, tmp_path):
        for part in "ab":
            write(tmp_path / part, "1")
        assert ecg.open_ecg(tmp_path)["record"].values.tolist() == ["a/1", "b/1"]

    def test_links_are_not_followed(self, tmp_path):
        write(tmp_path / "out", "secret")
        write(tmp_path / "home", "r")
        (tmp_path / "home/loop").symlink_to(tmp_path / "home")
        (tmp_path / "home/away").symlink_to(tmp_path / "out")
        (tmp_path / "home/file.hea").symlink_to(tmp_path / "out/secret.hea")
        ds = ecg.open_ecg(tmp_path / "home")
        assert ds["record"].values.tolist() == ["r"]
        assert ds.attrs["ignored"] == ["file.hea"]

    def test_diagnoses(self, tmp_path):
        write(tmp_path, "a", comments=["Age: 70", "Dx: 426783006,59118001"])
        write(tmp_path, "b", comments=["Dx: 59118001"])
        ds = ecg.open_ecg(tmp_path, diagnoses=True)
        assert ds["target"].values.tolist() == ["426783006", "59118001"]
        assert ds["label"].values.tolist() == [[True, True], [False, True]]
        assert ecg.select(ds, label="426783006")["record"].values.tolist() == ["a"]
        assert "label" not in ecg.open_ecg(tmp_path)
        write(tmp_path, "c", comments=["Dx: ill"])
        with pytest.raises(RecordError, match=r"c.hea: Dx: expected a line with codes of SNOMED CT, got ill"):
            ecg.open_ecg(tmp_path, diagnoses=True)

    def test_headers_that_name_each_other(self, tmp_path):
        (tmp_path / "a.hea").write_text("a/2 2 250 1000\nb 500\nc 500\n")
        (tmp_path / "b.hea").write_text("b/2 2 250 1000\na 500\nc 500\n")
        assert many.parts_of(tmp_path / "a.hea") == ["b.hea", "c.hea", "a.hea"]
        with pytest.raises(RecordError):
            ecg.open_ecg(tmp_path)

    def test_nothing_there(self, tmp_path):
        (tmp_path / "x.txt").write_text("x")
        with pytest.raises(RecordError, match="none of its 1 files is a recording"):
            ecg.open_ecg(tmp_path)


class TestSelect:
    def test_conditions(self, folder, read):
        ds = ecg.open_ecg(folder / "list.csv", lazy=True)
        read.clear()
        for kept, options in (
            ([0, 3], {"fold": 1}),
            ([1, 2, 4, 5], {"fold": [2, 3]}),
            ([2, 3, 4, 5], {"patient": {"p1", "p2"}}),
            ([1, 3, 5], {"label": "NORM"}),
            ([3, 5], {"label": {"NORM": True, "MI": False}}),
            ([5], {"label": ["NORM", "MI"], "fold": 3}),
        ):
            assert ecg.select(ds, **options)["record"].values.tolist() == [f"rec {i}" for i in kept], options
        assert read == []

    def test_quality(self, folder):
        ds = ecg.open_ecg(folder / "list.csv", lazy=False)
        ds["signal"][2, 3] = 0  # a flat lead
        report = ecg.quality(ds)
        assert "rec 2" not in ecg.select(ds, quality=report)["record"].values
        known = ds.assign_attrs(quality=report.attrs["quality"])
        assert ecg.select(known, quality="flat").sizes["record"] == 5
        assert "rec 2" not in ecg.select(known, quality="flat").attrs["quality"]
        with pytest.raises(ValueError, match="nobody has looked at these records"):
            ecg.select(ecg.open_ecg(folder / "list.csv", lazy=True), quality="clean")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"fold": 9}, r"fold: expected some of \[1, 2, 3\], got \[9\]"),
            ({"label": "AF"}, r"label: expected one or several of \['NORM', 'MI'\], got \['AF'\]"),
            ({"patient": []}, "patient: expected some of .*, got none"),
            ({"quality": "good"}, "quality: expected 'clean', some of"),
            ({"label": {"NORM": False, "MI": True}}, r"none has label="),
        ],
    )
    def test_what_is_not_there(self, folder, options, message):
        ds = ecg.open_ecg(folder / "list.csv", lazy=True)
        if options.get("label") == {"NORM": False, "MI": True}:
            options = {**options, "fold": 2}
        with pytest.raises(ValueError, match=message):
            ecg.select(ds, **options)
        with pytest.raises(ValueError, match="fold: expected a coordinate"):
            ecg.select(ecg.simulate(1), fold=1)


class TestRagged:
    def test_each_is_as_long_as_it_is(self, mixed, read):
        with pytest.raises(RecordError, match=r"samples: .*400.*1000"):
            ecg.open_ecg(mixed)
        read.clear()
        ds = ecg.open_ecg(mixed, ragged=True, lazy=True)
        assert read == [(f"r{i}", "looked") for i in range(4)]
        assert ds["end"].values.tolist() == [4, 10, 7, 10]
        for row, path in enumerate(mixed):
            alone = ecg.open_ecg(path)["signal"].values[0]
            got = ds["signal"][row].values
            np.testing.assert_array_equal(got[:, : alone.shape[1]], alone)
            assert np.isnan(got[:, alone.shape[1] :]).all()
        cut = ds.isel(time=slice(500, None))  # the ends stay where they are
        assert own_samples(cut).tolist() == [0, 500, 200, 500]
        assert own_samples(ecg.resample(ds.load(), 50)).tolist() == [200, 500, 350, 500]

    def test_stated_lengths_are_believed_but_checked(self, mixed, read):
        rows = [{"path": str(path), "n_samples": n} for path, n in zip(mixed, (400, 1000, 600, 1000), strict=True)]
        ds = ecg.open_ecg(pd.DataFrame(rows), ragged=True, lazy=True)
        assert read == [("r0", "looked")]
        assert np.isfinite(ds["signal"][0, :, :400]).all()
        with pytest.raises(RecordError, match="record 'r2': samples: expected 600 as stated for it, got 700"):
            ds["signal"][2].load()

    def test_network_sees_records_not_their_filling(self, mixed):
        net = ecg.load_network()
        ds = ecg.open_ecg(mixed, ragged=True, lazy=True)
        acts = ecg.activations(net, ds)
        together = ecg.predict(net, ds)
        tc = ecg.TimeClusters(4, random_state=0).fit(acts)
        seg = tc.predict(acts)
        con = ecg.contributions(net, acts, seg)
        assert con.attrs["completeness_error"] < 1e-5
        for row, path in enumerate(mixed):
            alone = ecg.open_ecg(path)
            one = ecg.activations(net, alone)
            np.testing.assert_allclose(together[row], ecg.predict(net, alone)[0], atol=1e-6)
            np.testing.assert_allclose(acts.output[row], one.output[0], atol=1e-5)
            for name, layer in one.items():
                n = layer.sizes["cell"]
                assert int(acts[name]["n_cells"][row]) == n
                np.testing.assert_allclose(acts[name][row, :n], layer[0], atol=1e-5)
                np.testing.assert_array_equal(acts[name]["valid"][row, :n], layer["valid"][0])
                assert not acts[name]["valid"][row, n:].any()
            mine = tc.predict(one)
            n = mine.sizes["cell"]
            assert (seg["cluster"][row, n:] == -1).all()
            np.testing.assert_array_equal(seg["cluster"][row, :n], mine["cluster"][0])
            np.testing.assert_allclose(seg["proportion"][row], mine["proportion"][0], atol=1e-6)
            np.testing.assert_allclose(con[row], ecg.contributions(net, one, mine)[0], atol=1e-4)

    def test_one_length_for_networks_that_pad(self, mixed):
        ds = ecg.open_ecg(mixed, ragged=True, lazy=True)
        bundled = ecg.load_network()
        net = ecg.ECGNetwork(bundled.module, ecg.InputSpec(n_samples=1024), list(bundled.targets))
        for row, path in enumerate(mixed):
            np.testing.assert_allclose(ecg.predict(net, ds)[row], ecg.predict(net, ecg.open_ecg(path))[0], atol=1e-5)
        with pytest.raises(ValueError, match="expected records of one length for network"):
            ecg.activations(net, ds)
        same = ds.isel(record=ds["end"].values == 10)
        assert ecg.activations(net, same).output.sizes["record"] == 2

    def test_what_fills_up_the_axis_is_no_gap(self):
        ds = with_ends(ecg.simulate(2, seed=0, duration=10), np.array([2500, 5000]))
        ds["signal"][0, :, 2500:] = np.nan
        alone = ecg.quality(ds.isel(record=[0], time=slice(2500)).drop_vars("end"))
        found = ecg.quality(ds)
        assert float(found["gap"].max()) == 0
        np.testing.assert_array_equal(found["span"][0], alone["span"][0])

    def test_explorer(self, mixed):
        net = ecg.load_network()
        ds = ecg.open_ecg(mixed, ragged=True, lazy=True)
        w = ecg.explore(net, ds)
        for row, path in enumerate(mixed):
            w.record = f"r{row}"
            assert w.error == ""
            result = w.result
            prediction = ecg.predict(net, ecg.open_ecg(path))[0]
            np.testing.assert_allclose(result["prediction"], prediction, atol=1e-5)
            assert float(result["centre"].max()) < ds["end"].values[row]
            total = result["contribution"].sum("cluster") + result["contribution_masked"] + result["intercept"]
            np.testing.assert_allclose(total, result["logit"], atol=1e-4)
        w.close()

    def test_long_ones_have_windows_up_to_their_end(self):
        ds = ecg.simulate(2, duration=95, seed=0)
        windows = Windows(with_ends(ds, np.array([12_000, 47_500])), 5000)
        assert [windows.count_of(row) for row in (0, 1)] == [3, 10]
        assert windows.every() == [Piece(0, w) for w in range(3)] + [Piece(1, w) for w in range(10)]
        assert windows.between(0, 40, 60) == [Piece(0, 2)]  # the last that it has
        assert max(piece.window for piece in windows.spread_in(0, 10)) == 2


class TestBounded:
    def test_exploring_reads_what_has_room(self, tmp_path, read):
        write(tmp_path, "one")
        n = 3000  # most of which are never read
        ds = ecg.open_ecg(catalogue(tmp_path, {"path": ["one"] * n, "record": [f"r{i}" for i in range(n)]}), lazy=True)
        w = ecg.explore(ecg.load_network(), ds, cache_bytes=16 << 20)
        assert w.error == ""
        w.record = "r2999"
        assert w.result.attrs["record"] == "r2999"
        w.close()
        assert 64 < len(read) < 400

    def test_predict_reads_batches(self, folder, monkeypatch):
        ds = ecg.open_ecg(folder / "list.csv", lazy=True)
        sizes = []
        network = ecg.load_network()
        prepare = network.prepare
        monkeypatch.setattr(network, "prepare", lambda part: sizes.append(part.sizes["record"]) or prepare(part))
        ecg.predict(network, ds, batch_size=2)
        assert max(sizes) == 2


def test_the_lazy_set_travels_to_workers(folder):
    cloudpickle = pytest.importorskip("cloudpickle")
    ds = ecg.open_ecg(folder / "list.csv", chunks=2)
    there = pickle.loads(cloudpickle.dumps(ds))
    np.testing.assert_array_equal(there["signal"][5].compute(scheduler="synchronous"), ds["signal"][5].compute())


class TestDataSets:
    def test_ptbxl(self, tmp_path, read):
        ptbxl_folder.write(tmp_path)
        whole = ecg.open_ecg(tmp_path, lazy=False)
        read.clear()
        ds = ecg.open_ecg(tmp_path, chunks=1)
        assert read == [("00001_lr", "looked")]
        kept = ecg.select(ds, fold=[2, 3], label="MI")
        assert kept["record"].values.tolist() == ["00002_lr"]
        assert kept["patient"].values.tolist() == ["101"]
        np.testing.assert_array_equal(kept["signal"].compute(scheduler="synchronous"), whole["signal"][[1]])
        assert {name for name, _ in read} == {"00001_lr", "00002_lr"}
        xr.testing.assert_equal(ds.load(), whole)

    def test_code15(self, tmp_path):
        code15_folder.write(tmp_path)
        whole = ecg.open_ecg(tmp_path, lazy=False)
        ds = ecg.open_ecg(tmp_path, lazy=True)
        assert is_lazy(ds["signal"])
        fold = int(ds["fold"][5])
        kept = ecg.select(ds, fold=fold)
        assert is_lazy(kept["signal"])
        at = np.flatnonzero(whole["fold"].values == fold)
        np.testing.assert_array_equal(kept["signal"], whole["signal"][at])
        np.testing.assert_array_equal(
            ds["signal"][[7, 2, 2], [1, 0], 100:300], whole["signal"][[7, 2, 2], [1, 0], 100:300]
        )
        xr.testing.assert_equal(ds.load(), whole)

    def test_code15_is_checked_when_it_is_read(self, tmp_path):
        code15_folder.write(tmp_path)
        ds = ecg.open_ecg(tmp_path, lazy=True)
        code15_folder.write_hdf5(tmp_path / "exams_part1.hdf5", [i for i in range(24) if i % 3 == 1][::-1], scale=1.0)
        with pytest.raises(RecordError, match=r"exams_part1.hdf5: units: expected values in 1e-4V"):
            ds["signal"].load()
        assert "when they are read" in ds.attrs["stored_units"]

    @pytest.mark.real_data
    def test_real_folders(self, shared_data):
        ds = ecg.open_ecg(shared_data / "ptbxl", lazy=True)
        kept = ecg.select(ds, fold=9, label={"NORM": True})
        assert 0 < kept.sizes["record"] < 72
        assert (kept["fold"] == 9).all()
        header = next((shared_data / "ptbxl/records100").rglob(f"{kept.record.values[-1]}.hea"))
        np.testing.assert_array_equal(kept["signal"][-1], ecg.open_ecg(header)["signal"][0])
        several = ecg.open_ecg(shared_data / "formats/cinc2021", ragged=True, diagnoses=True, lazy=True)
        assert len(np.unique(several["end"])) > 1
        assert several.attrs["ignored"] == ["scored_diagnoses_2021.csv"]
        prediction = ecg.predict(ecg.load_network(), several)
        header = next((shared_data / "formats/cinc2021").rglob(f"{several.record.values[3]}.hea"))
        np.testing.assert_allclose(prediction[3], ecg.predict(ecg.load_network(), ecg.open_ecg(header))[0], atol=1e-6)
