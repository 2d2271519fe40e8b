"""What the tests of the XML readers share: hostile documents, damage to valid ones, and what may come of it."""

from __future__ import annotations

import re
import warnings

import numpy as np
from hypothesis import strategies as st

from ecg_widget.records import RecordError, open_ecg, validate_ecg

SECRETS = ("Quisling", "Vidkun", "19111111", "PAT-4711", "Hopital Secret", "dizzy after lunch", "20240229")
ABSURD = [
    "",
    "0",
    "-1",
    "-0",
    "1e308",
    "-1e308",
    "1e-320",
    "nan",
    "inf",
    "99999999999999999999",
    "4294967296",
    "0x10",
    "1_0",
    "\u0663",
]

_NUMBER = re.compile(rb'(?<=[>"])-?\d+(?:\.\d+)?(?=[<"])')

damage = st.lists(
    st.one_of(
        st.tuples(st.just("byte"), st.integers(0, 1 << 20), st.integers(0, 255)),
        st.tuples(st.just("cut"), st.integers(0, 1 << 20), st.integers(1, 400)),
        st.tuples(st.just("twice"), st.integers(0, 1 << 20), st.integers(1, 400)),
        st.tuples(st.just("number"), st.integers(0, 1 << 20), st.integers(0, len(ABSURD) - 1)),
    ),
    min_size=1,
    max_size=4,
)


def damaged(data, changes):
    for kind, at, how in changes:
        at %= len(data)  # noqa: PLW2901
        if kind == "byte":
            data = data[:at] + bytes([how]) + data[at + 1 :]
        elif kind == "cut":
            data = (data[:at] + data[at + how :]) or b"<"
        elif kind == "twice":
            data = data[: at + how] + data[at:]
        else:
            numbers = list(_NUMBER.finditer(data))
            if numbers:
                found = numbers[at % len(numbers)]
                data = data[: found.start()] + ABSURD[how].encode() + data[found.end() :]
    return data


def opens_or_refuses(path):
    """Open; a refusal names the file, a recording is one of the contract. Anything else raised is a bug."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            ds, refusal = open_ecg(path), ""
        except RecordError as error:
            ds, refusal = None, str(error)
    if ds is None:
        assert path.name in refusal
        return None
    validate_ecg(ds)
    assert np.isfinite(ds.signal.values).any()
    return ds


def hostile(root):
    """Documents that begin as a format does, each with what the refusal must say."""
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    many = " ".join(f"a{i}=''" for i in range(400_000))
    return {
        "laughs": (f'<!DOCTYPE {root} [<!ENTITY l0 "ha">{laughs}]><{root}>&l9;</{root}>', "document type"),
        "quadratic": (
            f'<!DOCTYPE {root} [<!ENTITY a "{"a" * 50_000}">]><{root}>{"&a;" * 50_000}</{root}>',
            "document type",
        ),
        "file": (f'<!DOCTYPE {root} [<!ENTITY x SYSTEM "file:///etc/hostname">]><{root}>&x;</{root}>', "document type"),
        "web": (f'<!DOCTYPE {root} [<!ENTITY % x SYSTEM "http://localhost:9/x.dtd"> %x;]><{root}/>', "document type"),
        "unknown entity": (f"<{root}>&nbsp;</{root}>", "well-formed"),
        "deep": (f"<{root}>{'<a>' * 100_000}", "depth: expected at most 64"),
        "many": (f"<{root}>{'<a/>' * 300_000}</{root}>", "elements: expected at most 200000"),
        "attributes": (f"<{root} {many}/>", "markup: expected at most"),
        "comment": (f"<{root}><!--{'x' * (3 << 20)}--></{root}>", "markup: expected at most"),
        "unclosed": (f"<{root}><a>", "well-formed"),
        "text after": (f"<{root}/>x", "well-formed"),
    }
