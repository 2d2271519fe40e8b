"""A real JupyterLab and a real Chromium, driven like a user: the only stand-ins are hands and eyes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import psutil
from playwright.sync_api import Browser, Locator, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # A tab that Chromium takes for hidden draws nothing.
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none", "kernelShutdown": True},
    "@jupyterlab/completer-extension:manager": {"autoCompletion": False},
}
START_S = 90
LEAVE = """() => {
    const widgets = [...document.querySelectorAll('.ecg-widget')];
    widgets.forEach(widget => widget.dispatchEvent(new FocusEvent('focusout')));
    return widgets.length;
}"""
# What JupyterLab itself logs as an error where there is no network or no server extension; nothing of ours.
FOREIGN = re.compile(r"favicon|translations|lsp/status|/api/news|Failed to load resource: net::ERR_", re.IGNORECASE)


def chromium() -> str | None:
    """Path of a browser on this machine; None leaves the choice to Playwright's own."""
    named = os.environ.get("ECG_WIDGET_CHROMIUM")
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return named or next((path for path in found if path), None)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Lab:
    """A JupyterLab server whose every folder is its own; `root` holds the notebooks."""

    def __init__(self, root: Path, *, python: str = sys.executable) -> None:
        self.root, self.token, self.port = root, secrets.token_hex(16), free_port()
        home = root / ".jupyter-home"
        settings = home / "app-settings"
        settings.mkdir(parents=True)
        (settings / "overrides.json").write_text(json.dumps(SETTINGS))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")} | {
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(home / "user-settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
            "IPYTHONDIR": str(home / "ipython"),
            "JUPYTER_PREFER_ENV_PATH": "1",
        }
        command = [python, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={self.port}"]
        command += [
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={root}",
        ]
        command += [
            f"--LabApp.app_settings_dir={settings}",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.news_url=None",
        ]
        command += ["--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate"]
        self.log = (home / "server.log").open("w+")
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=subprocess.STDOUT, cwd=root)
        self.url = f"http://127.0.0.1:{self.port}"
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/api/status?token={self.token}", timeout=5).close()
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                raise RuntimeError("JupyterLab did not start:\n" + self.log.read()[-3000:])
            time.sleep(0.2)

    def write(self, name: str, *cells: str) -> str:
        """A notebook of code cells; its name."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.root / name)
        return name

    def close(self) -> None:
        family = [self.process, *psutil.Process(self.process.pid).children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                process.terminate()
        self.process.wait(30)
        self.log.close()


class Notebook:
    """One notebook in one tab. Console errors are collected in `errors`, kernel messages in `sent` and `received`."""

    def __init__(self, page: Page, lab: Lab, name: str) -> None:
        self.page, self.errors, self.sent, self.received = page, [], [], []
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda e: self.errors.append(f"page: {e}"))
        page.on("console", self._console)
        page.on("websocket", self._websocket)
        page.goto(f"{lab.url}/lab/tree/{name}?token={lab.token}&reset", wait_until="domcontentloaded")
        page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext")
        page.evaluate(
            """async () => {
                const app = window.jupyterapp; await app.restored;
                const panel = app.shell.currentWidget; await panel.context.ready; await panel.sessionContext.ready;
                await panel.sessionContext.session.kernel.info;
                app.shell.collapseLeft();
            }"""
        )

    def _console(self, message) -> None:
        if message.type == "error" and not FOREIGN.search(message.text + str(message.location)):
            self.errors.append(f"console: {message.text}")

    def _websocket(self, socket_) -> None:
        if "/api/kernels/" in socket_.url:
            socket_.on("framesent", self._frame_sent)
            socket_.on("framereceived", self._frame_received)

    def _frame_sent(self, frame) -> None:
        self.sent.append(frame)

    def _frame_received(self, frame) -> None:
        self.received.append(frame)

    def shut_down(self) -> None:
        """End the kernel, or the next tab with a notebook of this name gets it."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def run_all(self) -> list[str]:
        """Run every cell; the errors in their outputs."""
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        return self.cell_errors()

    def run_cell(self, index: int) -> None:
        self.page.evaluate(
            """async index => {
                window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
                await window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            index,
        )

    def cell_errors(self) -> list[str]:
        return self.page.evaluate(
            """() => window.jupyterapp.shell.currentWidget.content.widgets.flatMap(cell =>
                cell.model.type !== 'code' ? [] : cell.model.outputs.toJSON()
                    .filter(o => o.output_type === 'error').map(o => `${o.ename}: ${o.evalue}`))"""
        )

    def python(self, code: str):
        """Run code in the notebook's kernel; its last line is an expression whose JSON comes back.

        As when a user runs a cell, the focus leaves the widgets first, which then tell Python what they have not yet.
        """
        if self.page.evaluate(LEAVE):
            self.frames(4)
        *lines, last = code.strip().splitlines()
        wrapped = "\n".join([*lines, f"import json as _json; print('\\x02' + _json.dumps({last}) + '\\x03')"])
        text = self.page.evaluate(
            """async code => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({code, store_history: false, silent: false});
                let text = '';
                future.onIOPub = message => {
                    const type = message.header.msg_type;
                    if (type === 'stream') text += message.content.text;
                    if (type === 'error') text += message.content.traceback.join('\\n');
                };
                await future.done;
                return text;
            }""",
            wrapped,
        )
        found = re.search("\x02(.*)\x03", text, re.DOTALL)
        if not found:
            raise AssertionError(f"the kernel answered:\n{text}")
        return json.loads(found.group(1))

    def comm_sent(self) -> list[dict]:
        return comm_messages(self.sent)

    def comm_received(self) -> list[dict]:
        return comm_messages(self.received)

    def control(self, name: str, view: int = 0) -> Locator:
        return self.page.locator(f'[data-ecg="{name}"]').nth(view)

    def status(self, view: int = 0) -> str:
        return self.control("status", view).inner_text()

    def wait_until_exact(self) -> None:
        """Until the page shows the exact result of `w`: a first answer is replaced by itself, which moves pixels."""
        while self.python("w.result.attrs['draft'] or w.progress != ''"):
            self.page.wait_for_timeout(50)
        self.page.wait_for_timeout(200)
        self.frames(4)

    def pixels(self, view: int = 0) -> str:
        """A digest of all pixels of the picture."""
        return self.control("waveform", view).evaluate(
            """async canvas => {
                const context = canvas.getContext('2d');
                const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
                const digest = await crypto.subtle.digest('SHA-256', data);
                return [...new Uint8Array(digest)].map(b => b.toString(16).padStart(2, '0')).join('');
            }"""
        )

    def frames(self, count: int = 2) -> None:
        """Let the page draw what it has to draw."""
        for _ in range(count):
            self.page.evaluate("() => new Promise(done => requestAnimationFrame(done))")

    def wait_for_status(self, pattern: str, view: int = 0) -> str:
        """Wait until the status text matches; it is written in the frame that draws the picture."""
        self.page.wait_for_function(
            """([pattern, view]) => {
                const found = [];
                const look = root => root.querySelectorAll('*').forEach(e => {
                    if (e.dataset?.ecg === 'status') found.push(e);
                    if (e.shadowRoot) look(e.shadowRoot);
                });
                look(document);
                return found[view] !== undefined && new RegExp(pattern).test(found[view].innerText);
            }""",
            arg=[pattern, view],
        )
        self.frames()
        return self.status(view)

    def drag(self, name: str, values: list[float], gap_ms: int = 16, view: int = 0) -> None:
        """Move a slider through values as a drag does: an input event each, then one change event."""
        self.control(name, view).evaluate(
            """async (input, [values, gap]) => {
                const sleep = ms => new Promise(done => setTimeout(done, ms));
                for (const value of values) {
                    input.value = value;
                    input.dispatchEvent(new Event('input', { bubbles: true, composed: true }));
                    await sleep(gap);
                }
                input.dispatchEvent(new Event('change', { bubbles: true, composed: true }));
            }""",
            [values, gap_ms],
        )


def comm_messages(frames: list) -> list[dict]:
    """What widgets sent or received, out of the frames of the kernel's websocket: one dict of changed traits each."""
    found = []
    for frame in frames:
        data = frame if isinstance(frame, bytes) else frame.encode()
        if b'"comm_msg"' not in data:
            continue
        # Jupyter's binary protocol: a count, that many offsets (both uint64), the parts between them.
        if isinstance(frame, bytes):
            count = int.from_bytes(data[:8], "little")
            offsets = [int.from_bytes(data[8 * i : 8 * i + 8], "little") for i in range(1, count + 1)]
            parts = [data[a:b] for a, b in itertools.pairwise(offsets)]
            texts = (p for p in parts if p.startswith(b'{"data"') or b'"comm_id"' in p)
            if (text := next(texts, None)) is None:
                continue  # an answer to such a message, which names it
            content = json.loads(text)
        else:
            content = json.loads(data)["content"]
        found.append(content["data"])
    return found


@contextlib.contextmanager
def chromium_browser():
    """One headless Chromium; Playwright allows one at a time in a process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def tab(browser: Browser, *, dark: bool = False, touch: bool = False, width: int = 1400, height: int = 1100):
    """A page with storage of its own."""
    scheme = "dark" if dark else "light"
    size = {"width": width, "height": height}
    context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=touch)
    try:
        yield context.new_page()
    finally:
        context.close()
