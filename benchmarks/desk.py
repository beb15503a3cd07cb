"""How long a writer waits at the page, in headless Chromium: for the first words after a click, for a full shelf, and at a key
in a text as long as a book.

python benchmarks/desk.py MODEL [MODEL ...] [--clicks 20] [--stories 200] [--words 100000]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys

from playwright.sync_api import Page, expect, sync_playwright

FIRST_WORDS = """async () => {
  const field = document.getElementById("story"), before = field.value.length, began = performance.now();
  document.getElementById("go").click();
  while (field.value.length <= before) await new Promise(requestAnimationFrame);
  return (performance.now() - began) / 1000;
}"""

OTHER_WORDS = """async () => {
  const field = document.getElementById("story"), began = performance.now();
  field.focus();
  field.setSelectionRange(5, 5);
  await new Promise(requestAnimationFrame);
  document.getElementById("words-at-caret").click();
  while (document.getElementById("words").hidden) await new Promise(requestAnimationFrame);
  return (performance.now() - began) / 1000;
}"""

FILL = """async (count) => {
  const { newId, Shelf } = await import(new URL("shelf.js", location.href).href);
  const shelf = new Shelf({ giveUp() {}, onTaken() {} });
  await shelf.open();
  const line = "The tide came in and nobody at Low Quay looked up from the nets. ";
  const text = (line.repeat(7) + "\\n").repeat(110);
  for (let number = 0; number < count; number++)
    await shelf.write({ id: newId(), name: `Story ${number}`, version: 0, memory: "", note: "", text, passages: [], past: [], future: [], words: text.split(/\\s+/).length - 1 });
  return text.split(/\\s+/).length - 1;
}"""

OPEN_SHELF = """async (count) => {
  const began = performance.now();
  document.getElementById("tab-stories").click();
  while (document.querySelectorAll("#shelf .open").length < count) await new Promise(requestAnimationFrame);
  return (performance.now() - began) / 1000;
}"""

OPEN_STORY = """async () => {
  const began = performance.now();
  [...document.querySelectorAll("#shelf .open")].find((row) => row.textContent.startsWith("Story 0")).click();
  while (document.getElementById("story").value.length < 1000) await new Promise(requestAnimationFrame);
  return (performance.now() - began) / 1000;
}"""


def first_words(page: Page, num_clicks: int) -> list[float]:
    times = []
    page.locator("#story").fill("The bell rang twice, and nobody came.")
    for _ in range(num_clicks):
        times.append(page.evaluate(FIRST_WORDS))
        page.keyboard.press("Escape")
        expect(page.locator("#go")).not_to_have_text("Stop")
        page.locator("#undo").click()
    return times


BOOK = """(words) => {
  const line = "The tide came in and nobody at Low Quay looked up from the nets. ".repeat(5);
  return (line + "\\n\\n").repeat(Math.ceil(words / 65));
}"""

TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def key_seconds(page: Page, num_words: int, num_keys: int = 5) -> float:
    """Processor time of the page for one key in the middle of a text, until it is drawn."""
    text = page.evaluate(BOOK, num_words)
    page.locator("#file").set_input_files(
        {"name": "book.txt", "mimeType": "text/plain", "buffer": text.encode()}
    )
    page.wait_for_timeout(2_000)
    page.locator("#story").evaluate(
        "field => { field.focus(); field.setSelectionRange(field.value.length / 2, field.value.length / 2); }"
    )
    page.wait_for_timeout(1_000)
    browser = page.context.new_cdp_session(page)
    browser.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used() -> float:
        metrics = browser.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in metrics if each["name"] == "TaskDuration")

    before = used()
    for _ in range(num_keys):
        page.keyboard.press("x")
        page.evaluate(TWO_FRAMES)
    return (used() - before) / num_keys


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+")
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--stories", type=int, default=200)
    parser.add_argument("--words", type=int, default=100_000)
    asked = parser.parse_args()
    installed = os.environ.get("FABULA_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=installed, args=["--no-sandbox", "--disable-gpu"]
        )
        for number, model in enumerate(asked.models):
            command = [sys.executable, "-m", "fabula", "serve", model, "--port", "0"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout is not None
                address = server.stdout.readline().split()[2]
                page = browser.new_context().new_page()
                page.goto(address)
                expect(page.locator("#model-name")).not_to_be_empty(timeout=120_000)
                times = first_words(page, asked.clicks)
                print(
                    f"{model}: first words after {statistics.median(times):.3f} s (median of {len(times)};"
                    f" first {times[0]:.3f}, slowest {max(times):.3f})"
                )
                other = []
                for _ in range(asked.clicks):
                    other.append(page.evaluate(OTHER_WORDS))
                    page.keyboard.press("Escape")
                print(
                    f"{model}: other words after {statistics.median(other):.3f} s (slowest {max(other):.3f})"
                )
                if number == 0:
                    words = page.evaluate(FILL, asked.stories)
                    page.reload()
                    expect(page.locator("#model-name")).not_to_be_empty()
                    shelf = page.evaluate(OPEN_SHELF, asked.stories)
                    story = page.evaluate(OPEN_STORY)
                    print(
                        f"shelf of {asked.stories} stories of {words:,} words: opens in {shelf:.3f} s, a story of it in {story:.3f} s"
                    )
                    seconds = key_seconds(page, asked.words)
                    print(f"a key in a text of {asked.words:,} words: {seconds:.3f} s of processor time")
                server.terminate()
        browser.close()


if __name__ == "__main__":
    main()
