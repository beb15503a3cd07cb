"""The pictures of the studio and of the page in docs/pictures, taken anew from a studio with a project that has a model.

fabula studio FOLDER &
python docs/pictures.py http://127.0.0.1:7861/ PROJECT
"""

import os
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

PICTURES = Path(__file__).parent / "pictures"
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def take(page: Page, name: str) -> None:
    page.wait_for_timeout(300)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path)
    with Image.open(path) as picture:
        few_colours = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few_colours.save(path, optimize=True)


def take_studio(page: Page, device: str, project: str) -> None:
    """The list of projects, and the steps of one."""
    expect(page.locator(".projects a").first).to_be_visible()
    take(page, f"studio-home-{device}")
    page.evaluate(f"location.hash = '#/{quote(project)}'")
    expect(page.locator("#result .headline")).to_be_visible()
    take(page, f"studio-result-{device}")
    for step in ("stories", "cleaning", "training"):
        page.evaluate("for (const each of document.querySelectorAll('.step')) each.open = false")
        page.locator(f"#{step} > summary").click()
        page.evaluate("scrollTo(0, 0)")
        take(page, f"studio-{step}-{device}")


def take_desk(page: Page, device: str, scheme: str) -> None:
    """The page to write on."""
    expect(page.locator("#model-name")).not_to_be_empty(timeout=60_000)
    if scheme == "light":
        take(page, f"start-{device}")
    page.locator("#set-seed").evaluate("field => field.value = 7")
    page.locator("#set-max_new_tokens").evaluate("field => field.value = 100")
    page.locator(".opening").first.click()
    expect(page.locator("#status")).to_contain_text("more")
    for _ in range(2):
        page.locator("#again").click()
        expect(page.locator("#go")).not_to_have_text("Stop")
    page.locator("#go").click()
    expect(page.locator("#status")).to_contain_text("more")
    page.locator("#name").fill("Old Harrow")
    page.locator("#previous").evaluate("button => button.blur()")
    take(page, f"page-{device}-{scheme}")
    if scheme == "light":
        page.locator("#story").evaluate("field => { field.focus(); field.setSelectionRange(12, 12); }")
        page.keyboard.press("Alt+ArrowDown")
        expect(page.locator("#words li")).not_to_have_count(0)
        take(page, f"words-{device}")
        page.keyboard.press("Escape")
        page.locator("#story").evaluate(
            "field => field.setSelectionRange(field.value.length, field.value.length)"
        )
    page.locator("#set-max_new_tokens").evaluate("field => field.value = 40")
    page.locator("#three").click()
    expect(page.locator("#status")).to_contain_text("Choose")
    if (device, scheme) in (("desktop", "dark"), ("phone", "light")):
        take(page, f"continuations-{device}")
    page.keyboard.press("Escape")
    if scheme == "light":
        page.locator("#settings summary").click()
        take(page, f"settings-{device}")
        page.keyboard.press("Escape")
    if (device, scheme) == ("desktop", "light"):
        page.locator("#tab-guess").click()
        page.locator(".passage").first.wait_for()
        take(page, "guess")
        page.locator("#tab-about").click()
        take(page, "about")


def main(address: str, project: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    expect.set_options(timeout=60_000)
    installed = os.environ.get("FABULA_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser: Browser = playwright.chromium.launch(executable_path=installed, args=FLAGS)
        for device, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )  # pyright: ignore[reportArgumentType]
                page = context.new_page()
                if scheme == "light":
                    page.goto(address)
                    take_studio(page, device, project)
                page.goto(f"{address}desk/{quote(project)}/")
                take_desk(page, device, scheme)
                context.close()
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
