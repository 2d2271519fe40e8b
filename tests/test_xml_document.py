from __future__ import annotations

import contextlib
import os
import tracemalloc

import pytest
from xml_lab import hostile

from ecg_widget.formats import aecg, muse, sierra
from ecg_widget.formats.xml_document import LARGEST_XML, attribute, decode_base64, finite, parse, root_name, text
from ecg_widget.records import RecordError, open_ecg

ROOTS = {"AnnotatedECG": aecg, "RestingECG": muse, "restingecgdata": sierra}


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("kind", hostile("x"))
def test_hostile_documents(tmp_path, root, kind):
    words, message = hostile(root)[kind]
    path = tmp_path / "hostile.xml"
    path.write_text(words)
    tracemalloc.start()
    try:
        with pytest.raises(RecordError, match=message) as caught:
            parse(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "hostile.xml" in str(caught.value)
    assert peak < 150e6
    with pytest.raises(RecordError, match=r"hostile\.xml"):
        open_ecg(path)


def test_too_large_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.xml"
    path.write_bytes(b"<RestingECG>")
    os.truncate(path, LARGEST_XML + 1)  # a sparse file
    with pytest.raises(RecordError, match=f"size: expected at most {LARGEST_XML} bytes of XML, got {LARGEST_XML + 1}"):
        open_ecg(path)


def test_named_dtd_is_not_opened(tmp_path):
    (tmp_path / "x.dtd").write_text('<!ENTITY nbsp "opened">')
    path = tmp_path / "a.xml"
    path.write_text('<!DOCTYPE a SYSTEM "x.dtd"><a b="1"> 5 </a>')
    root = parse(path)
    assert (root.tag, root.text, root.attrib) == ("a", " 5 ", {"b": "1"})
    path.write_text('<!DOCTYPE a SYSTEM "x.dtd"><a>&nbsp;</a>')
    with contextlib.suppress(
        RecordError
    ):  # an entity of the DTD may be refused: it is the opening that must not happen
        assert "opened" not in (parse(path).text or "")


@pytest.mark.parametrize(
    "words",
    [
        '<?xml version="1.0" encoding="utf-8"?>\n<!-- <b> --><!DOCTYPE a SYSTEM "x">\n<a:RestingECG xmlns:a="u">',
        "\ufeff<RestingECG/>",
        "<RestingECG>",
        "  <RestingECG a='1'>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_root_is_found(tmp_path, words, encoding):
    path = tmp_path / "no-suffix"
    path.write_text(words.lstrip("\ufeff") if encoding == "utf-16" else words, encoding=encoding)
    assert root_name(path) == "RestingECG"
    assert muse.locate(path) == path
    assert aecg.locate(path) is None


@pytest.mark.parametrize(
    "data", [b"", b"RestingECG", b"<", b"<?xml", b"<!-- <RestingECG>", b"\xff\xfe", b"<<RestingECG>", b"\x00" * 90]
)
def test_no_root(tmp_path, data):
    path = tmp_path / "x.xml"
    path.write_bytes(data)
    assert root_name(path) is None
    assert root_name(tmp_path) is None


def test_values(tmp_path):
    path = tmp_path / "x.xml"
    path.write_text('<a xmlns="urn:x"><b> 5 </b><c d=" 1 " e=""/></a>')
    root = parse(path)
    assert text("x", root, "b") == "5"
    assert text("x", root, "z", "none") == "none"
    assert attribute("x: c", root.find("c"), "d") == "1"
    for missing in (
        lambda: text("x", root, "c"),
        lambda: attribute("x: c", root.find("c"), "e"),
        lambda: attribute("x: z", None, "e"),
    ):
        with pytest.raises(RecordError, match=r"^x: .*expected a value.*got none"):
            missing()


@pytest.mark.parametrize("value", ["", "x", "1_0", "nan", "inf", "1e999", "\u0661", "0x1"])
def test_no_number(value):
    with pytest.raises(RecordError, match="x: rate: expected a number"):
        finite("x: rate", value)


@pytest.mark.parametrize("value", ["A", "AQ", "AQA", "AQ=A", "A*==", "AQ==AQ==", "é"])
def test_no_base64(value):
    with pytest.raises(RecordError, match="x: samples: expected base64"):
        decode_base64("x: samples", value, 100)


def test_long_base64_is_not_decoded():
    with pytest.raises(RecordError, match="at most 3 bytes, got 8 characters"):
        decode_base64("x: samples", "AAAA\nAAAA", 3)
    assert decode_base64("x: samples", " AA\nAA ", 3) == bytes(3)
