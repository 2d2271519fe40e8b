"""What the page measures is a trait: checked when it is set, whoever sets it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ecg_widget.calipers import check_calipers, check_display

ONE = {"kind": "qt", "record": "1", "lead": "II", "start": 1, "end": 1.36}


def test_values_are_plain_and_copied():
    values = {**ONE, "start": np.float64(1), "ms": 360, "rr_ms": 800, "bazett_ms": 402.49}
    checked = check_calipers([values])
    assert json.loads(json.dumps(checked)) == checked
    assert checked[0]["ms"] == 360.0
    checked[0]["ms"] = 1
    assert values["ms"] == 360


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "area"}, r"calipers\[0\]: expected a kind among time, .* got 'area'"),
        ({"start": math.nan}, "expected a finite number as start"),
        ({"end": "2"}, "expected a finite number as end, got '2'"),
        ({"ms": True}, "expected a finite number as ms"),
        ({"lead": 2}, "expected a name as lead"),
        ({"record": "x" * 20_000}, "expected a name as record"),
        ({"colour": "red"}, "this one has colour"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        check_calipers([{**ONE, **change}])


def test_missing_keys_and_too_many_are_named():
    with pytest.raises(ValueError, match="lacks lead, end"):
        check_calipers([{"kind": "rr", "record": "1", "start": 0}])
    with pytest.raises(ValueError, match="expected a dict, got str"):
        check_calipers(["rr"])
    with pytest.raises(ValueError, match="at most 1000, got 1001"):
        check_calipers([ONE] * 1001)


@pytest.mark.parametrize(
    ("display", "message"),
    [
        ({"gain": 15}, "expected a gain among 5, 10, 20, got 15"),
        ({"notch": 50}, "expected a notch among '', 50, 60"),
        ({"leads": "II"}, "expected a list of names as leads"),
        ({"zoom": 2}, "expected keys among arrangement, .*, leads, got 'zoom'"),
    ],
)
def test_a_look_that_the_page_lacks_is_refused(display, message):
    with pytest.raises(ValueError, match=message):
        check_display(display)
