"""Fetching against a server of this machine that also cuts, stalls, redirects off-host and lies."""

import hashlib
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import code15_folder
import ptbxl_folder
import pytest
import xarray as xr
from test_ludb import write as write_ludb

from ecg_widget import datasets, open_ecg
from ecg_widget.fetching import FetchError, Source, safe_name

DATA = bytes(range(256)) * 4000
SHA = "sha256:" + hashlib.sha256(DATA).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        lab = self.server.lab
        name = self.path.lstrip("/")
        lab.asked.append((name, self.headers.get("Range")))
        if name in lab.redirects:
            self.send_response(302)
            self.send_header("Location", lab.redirects[name])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if name not in lab.files:
            self.send_error(404)
            return
        data = lab.files[name]
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1]) if lab.ranges else 0
        if start >= len(data) > 0:
            self.send_error(416)
            return
        body = data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(lab.lengths.get(name, len(body))))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if name in lab.cuts:
            body = body[: lab.cuts[name].pop(0)] if lab.cuts[name] else body
        self.wfile.write(body)
        lab.sent += len(body)
        if name in lab.stalls:
            self.wfile.flush()
            lab.over.wait(20)


class Lab:
    def __init__(self):
        self.files, self.redirects, self.lengths, self.cuts = {}, {}, {}, {}
        self.stalls, self.asked, self.sent, self.ranges = set(), [], 0, True
        self.over = threading.Event()

    def serve(self, folder, prefix=""):
        for path in folder.rglob("*"):
            if path.is_file():
                self.files[prefix + path.relative_to(folder).as_posix()] = path.read_bytes()

    def sums(self):
        lines = [f"{hashlib.sha256(data).hexdigest()} {name}\n" for name, data in self.files.items()]
        self.files["SHA256SUMS.txt"] = "".join(lines).encode()


@pytest.fixture
def lab():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.lab = Lab()
    server.lab.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.lab
    server.lab.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def source(lab, tmp_path):
    lab.files["a/b.dat"] = DATA
    with Source(lab.url, tmp_path / "to", timeout=0.5, progress=False) as it:
        yield it


def left(source):
    return sorted(p.name for p in source.folder.rglob("*") if p.is_file())


def test_a_file_comes_whole_and_once(lab, source):
    for _ in range(2):
        assert source.get("a/b.dat", hash_=SHA).read_bytes() == DATA
    assert lab.asked == [("a/b.dat", None)]
    assert left(source) == ["b.dat"]


def test_a_changed_file_is_fetched_anew(lab, source):
    path = source.get("a/b.dat", hash_=SHA)
    path.write_bytes(b"spoilt")
    assert source.get("a/b.dat", hash_=SHA).read_bytes() == DATA
    assert len(lab.asked) == 2


def test_a_cut_is_resumed_without_a_byte_twice(lab, source):
    lab.cuts["a/b.dat"] = [300_000, 200_000]
    assert source.get("a/b.dat", hash_=SHA).read_bytes() == DATA
    assert lab.sent == len(DATA)
    assert [r for _, r in lab.asked] == [None, "bytes=300000-", "bytes=500000-"]


def test_cut_again_and_again_the_next_call_goes_on(lab, source):
    lab.cuts["a/b.dat"] = [100_000] * 3
    with pytest.raises(FetchError, match="by hand") as caught:
        source.get("a/b.dat", hash_=SHA)
    assert str(source.folder.resolve()) in str(caught.value)
    assert left(source) == ["b.dat.part"]  # no whole-looking file
    assert source.get("a/b.dat", hash_=SHA).read_bytes() == DATA
    assert lab.sent == len(DATA)


def test_a_server_without_ranges_starts_anew(lab, source):
    lab.ranges = False
    lab.cuts["a/b.dat"] = [1000]
    assert source.get("a/b.dat", hash_=SHA).read_bytes() == DATA


def test_a_part_of_another_version_does_not_last(lab, source):
    part = source.folder / "a" / "b.dat.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(1000))
    with pytest.raises(FetchError, match="another hash"):
        source.get("a/b.dat", hash_=SHA)
    assert left(source) == []
    part.write_bytes(bytes(len(DATA) + 5))  # longer than the file: the server says 416
    assert source.get("a/b.dat", hash_=SHA).read_bytes() == DATA


def test_a_wrong_hash_leaves_nothing(lab, source):
    with pytest.raises(FetchError, match=r"a/b\.dat: expected sha256:0.*another hash"):
        source.get("a/b.dat", hash_="sha256:" + "0" * 64)
    assert left(source) == []


def test_a_stall_times_out(lab, source):
    lab.cuts["a/b.dat"] = [1000, 1000, 1000]
    lab.stalls.add("a/b.dat")
    with pytest.raises(FetchError, match=r"timed out|within"):
        source.get("a/b.dat", hash_=SHA)
    assert "b.dat" not in left(source)


