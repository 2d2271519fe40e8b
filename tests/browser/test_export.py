"""An exported page, opened as a file with the network refused: its sliders work and its numbers are NumPy's."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from browser.lab import tab

import ecg_widget as ecg
from ecg_widget.export import to_html

pytestmark = pytest.mark.browser
HOSTILE = '</script><img src=x onerror="document.title=1">\u202e' + "x" * 200
LAYERS = [["blocks.1"], ["blocks.3"], ["blocks.1", "blocks.2", "blocks.3"]]
PIXELS = """async canvas => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const digest = await crypto.subtle.digest('SHA-256', data);
    return [...new Uint8Array(digest)].map(b => b.toString(16).padStart(2, '0')).join('');
}"""
SLIDE = """(input, value) => {
    input.value = value;
    input.dispatchEvent(new Event('input', { bubbles: true, composed: true }));
}"""


@pytest.fixture(scope="module")
def widget():
    ds = ecg.simulate(3, seed=5)
    ds = ds.assign_coords(record=["first", HOSTILE, "third"]).assign_attrs(source="/home/someone/Mrs Smith.dat")
    return ecg.explore(ecg.load_network(), ds, n_clusters=8, target="MI")


@pytest.fixture(scope="module")
def exported(widget, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "figure.html"
    records = widget.choices["records"]
    to_html(widget, path, records=records, layers=LAYERS, names=True, title=HOSTILE)
    return path


class Page:
    """One exported file in one tab: all requests but the file's own are refused and kept."""

    def __init__(self, page, path):
        self.page, self.requests, self.errors = page, [], []
        page.on("console", self._console)
        page.on("pageerror", lambda e: self.errors.append(str(e)))
        page.context.route(re.compile(r"^(?!file:)"), self._refuse)
        page.on("request", lambda r: self.requests.append(r.url) if not r.url.startswith(("blob:", "data:")) else None)
        page.set_default_timeout(10_000)
        page.goto(path.as_uri())
        page.wait_for_function("() => document.documentElement.dataset.ready === 'true'")
        self.frames()

    def _console(self, message):
        # Chromium's advice on reading pixels back, which these tests do and the page does not.
        if message.type in ("error", "warning") and "willReadFrequently" not in message.text:
            self.errors.append(message.text)

    def _refuse(self, route):
        self.requests.append(route.request.url)
        route.abort()

    def frames(self, count=3):
        for _ in range(count):
            self.page.evaluate("() => new Promise(done => requestAnimationFrame(done))")

    def get(self, name):
        return self.page.locator(f'[data-ecg="{name}"]')

    def slide(self, name, value):
        self.get(name).evaluate(SLIDE, value)
        self.frames()

    def choose(self, name, value):
        self.get(name).select_option(value)
        self.frames()

    @property
    def status(self):
        return self.get("status").inner_text()

    def pixels(self):
        return self.get("waveform").evaluate(PIXELS)


@pytest.fixture
def page(browser, exported):
    with tab(browser) as opened:
        found = Page(opened, exported)
        yield found
        assert found.errors == []
        assert found.requests == [exported.as_uri()]


def expected(result: xr.Dataset, threshold: float, target: str) -> str:
    """What the status says of a result, computed by NumPy."""
    entropy = result["entropy"].values[result["valid"].values]
    percent = int(np.floor(100 * np.mean(entropy > np.float32(threshold)) + 0.5))
    probability = float(result["prediction"].sel(target=target))
    layers = " + ".join(result.attrs["layers"])
    return f"{result.sizes['cluster']} clusters, {percent} % uncertain, {target} {probability:.2f}, {layers}, cpu"


def test_each_slider_does_what_it_says_with_numpys_numbers(page, widget):
    seen = {page.pixels()}
    for threshold in (0.0, 0.13, 0.29, 0.5, 0.57, 1.0):
        page.slide("threshold", threshold)
        result = widget.explorer.result("first", widget.layers, 8)
        assert page.status.startswith(expected(result, threshold, "MI"))
        seen.add(page.pixels())
    page.slide("threshold", 0.5)
    for k in (2, 9, 20):
        page.slide("clusters", k)
        result = widget.explorer.result("first", widget.layers, k)
        assert page.status.startswith(expected(result, 0.5, "MI"))
        seen.add(page.pixels())
    for place, layers in enumerate(LAYERS):
        page.slide("layers", place)
        result = widget.explorer.result("first", layers, 20)
        assert page.status.startswith(expected(result, 0.5, "MI"))
        seen.add(page.pixels())
    page.choose("record", "third")
    page.choose("target", "NORM")
    result = widget.explorer.result("third", LAYERS[2], 20)
    assert page.status.startswith(expected(result, 0.5, "NORM"))
    seen.add(page.pixels())
    assert len(seen) > 10


