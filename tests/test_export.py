"""Exported pages and states of views, without a browser; `browser/test_export.py` opens them."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest

import ecg_widget as ecg
from ecg_widget.export import compact, page, to_html
from ecg_widget.files import write_whole
from ecg_widget.wire import decode, encode

HOSTILE = "</script><b>&"
FEW = {"layers": ["blocks.3"], "n_clusters": [3, 4]}


@pytest.fixture(scope="module")
def widget():
    ds = ecg.simulate(2, seed=5).assign_coords(record=["Smith^John", "Miller"])
    ds = ds.assign_coords(patient=("record", ["P-4711", "P-4712"])).assign_attrs(source="/home/Smith/a.dat")
    ds["signal"].attrs["comment"] = "P-4711"
    w = ecg.explore(ecg.load_network(), ds, n_clusters=5)
    yield w
    w.close()


def unpacked(text: str) -> dict:
    """The data of a page, with buffers where they belong."""
    packed = base64.b64decode(re.search(r'id="ecg-data">([^<]*)<', text)[1])
    raw = zlib.decompress(packed)
    (length,) = struct.unpack_from("<I", raw)
    start = -(-(4 + length) // 8) * 8

    def revive(value):
        if isinstance(value, list):
            return [revive(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"at", "bytes"}:
            assert value["at"] % 8 == 0
            return raw[start + value["at"] : start + value["at"] + value["bytes"]]
        return {key: revive(item) for key, item in value.items()}

    return revive(json.loads(raw[4 : 4 + length]))


def test_what_is_in_the_page_is_what_was_computed(widget):
    data = unpacked(
        page(widget, records=["Miller", "Smith^John"], layers=["blocks.3", ["blocks.1"]], n_clusters=[3, 7])[0]
    )
    assert data["choices"]["records"] == ["record 1", "record 2"]
    assert data["traits"]["record"] == "record 2"
    assert data["traits"]["n_clusters"] == 3
    for label, name in (("record 1", "Miller"), ("record 2", "Smith^John")):
        signal = decode(data["waveforms"][label])["signal"].values
        assert np.allclose(signal, widget.explorer.ds["signal"].sel(record=name).values, atol=1e-4)
        for place, layers in enumerate((["blocks.3"], ["blocks.1"])):
            for k in (3, 7):
                got, true = decode(data["results"][label][place][str(k)]), widget.explorer.result(name, layers, k)
                assert got.attrs["record"] == label
                assert got.attrs["layers"] == layers
                assert np.array_equal(got["cluster"].values, true["cluster"].values)
                assert np.array_equal(got["contribution"].values, true["contribution"].values)
                assert np.abs(got["entropy"].values - true["entropy"].values).max() < 1 / 32600 + 1e-7
                for step in range(101):
                    above = np.float32(step / 100)
                    assert np.array_equal(got["entropy"].values > above, true["entropy"].values > above)


def test_entropies_on_a_threshold_stay_on_their_side():
    import xarray as xr

    exact = (np.arange(101) / 100).astype(np.float32)
    values = np.concatenate([exact, np.nextafter(exact, np.float32(-1)), np.nextafter(exact, np.float32(2)), [np.nan]])
    values = np.clip(values, 0, 1).astype(np.float32)
    small = compact(xr.Dataset({"entropy": ("cell", values)}))
    back = decode(encode(small))["entropy"].values
    assert np.isnan(back[-1])
    for threshold in exact:
        assert np.array_equal(back > threshold, values > threshold)


def test_names_and_sources_are_left_out_unless_asked(widget):
    for names in (False, True):
        text, _ = page(widget, names=names, **FEW)
        everything = text + json.dumps(unpacked(text), default=lambda raw: raw.hex())
        assert "P-4711" not in everything
        assert ("Smith^John" in everything) == names
        assert ("/home/Smith" in everything) == names


class Scripts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]


def test_what_the_user_made_goes_along_under_the_names_of_the_page(widget):
    widget.cluster_names = {"A": {"name": "P wave"}}
    widget.display = {"speed": 50}
    widget.selection = {"record": "Miller", "intervals": [[1, 2]]}
    caliper = {"kind": "time", "lead": "II", "start": 1.0, "end": 1.5}
    widget.calipers = [{**caliper, "record": "Smith^John"}, {**caliper, "record": "Miller"}]
    try:
        text, _ = page(widget, records=["Miller"], layers=["blocks.3"], n_clusters=[4])
        traits = unpacked(text)["traits"]
        assert traits["cluster_names"] == {"A": {"name": "P wave"}}
        assert traits["display"] == {"speed": 50}
        assert traits["selection"]["record"] == "record 1"
        assert [c["record"] for c in traits["calipers"]] == ["record 1"]
        text, _ = page(widget, records=["Smith^John"], layers=["blocks.3"], n_clusters=[4])
        assert unpacked(text)["traits"]["selection"] == {}
    finally:
        widget.cluster_names, widget.display, widget.selection, widget.calipers = {}, {}, {}, []


def test_hostile_text_cannot_break_out(widget):
    def tags(title, name):
        ds = widget.explorer.ds.assign_coords(record=["first", name]).assign_attrs(filters=name)
        net = ecg.load_network()
        net.name = name
        w = ecg.explore(net, ds)
        parser = Scripts()
        parser.feed(page(w, title=title, names=True, records=[name], **FEW)[0])
        w.close()
        return parser

    hostile, tame = tags(HOSTILE, HOSTILE), tags("title", "second")
    assert hostile.tags == tame.tags
    assert hostile.tags.count("script") == 3
    assert not [a for a in hostile.attributes if a[1] in ("src", "href") or a[1].startswith("on")]
    policy = next(value for _, name, value in hostile.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")


def test_provenance_is_embedded(widget):
    text, _ = page(widget, **FEW)
    about = json.loads(re.search(r'id="ecg-provenance">(.*?)</script>', text)[1])
    assert about["network"]["sha256"] == widget.explorer.network.fingerprint
    assert about["layers"] == [["blocks.3"]]
    assert about["n_clusters"] == [3, 4]
    assert about["seed"] == 0
    assert set(about["data"]["records"]) == {"record 1"}
    assert len(about["data"]["records"]["record 1"]) == 64
    assert about["versions"]["ecg_widget"] == ecg.__version__
    assert 0 < about["entropy_error"] < 1 / 32600 + 1e-7
    assert "k-means (seed 0)" in about["methods"]


def test_size_is_known_before_and_a_budget_says_what_to_leave_out(widget, tmp_path):
    size = widget.export_size(**FEW)
    assert list(tmp_path.iterdir()) == []
    path = tmp_path / "a.html"
    path.write_text("older")
    with pytest.raises(
        ValueError, match=r"at most 10.0 kB, got 0.* recordings .*results of blocks.3 .*Leave out records"
    ):
        widget.to_html(path, max_bytes=10_000, **FEW)
    assert path.read_text() == "older"
    assert widget.to_html(path, max_bytes=size, **FEW) == size == path.stat().st_size
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]
    assert path.read_bytes() == page(widget, **FEW)[0].encode()


def test_eight_records_three_layers_and_all_numbers_fit_six_megabytes(tmp_path):
    w = ecg.explore(ecg.load_network(), ecg.simulate(8, seed=1))
    layers = [["blocks.1"], ["blocks.3"], w.layers]
    size = w.to_html(tmp_path / "a.html", records=w.choices["records"], layers=layers)
    w.close()
    assert size <= 6_000_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"records": ["nobody"]}, "records: expected some of"),
        ({"records": []}, "records: expected at least one"),
        ({"layers": ["nothing"]}, "nothing"),
        ({"n_clusters": [1]}, "whole numbers from 2 to 20"),
        ({"n_clusters": []}, "at least one"),
    ],
)
def test_what_does_not_exist_is_refused(widget, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        to_html(widget, tmp_path / "a.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_said_at_once(widget, tmp_path):
    with pytest.raises(FileNotFoundError, match="expected an existing folder"):
        widget.to_html(tmp_path / "no" / "a.html")


def test_nothing_is_half_written(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_whole(path, b"older")

    def broken(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(type(path), "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"newer")
    assert path.read_bytes() == b"older"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_state_restores_what_was_chosen(widget):
    before = widget.state
    assert json.loads(json.dumps(before)) == before
    widget.record, widget.n_clusters, widget.threshold, widget.layers, widget.target = (
        "Miller",
        9,
        0.2,
        ["blocks.2"],
        "CD",
    )
    later = widget.state
    widget.state = before
    assert (widget.record, widget.n_clusters, widget.layers) == ("Smith^John", 5, before["traits"]["layers"])
    assert widget.result.attrs["record"] == "Smith^John"
    widget.state = json.dumps(later)
    assert widget.state == later
    assert (widget.result.attrs["record"], widget.result.sizes["cluster"]) == ("Miller", 9)
    widget.state = before


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"format": 99}, ValueError, "of format 1, got 'view of ecg_widget' of format 99"),
        ({"kind": "other"}, ValueError, "expected kind 'view of ecg_widget'"),
        ({"network": "0" * 64}, ValueError, "expected network"),
        ({"seed": 7}, ValueError, "expected seed 0"),
        ({"traits": {"n_clusters": 50}}, ValueError, "whole number from 2 to 20, got 50"),
        ({"traits": {"threshold": 0.9, "record": "nobody"}}, ValueError, "record: expected one of"),
        ({"traits": {"comm": 1}}, ValueError, "expected traits among layers, .* got comm"),
        ({"traits": 3}, ValueError, "expected traits among"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(widget, change, error, message):
    before = widget.state
    with pytest.raises(error, match=message):
        widget.state = {**before, **change}
    assert widget.state == before
    assert widget.error == ""


def test_what_is_no_state_is_refused(widget):
    with pytest.raises(ValueError, match="expected JSON"):
        widget.state = "{"
    with pytest.raises(TypeError, match="got int"):
        widget.state = 3


def test_the_display_carries_a_picture_that_names_nobody(widget):
    data, _ = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    picture = data["image/svg+xml"]
    assert picture.startswith("<svg")
    assert "5 clusters" in picture or picture.count("%</text>") >= 5
    assert "Smith" not in picture
    assert len(picture) < 150_000


def test_nbconvert_shows_the_picture_without_a_kernel(widget):
    import nbformat
    from nbconvert import HTMLExporter

    data, metadata = widget._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=data, metadata=metadata)
    cell = nbformat.v4.new_code_cell("w", outputs=[output])
    html, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    picture = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', html)[1]
    assert base64.b64decode(picture).decode() == data["image/svg+xml"]
    assert widget.model_id not in html


def test_files_of_a_view(widget, tmp_path):
    widget.to_svg(tmp_path / "a.svg")
    widget.to_pdf(tmp_path / "a.pdf", width_mm=180)
    widget.to_png(tmp_path / "a.png", dpi=50)
    heads = {p.suffix: p.read_bytes()[:5] for p in tmp_path.iterdir()}
    assert heads == {".svg": b"<?xml", ".pdf": b"%PDF-", ".png": b"\x89PNG\r"}
    text = (tmp_path / "a.svg").read_text()
    assert f"entropy above {widget.threshold:.2f}" in text
    assert "Smith" not in text


def test_activations_without_a_network_are_exported_too(tmp_path):
    ds = ecg.simulate(2, seed=1)
    acts = ecg.activations(ecg.load_network(), ds, layers=["blocks.3"])
    given = ecg.activations_from_arrays({"blocks.3": acts["blocks.3"].values}, ds, stride=0.08, offset=0.0)
    w = ecg.explore(ecg=ds, activations=given, n_clusters=3)
    text, _ = page(w, n_clusters=[3])
    data = unpacked(text)
    assert decode(data["results"]["record 1"][0]["3"])["cluster"].size == 125
    w.state = w.state
    w.to_png(tmp_path / "a.png", dpi=40)
    w.close()