def test_redirects_stay_on_the_host(lab, source):
    lab.redirects["old"] = lab.url + "/a/b.dat"
    assert source.get("old", hash_=SHA).read_bytes() == DATA
    lab.redirects["off"] = lab.url.replace("127.0.0.1", "localhost") + "/a/b.dat"
    with pytest.raises(FetchError, match=r"redirect to 'localhost.*refused"):
        source.get("off", hash_=SHA)
    lab.redirects["round"] = lab.url + "/round"
    with pytest.raises(FetchError, match="at most 5 redirects"):
        source.get("round", hash_=SHA)
    assert left(source) == ["old"]


def test_sizes_are_held_against_the_promise(lab, source):
    with pytest.raises(FetchError, match="expected 7 bytes as listed, got a promise of 1024000"):
        source.get("a/b.dat", hash_=SHA, size=7)
    with pytest.raises(FetchError, match="at most 10 bytes"):
        source.get("a/b.dat", hash_=SHA, most=10)
    assert lab.sent <= 2 * len(DATA)
    lab.lengths["a/b.dat"] = 1000  # less than it sends: what came is not the file
    with pytest.raises(FetchError, match="another hash"):
        source.get("a/b.dat", hash_=SHA)
    lab.lengths["a/b.dat"] = len(DATA) + 1000
    with pytest.raises(FetchError):
        source.get("a/b.dat", hash_=SHA)
    assert "b.dat" not in left(source)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\b", "c:x", "", "a//b", "a\n", "."])
def test_names_stay_in_the_folder(name):
    with pytest.raises(FetchError, match="below the folder"):
        safe_name(name)


def test_offline_names_the_manual_step(tmp_path):
    with pytest.raises(FetchError, match=r"SHA256SUMS\.txt.*by hand to .*ptb"):
        datasets.ptbxl(tmp_path / "ptb", base_url="http://127.0.0.1:9", timeout=0.5, progress=False)
    with pytest.raises(ValueError, match="https"):
        datasets.ptbxl(tmp_path, base_url="http://physionet.example/")


def test_ptbxl(lab, tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    ptbxl_folder.write(made)
    lab.serve(made)
    lab.sums()
    got = datasets.ptbxl(tmp_path / "got", base_url=lab.url, progress=False)
    xr.testing.assert_identical(got.assign_attrs(source=made.name), open_ecg(made))
    before = len(lab.asked)
    datasets.ptbxl(tmp_path / "got", base_url=lab.url, progress=False)
    assert [name for name, _ in lab.asked[before:]] == ["SHA256SUMS.txt"]


def test_a_list_that_climbs_is_refused(lab, tmp_path):
    lab.files["SHA256SUMS.txt"] = b"0" * 64 + b" data/../../out\n"
    with pytest.raises(FetchError, match="below the folder"):
        datasets.ludb(tmp_path / "got", base_url=lab.url, progress=False)
    lab.files["SHA256SUMS.txt"] = b"<html>"
    with pytest.raises(FetchError, match=r"expected files below RECORDS"):
        datasets.ludb(tmp_path / "got", base_url=lab.url, progress=False)


def test_ludb(lab, tmp_path):
    made = write_ludb(tmp_path / "made", records=("1",))
    lab.serve(made)
    lab.sums()
    got = datasets.ludb(tmp_path / "got", base_url=lab.url, progress=False)
    xr.testing.assert_identical(got.assign_attrs(source=made.name), open_ecg(made))


def zenodo(lab, made, pack=None):
    files = {"exams.csv": (made / "exams.csv").read_bytes()}
    for path in sorted(made.glob("*.hdf5")):
        archive = made / "archive"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
            out.write(path, pack or path.name)
        files[path.stem + ".zip"] = archive.read_bytes()
    listed = [
        {"key": k, "size": len(v), "checksum": "md5:" + hashlib.md5(v, usedforsecurity=False).hexdigest()}
        for k, v in files.items()
    ]
    lab.files["api/1"] = json.dumps({"files": listed}).encode()
    lab.files |= {f"api/1/files/{k}/content": v for k, v in files.items()}


def test_code15(lab, tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    code15_folder.write(made)
    zenodo(lab, made)
    url = lab.url + "/api/1"
    one = datasets.code15(tmp_path / "got", parts=[1], base_url=url, progress=False)
    assert one.sizes["record"] == 8
    got = datasets.code15(tmp_path / "got", base_url=url, progress=False)
    xr.testing.assert_identical(got.assign_attrs(source=made.name), open_ecg(made))
    assert [n for n, _ in lab.asked].count("api/1/files/exams_part1.zip/content") == 1
    assert not list((tmp_path / "got").glob("*.zip"))
    with pytest.raises(FetchError, match=r"exams_part9\.zip"):
        datasets.code15(tmp_path / "got", parts=[9], base_url=url, progress=False)


def test_an_archive_of_other_names_is_refused(lab, tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    code15_folder.write(made, n_files=1)
    zenodo(lab, made, pack="../out.hdf5")
    with pytest.raises(FetchError, match=r"expected exams_part0\.hdf5 alone"):
        datasets.code15(tmp_path / "got", base_url=lab.url + "/api/1", progress=False)
    assert not list(tmp_path.glob("*.hdf5"))
