"""A headless Chromium, asked over its DevTools protocol."""

import asyncio
import base64
import json
import shutil
import subprocess
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from tornado.websocket import websocket_connect


async def _connected(url):
    return await websocket_connect(url, max_message_size=1 << 28)


async def _answered(link, message):
    await link.write_message(json.dumps(message))
    while True:
        answer = json.loads(await link.read_message())
        if answer.get("id") == message["id"]:
            return answer


def chromium_path():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser; a machine without one must say so, not skip."""
    if chromium_path() is None:
        pytest.fail("these tests need Chromium on PATH (Debian's package is chromium)")
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


class Chromium:
    """One browser with one page at a time; use in a ``with`` statement."""

    def __init__(self, profile: Path):
        self._profile, self._loop, self._number = profile, asyncio.new_event_loop(), 0

    def __enter__(self):
        command = [
            chromium_path(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--remote-debugging-port=0", "--remote-allow-origins=*", "--no-first-run",
            f"--user-data-dir={self._profile}", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        port = self._profile / "DevToolsActivePort"
        self._wait(lambda: port.exists() and port.read_text().count("\n"))
        self._port = int(port.read_text().split("\n")[0])
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(timeout=30)
        self._loop.close()

    def _wait(self, ready, seconds=60.0):
        end = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None or time.monotonic() > end:
                message = "Chromium does not answer"
                raise RuntimeError(message)
            time.sleep(0.05)

    def open(self, url, width=1400, height=1000, *, dark=False):
        """Show a page in a window of this size."""
        with urlopen(f"http://127.0.0.1:{self._port}/json") as answer:
            (target, *_) = [t for t in json.load(answer) if t["type"] == "page"]
        self._link = self._run(_connected(target["webSocketDebuggerUrl"]))
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        trouble = self.call("Page.navigate", url=url).get("errorText")
        if trouble:
            message = f"{url}: {trouble}"
            raise RuntimeError(message)

    def _run(self, awaited):
        return self._loop.run_until_complete(asyncio.wait_for(awaited, 60))

    def call(self, method, **params):
        """Send a command; return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        answer = self._run(_answered(self._link, message))
        if "error" in answer:
            raise RuntimeError(str(answer["error"]))
        return answer["result"]

    def ask(self, script):
        """Return the value of a JavaScript expression; None while it cannot be found."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return None if "exceptionDetails" in found else found["result"].get("value")

    def until(self, script, seconds=40.0):
        """Wait until an expression is true; return its value."""
        end = time.monotonic() + seconds
        while not (value := self.ask(script)):
            if time.monotonic() > end:
                shown = self.ask("location.href + '\\n' + document.documentElement.innerText")
                message = f"never true: {script}; the page shows {shown}"
                raise TimeoutError(message)
            time.sleep(0.1)
        return value

    def picture(self, path, *, whole=True):
        """Write a screenshot, of the whole page or of the window."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(shot["data"]))
