import contextlib
import subprocess
from pathlib import Path

import pytest
from browser.lab import Lab, Notebook, tab

JS = Path(__file__).resolve().parents[2] / "js"


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture
def open_notebook(lab, browser):
    """Open a notebook in a fresh tab; at the end nothing may have been logged as an error."""
    opened = []
    with contextlib.ExitStack() as tabs:

        def start(name, **appearance):
            opened.append(Notebook(tabs.enter_context(tab(browser, **appearance)), lab, name))
            return opened[-1]

        yield start
        for notebook in opened:
            notebook.shut_down()
    assert [error for notebook in opened for error in notebook.errors] == []


@pytest.fixture(scope="session")
def url():
    """Address of the page that needs no kernel."""
    server = subprocess.Popen(["node", "test/page/serve.mjs", "0"], cwd=JS, stdout=subprocess.PIPE, text=True)
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def shown(browser, url):
    """Open the page; at the end nothing may have been logged as an error, and nothing asked for but the page."""
    errors, foreign = [], []
    with contextlib.ExitStack() as tabs:

        def start(query="", **appearance):
            page = tabs.enter_context(tab(browser, **appearance))
            page.on("pageerror", lambda e: errors.append(str(e)))
            page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
            page.on("request", lambda r: r.url.startswith((url, "blob:", "data:")) or foreign.append(r.url))
            page.goto(f"{url}?{query}")
            page.locator('[data-ecg="status"]').filter(has_text="clusters").wait_for()
            return page

        yield start
    assert errors == []
    assert foreign == []
