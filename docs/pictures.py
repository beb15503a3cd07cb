"""The pictures of the page in docs/pictures, taken anew from a page that is being served.

fabula serve MODEL &
python docs/pictures.py http://127.0.0.1:7860/
"""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

PICTURES = Path(__file__).parent / "pictures"
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def take(page: Page, name: str) -> None:
    page.wait_for_timeout(300)
    page.screenshot(path=PICTURES / f"{name}.png")


def main(address: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    installed = os.environ.get("FABULA_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed, args=FLAGS)
        for device, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )  # pyright: ignore[reportArgumentType]
                page = context.new_page()
                page.goto(address)
                expect(page.locator("#model-name")).not_to_be_empty()
                if scheme == "light":
                    take(page, f"start-{device}")
                page.locator("#set-seed").evaluate("field => field.value = 7")
                page.locator("#set-max_new_tokens").evaluate("field => field.value = 100")
                page.locator(".opening").first.click()
                expect(page.locator("#status")).to_contain_text("more", timeout=60_000)
                page.locator("#go").click()
                expect(page.locator("#status")).to_contain_text("more", timeout=60_000)
                take(page, f"page-{device}-{scheme}")
                page.locator("#set-max_new_tokens").evaluate("field => field.value = 40")
                page.locator("#three").click()
                expect(page.locator("#status")).to_contain_text("Choose", timeout=60_000)
                if (device, scheme) in (("desktop", "dark"), ("phone", "light")):
                    take(page, f"continuations-{device}")
                page.keyboard.press("Escape")
                if (device, scheme) == ("desktop", "light"):
                    page.locator("#settings summary").click()
                    page.locator("#settings").scroll_into_view_if_needed()
                    page.evaluate("scrollTo(0, document.body.scrollHeight)")
                    take(page, "settings")
                    page.locator("#tab-about").click()
                    take(page, "about")
                context.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