def test_any_move_is_on_the_page_with_the_next_frame(page):
    for name, value in (("threshold", 0.31), ("clusters", 13), ("layers", 0)):
        before, after = page.get(name).evaluate(
            """async (input, value) => {
                const root = input.getRootNode();
                const paints = () => root.querySelector('canvas[data-ecg=waveform]').dataset.paints;
                const status = () => root.querySelector('[data-ecg=status]').innerText;
                await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
                const first = [paints(), status()];
                input.value = value;
                input.dispatchEvent(new Event('input', { bubbles: true, composed: true }));
                // Asked for behind the view's own request: it runs in the same frame, after it.
                await new Promise(done => requestAnimationFrame(done));
                return [first, [paints(), status()]];
            }""",
            value,
        )
        assert before[0] != after[0]
        assert before[1] != after[1]


def test_hostile_text_is_text(page):
    assert page.page.title() == HOSTILE
    page.choose("record", HOSTILE)
    assert page.get("record").input_value() == HOSTILE
    assert HOSTILE in page.get("waveform").get_attribute("aria-label")
    assert page.page.locator("img").count() == 0


def test_about_is_readable_and_names_no_file(page, widget):
    page.page.get_by_text("About this figure").click()
    about = page.page.locator("#ecg-about")
    assert widget.explorer.network.fingerprint in about.inner_text()
    assert about.locator("p").inner_text().startswith("Activations of PTB-XL ResNet1d (SHA-256")


@pytest.mark.parametrize("dark", [False, True])
def test_state_restores_the_same_pixels(browser, tmp_path, widget, dark):
    other = ecg.explore(ecg.load_network(), widget.explorer.ds)
    before = dict(widget.state)
    try:
        widget.record, widget.threshold, widget.n_clusters, widget.layers = "third", 0.37, 11, ["blocks.2"]
        other.state = widget.state
        digests = []
        for w in (widget, other):
            path = tmp_path / "one.html"
            w.to_html(path, layers=[w.layers], n_clusters=[w.n_clusters])
            with tab(browser, dark=dark) as opened:
                digests.append(Page(opened, path).pixels())
        assert digests[0] == digests[1]
        other.threshold = 0.2
        other.to_html(path, layers=[other.layers], n_clusters=[other.n_clusters])
        with tab(browser, dark=dark) as opened:
            assert Page(opened, path).pixels() != digests[0]
    finally:
        widget.state = before
        other.close()


def test_what_is_not_in_the_page_is_said(browser, tmp_path, widget):
    path = tmp_path / "few.html"
    widget.to_html(path, layers=["blocks.3"], n_clusters=[4, 5, 9])
    with tab(browser) as opened:
        page = Page(opened, path)
        assert page.get("error").is_hidden()
        page.slide("clusters", 7)
        assert page.get("error").inner_text() == (
            "7 clusters of blocks.3 are not in this page: it holds 4 to 5, 9. Export it again with them."
        )
        page.slide("clusters", 9)
        assert page.get("error").is_hidden()
        assert page.status.startswith("9 clusters")


def test_a_damaged_file_says_so(browser, tmp_path, exported):
    text = exported.read_text("utf-8")
    start = text.index('id="ecg-data">') + 1000
    path = tmp_path / "damaged.html"
    path.write_text(text[:start] + ("A" if text[start] != "A" else "B") * 40 + text[start + 40 :], "utf-8")
    with tab(browser) as opened:
        opened.goto(path.as_uri())
        opened.wait_for_selector("text=This page cannot be shown")


def test_no_code_but_its_own_runs(browser, tmp_path, exported):
    """The policy in the file holds: added scripts do not run and nothing can be fetched."""
    text = exported.read_text("utf-8").replace("</main>", "</main><script>document.title='hacked'</script>")
    path = tmp_path / "changed.html"
    path.write_text(text, "utf-8")
    with tab(browser) as opened:
        page = Page(opened, path)
        assert opened.title() != "hacked"
        refused = opened.evaluate("() => fetch('https://example.org').then(() => 'sent', () => 'refused')")
        assert refused == "refused"
        assert any("Content Security Policy" in error for error in page.errors)
