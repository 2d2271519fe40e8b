import contextlib

import pytest
from browser.lab import Lab, Notebook, tab


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
