"""How fast a static site writes in headless Chromium.

    fabula publish MODEL --static SITE --license ... --corpus-license ...
    python benchmarks/static_site.py SITE

Prints a table in Markdown; times are medians over fresh browsers, from loopback, with nothing cached.
"""

import os
import shutil
import statistics
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ROUNDS = 5
TOKENS = 100


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def measure(browser: Browser, address: str) -> tuple[float, float, float]:
    """Seconds until the model is loaded, from a click to the first words, and tokens per second after these."""
    context = browser.new_context()
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address)
    expect(page.locator("#model-name")).not_to_be_empty(timeout=120_000)
    loaded = time.perf_counter() - began
    page.locator("#set-max_new_tokens").evaluate(f"field => field.value = {TOKENS}")
    page.locator("#story").fill("Once upon a time,")
    began = time.perf_counter()
    page.locator("#go").click()
    page.locator("#mirror .last:not(:empty)").wait_for(timeout=60_000)
    first = time.perf_counter() - began
    expect(page.locator("#status")).to_contain_text("more", timeout=300_000)
    seconds = time.perf_counter() - began
    ended = "come to its end" in page.locator("#status").inner_text()
    context.close()
    return loaded, first, float("nan") if ended else (TOKENS - 1) / (seconds - first)


def main(site: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    with sync_playwright() as playwright:
        installed = os.environ.get("FABULA_CHROMIUM") or shutil.which("chromium")
        rounds = []
        for _ in range(ROUNDS):
            browser = playwright.chromium.launch(executable_path=installed, args=FLAGS)
            rounds.append(measure(browser, address))
            browser.close()
    server.shutdown()
    loaded, first, speed = zip(*rounds, strict=True)
    speeds = [each for each in speed if each == each]
    megabytes = {
        part: sum(path.stat().st_size for path in (site / part).rglob("*") if path.is_file()) / 1e6
        for part in ("model", "vendor")
    }
    print("| model, MB | library, MB | loaded, s | first words after the click, s | tokens/s |")
    print("|---|---|---|---|---|")
    print(
        f"| {megabytes['model']:.1f} | {megabytes['vendor']:.1f} | {statistics.median(loaded):.2f}"
        f" | {statistics.median(first):.2f} | {statistics.median(speeds) if speeds else float('nan'):.0f} |"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
