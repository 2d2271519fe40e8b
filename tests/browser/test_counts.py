"""What moves cost, counted and not timed: messages, bytes, computations, draw calls."""

import re

import pytest
from browser.lab import Notebook, tab

pytestmark = pytest.mark.browser

SETUP = """import ecg_widget as ecg
net, ds = ecg.load_network(), ecg.load_example()"""
SHOW = """w = ecg.explore(net, ds)
w"""
LINES = "for line in range(200): print(line)"  # so that the widget can be scrolled out of sight

# Every call that may change pixels, on any canvas, seen or not.
DRAWS = """(() => {
    window.draws = 0;
    for (const kind of ['CanvasRenderingContext2D', 'OffscreenCanvasRenderingContext2D']) {
        const { prototype } = window[kind];
        for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
            if (/^(stroke|fill|clear|draw|put)/.test(name) && typeof value === 'function') {
                prototype[name] = function (...given) { window.draws++; return value.apply(this, given); };
            }
        }
    }
})()"""

# Computations that somebody waits for, and those of the background; never two at once.
COUNT = """
import threading
from ecg_widget.clusters.kmeans import nobody_waits
from ecg_widget.explorer import Explorer
compute = globals().get("compute", Explorer._result)
guard, counted = threading.Lock(), dict(now=0, most=0, awaited=0, ahead=0)
def counting(self, *given, **options):
    with guard:
        counted["now"] += 1
        counted["most"] = max(counted["most"], counted["now"])
        counted["ahead" if nobody_waits() else "awaited"] += 1
    try:
        return compute(self, *given, **options)
    finally:
        with guard:
            counted["now"] -= 1
Explorer._result = counting
"""
FORGET = """
w.explorer.ahead.interrupt()
w.explorer._cache.clear()
"""


@pytest.fixture(scope="module")
def one_notebook(lab, browser):
    with tab(browser) as page:
        page.add_init_script(DRAWS)
        notebook = Notebook(page, lab, lab.write("counts.ipynb", SETUP, SHOW, LINES))
        assert notebook.run_all() == []
        notebook.wait_for_status("^10 clusters")
        yield notebook
        notebook.shut_down()


@pytest.fixture
def live(one_notebook):
    """Ten clusters, all numbers of them on the page, nothing under way; no error when a test ends."""
    one_notebook.python("w.set_trait('n_clusters', 10) or w.set_trait('threshold', 0.5) or 1")
    one_notebook.wait_for_status("^10 clusters")
    for _ in range(600):
        if one_notebook.python("0 if w.ready is None else len(w.ready.results)") == 19:
            break
        one_notebook.page.wait_for_timeout(100)
    one_notebook.control("ready").filter(has_text=re.compile("^$")).wait_for(state="attached")
    one_notebook.control("waveform").scroll_into_view_if_needed()
    one_notebook.frames(4)
    one_notebook.sent.clear()
    one_notebook.received.clear()
    yield one_notebook
    errors, one_notebook.errors = one_notebook.errors, []
    assert errors == []
    assert one_notebook.python("w.error") == ""


def answers(notebook):
    """Messages to the widget, but for the echo with which ipywidgets tells other pages of what this one set."""
    return [message for message in notebook.comm_received() if message.get("method") != "echo_update"]


def size(notebook):
    """Bytes from the kernel that are neither such an echo nor the kernel's word on whether it is busy."""
    spoken = (b'"comm_msg"', b'"stream"', b'"execute_', b'"display_data"', b'"comm_open"')
    frames = [frame if isinstance(frame, bytes) else frame.encode() for frame in notebook.received]
    return sum(
        len(f) for f in frames if any(s in f for s in spoken) and b'"echo_update"' not in f and b'"status"' not in f
    )


def settle(notebook):
    """Until the kernel has handled what was sent: a word of its own queues behind it."""
    notebook.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestKernelInfo()"
    )
    notebook.frames(4)


def rest(notebook):
    """Until the page has told Python where the hand came to rest, and Python has handled it."""
    for _ in range(100):
        if notebook.comm_sent():
            break
        notebook.page.wait_for_timeout(50)
    settle(notebook)


