"""A recording of twenty minutes in a real JupyterLab: read in parts, moved through, never shown in the wrong place."""

import pytest

pytestmark = pytest.mark.browser

SETUP = """import ecg_widget as ecg, numpy as np, wfdb
one = ecg.simulate(3, seed=0, duration=60, sampling_rate=250)["signal"].sel(lead=["II", "V1", "V5"]).values
signal = np.concatenate([one[i % 3] for i in range(20)], axis=1).T.astype(float)
signal[250 * 600 : 250 * 630] = np.nan
wfdb.wrsamp("holter", fs=250, units=["mV"] * 3, sig_name=["II", "V1", "V5"], p_signal=signal, fmt=["16"] * 3)"""
SHOW = """import torch
torch.manual_seed(0)
net = ecg.ECGNetwork(ecg.networks.ResNet1d(3, 2), ecg.InputSpec(leads=("II", "V1", "V5")), ["AF", "other"], "sigmoid")
ds = ecg.open_ecg("holter", lazy=True)
w = ecg.explore(net, ds, cache_bytes=64 << 20)
w"""


@pytest.fixture(scope="module")
def notebook_name(lab):
    return lab.write("holter.ipynb", SETUP, SHOW)


def seconds(text):
    h, m, s = text.split(":")
    return int(h) * 3600 + int(m) * 60 + int(s)


def shown(live):
    """Beginning and end in s of what the page shows, from the text beside the overview."""
    text = live.control("position").get_attribute("aria-valuetext")
    return [seconds(part) for part in text.split(" of ")[0].split(" to ")]


def rest(live, start=None):
    """The span that Python has, once it holds what the page shows and nothing is on its way any more.

    Widget messages run in a thread of their own in the kernel: two traits read one after the other may be of two moves.
    """
    before = None
    for _ in range(200):
        live.frames(4)
        begin, end = shown(live)
        of_result, of_waveform, busy = live.python("[w.result.attrs['span'], w.waveform.attrs['span'], w.progress]")
        there = of_result == of_waveform and of_result[0] <= begin and end <= of_result[1] and not busy
        now = begin, of_result
        if there and now == before and start in (None, begin):
            return of_result
        before = now if there else None
    raise AssertionError(f"the page shows {begin} to {end} s, Python has {of_result}, {of_waveform}, {busy!r}")


def test_moving_through_a_long_recording(open_notebook, notebook_name):
    live = open_notebook(notebook_name)
    assert live.run_all() == []
    live.wait_for_status("^10 clusters")
    assert rest(live) == [0, 30]
    first = live.pixels()

    live.control("position").focus()
    for _ in range(3):
        live.page.keyboard.press("PageUp")
    span = rest(live)
    assert shown(live)[0] > 0
    assert span[1] - span[0] <= 60
    assert live.pixels() != first

    live.control("position").evaluate("""input => {
        input.value = 900; input.dispatchEvent(new Event('input', { bubbles: true }));
    }""")
    span = rest(live, 900)
    assert span[0] <= 900
    assert span[1] >= 910
    x = "w.explorer.result(w.record, w.layers, w.n_clusters, span=w.span)"
    cells = live.python(f"[[int(c) for c in {x}['cluster']], [int(c) for c in w.result['cluster']]]")
    assert cells[0] == cells[1]

    live.page.get_by_role("button", name="5 min", exact=True).click()
    live.frames(10)
    span = rest(live)
    assert span[1] - span[0] >= 300
    assert live.python("w.result.sizes['cell']") == 0
    assert live.python("w.result['density'].shape[1]") == 10
    live.page.get_by_role("button", name="10 s", exact=True).click()
    live.frames(10)
    rest(live)
    assert live.python("w.result.sizes['cell']") > 0
    assert live.python("w.error") == ""


def test_a_drag_along_the_overview_is_answered_at_its_end(open_notebook, notebook_name):
    """60 ticks: what is superseded is not computed, what is sent is answered, and memory stays within its bound."""
    live = open_notebook(notebook_name)
    assert live.run_all() == []
    live.wait_for_status("^10 clusters")
    live.python(
        "asked = []\n_r = type(w.explorer)._result\n"
        "type(w.explorer)._result = lambda self, *a, **k: asked.append(1) or _r(self, *a, **k)\n1"
    )
    live.sent.clear()
    live.control("position").evaluate("""async input => {
        for (let i = 0; i < 60; i++) {
            input.value = 10 + 17 * i; input.dispatchEvent(new Event('input', { bubbles: true }));
            await new Promise(resume => setTimeout(resume, 16));
        }
    }""")
    span = rest(live, 10 + 17 * 59)
    assert span[0] <= 10 + 17 * 59 < span[1]
    asked = [m for m in live.comm_sent() if "span" in m.get("state", {})]
    assert 1 <= len(asked) <= 60
    assert live.python("w.explorer.cache_used") <= 64 << 20
    assert live.python("w.overview.attrs['read']") == 1
    assert live.python("w.error") == ""
