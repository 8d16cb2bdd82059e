"""Take the screenshots of the documentation with headless Chromium.

Of the report of a solved crystal, made anew from its folder, and of a notebook as HTML:

    crysformer solve 5e5z.mtz --sequence LVHSSN --time-limit 200 -o 5e5z
    python docs/make_screenshots.py report 5e5z
    jupyter nbconvert --to html --execute docs/notebooks/solve-a-measured-crystal.ipynb
    python docs/make_screenshots.py notebook docs/notebooks/solve-a-measured-crystal.html

Needs Chromium, its driver and the extra ``browser``.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from make_images import small_copy
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

IMAGES = Path(__file__).parent / "images"
WIDTH = 1000  # pixels across

#: Picture: section of the report at its top, and height, pixels.
OF_REPORT = {
    "report.png": ("#verdict", 1120),
    "report-model.png": ("#model", 640),
    "report-search.png": ("#search", 760),
    "report-data.png": ("#data", 900),
}
#: Picture: words of the cell of code at its top, and height, pixels.
OF_NOTEBOOK = {
    "notebook-solution.png": ("crysformer.solve(", 480),
    "notebook-view.png": ("solution.view()", 690),
}
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
)  # fmt: skip
_VIEWER_SECONDS, _DRAWN_SECONDS = 30, 2


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without window."""
    options = Options()
    options.binary_location = shutil.which("chromium") or shutil.which("chromium-browser") or ""
    with tempfile.TemporaryDirectory() as profile:
        for option in (*_OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            yield browser
        finally:
            browser.quit()


def resize(browser: Any, height: int) -> None:
    """Give the page a height, pixels."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )


def shoot(browser: Any, element: Any, height: int, target: Path) -> None:
    """Write what is seen from an element of the page on."""
    resize(browser, height)
    browser.execute_script("arguments[0].scrollIntoView()", element)
    time.sleep(_DRAWN_SECONDS)  # what comes into sight only now
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(browser.get_screenshot_as_png())
        file.flush()
        small_copy(Path(file.name), target)


def wait_for_view(browser: Any) -> None:
    """Wait until density is drawn."""
    hud = "return document.getElementById('hud').textContent"
    WebDriverWait(browser, _VIEWER_SECONDS).until(lambda b: "rms" in b.execute_script(hud))


def shoot_report(folder: Path) -> None:
    """Write the pictures of the report of a solved crystal."""
    from crysformer.workflow.reports import write_report

    with chromium() as browser:
        resize(browser, OF_REPORT["report.png"][1])  # the view fits the window in which it begins
        browser.get(write_report(folder).resolve().as_uri())
        wait_for_view(browser)
        for name, (selector, height) in OF_REPORT.items():
            shoot(browser, browser.find_element("css selector", selector), height, IMAGES / name)


def shoot_notebook(page: Path) -> None:
    """Write the pictures of a notebook that was executed and converted to HTML."""
    with chromium() as browser:
        resize(browser, OF_NOTEBOOK["notebook-view.png"][1])
        browser.get(page.resolve().as_uri())
        frame = browser.find_element("css selector", "iframe")
        browser.execute_script("arguments[0].scrollIntoView()", frame)  # out of sight it waits
        browser.switch_to.frame(frame)
        wait_for_view(browser)
        browser.switch_to.default_content()
        cells = browser.find_elements("css selector", ".jp-CodeCell")
        for name, (words, height) in OF_NOTEBOOK.items():
            cell = next(cell for cell in cells if words in cell.text)
            shoot(browser, cell, height, IMAGES / name)


if __name__ == "__main__":
    kinds = {"report": shoot_report, "notebook": shoot_notebook}
    if len(sys.argv) != 3 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    kinds[sys.argv[1]](Path(sys.argv[2]))
