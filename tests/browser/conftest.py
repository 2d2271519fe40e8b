import pytest
from lab import Lab, Notebook, browser_context


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture
def open_notebook(lab):
    """Open a notebook in a fresh browser; at the end nothing may have been logged as an error."""
    contexts, opened = [], []

    def start(name, *, dark=False, **size):
        context = browser_context(dark=dark, **size)
        contexts.append(context)
        notebook = Notebook(context.__enter__().new_page(), lab, name)
        opened.append(notebook)
        return notebook

    yield start
    for notebook in opened:  # else the next test that opens a notebook of this name gets this one's kernel
        notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    for context in contexts:
        context.__exit__(None, None, None)
    assert [error for notebook in opened for error in notebook.errors] == []