def draws(notebook):
    return notebook.page.evaluate("() => window.draws")


def test_threshold_drag(live):
    live.python(COUNT + "1")
    live.received.clear()
    drawn = draws(live)
    live.drag("threshold", [round(0.2 + 0.01 * i, 2) for i in range(60)])
    assert (live.comm_sent(), live.received) == ([], [])  # not a byte in either direction while the hand moves
    rest(live)
    assert draws(live) > drawn
    assert live.control("threshold").input_value() == "0.79"
    assert answers(live) == []
    assert size(live) == 0
    assert len(live.comm_sent()) == 1
    counted = live.python("counted")
    assert (counted["awaited"], counted["ahead"]) == (0, 0)


def test_drag_over_clusters_that_are_ready(live):
    live.python(COUNT + "1")
    live.received.clear()
    live.drag("clusters", [2 + abs((i % 36) - 18) for i in range(59)] + [13])
    live.wait_for_status("^13 clusters")
    assert (live.comm_sent(), live.received) == ([], [])
    rest(live)
    live.page.wait_for_timeout(500)  # what would be computed ahead would begin now
    assert answers(live) == []
    assert size(live) == 0
    assert len(live.comm_sent()) == 1
    counted = live.python("counted")
    assert counted["awaited"] == 0  # the layers beside may be computed ahead for the number that is shown now
    assert live.python("w.n_clusters") == 13


def test_drag_over_clusters_that_are_not_ready(live):
    """No computation but for a message that was handled, one at a time, and the page has no more than it asked for."""
    live.python(COUNT + FORGET + "w.set_trait('ready', None) or 1")
    live.frames(4)
    live.sent.clear()
    live.received.clear()
    live.drag("clusters", [2 + abs((i % 36) - 18) for i in range(59)] + [17])
    live.wait_for_status("^17 clusters")
    counted = live.python("counted")
    handled = [message for message in live.comm_sent() if "n_clusters" in message.get("state", {})]
    assert counted["most"] == 1
    assert 1 <= counted["awaited"] <= len(handled) <= 60
    results = [message for message in answers(live) if "result" in message.get("state", {})]
    assert len(results) <= 2 * len(handled)  # a first answer and the exact one


def test_nothing_is_drawn_while_nothing_moves(live):
    drawn = draws(live)
    live.page.wait_for_timeout(500)
    assert draws(live) == drawn


@pytest.mark.parametrize("where", ["scrolled away", "another tab"])
def test_nothing_is_drawn_out_of_sight(live, where):
    """Traits move, nothing is drawn; back in sight, the picture is the one that they say."""
    before = live.pixels()
    if where == "another tab":
        live.page.evaluate("() => window.jupyterapp.commands.execute('launcher:create')")
    else:
        live.page.locator(".jp-OutputArea-output", has_text="199").last.evaluate(
            "e => e.scrollIntoView({block: 'end'})"
        )
    live.page.wait_for_timeout(300)  # until the observer has told
    drawn = draws(live)
    python = in_kernel(live) if where == "another tab" else live.python
    python("w.set_trait('threshold', 0.1) or w.set_trait('n_clusters', 5) or 1")
    live.page.wait_for_timeout(500)
    assert draws(live) == drawn
    if where == "another tab":
        live.page.evaluate("id => window.jupyterapp.shell.activateById(id)", live.panel)
    else:
        live.control("waveform").scroll_into_view_if_needed()
    live.wait_for_status("^5 clusters")
    live.page.wait_for_timeout(300)
    assert draws(live) > drawn
    assert live.pixels() != before


def in_kernel(notebook):
    """Run code where another tab is in front: the notebook's own panel is looked up by its path."""
    notebook.panel = notebook.page.evaluate(
        """() => [...window.jupyterapp.shell.widgets('main')].find(p => p.context?.path === 'counts.ipynb').id"""
    )

    def run(code):
        notebook.page.evaluate(
            """async ([id, code]) => {
                const panel = [...window.jupyterapp.shell.widgets('main')].find(p => p.id === id);
                await panel.sessionContext.session.kernel.requestExecute({ code, store_history: false }).done;
            }""",
            [notebook.panel, code],
        )

    return run
