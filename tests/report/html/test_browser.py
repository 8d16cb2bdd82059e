"""The report in headless Chromium: it draws, its buttons work, and nothing is complained of."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crysformer.report.html.result_folder import read_result_folder
from crysformer.report.html.viewer_page import InlineView, viewer_page

pytestmark = pytest.mark.browser

_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=1200,1000",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = shutil.which("chromium") or shutil.which("chromium-browser") or ""
    for option in (*_OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield started
    started.quit()


@pytest.fixture
def page(browser: Any, solved: Path) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get((solved / "report.html").as_uri())
    hud = "return document.getElementById('hud').textContent"
    WebDriverWait(browser, 30).until(lambda b: "rms" in b.execute_script(hud))
    return browser


def picture(browser: Any) -> Any:
    """Pixels of the view, shape (height, width, 3)."""
    import matplotlib.image

    url = browser.execute_script(
        "const v = window.reportViewer; v.render(); return v.renderer.domElement.toDataURL()"
    )
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(url.split(",")[1])))[..., :3]


def press(browser: Any, selector: str) -> None:
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def drawn(pixels: Any) -> float:
    """Fraction of the pixels that are not background."""
    return float((np.abs(pixels - 1).max(axis=2) > 0.1).mean())


def test_the_density_is_drawn_and_the_console_is_silent(page: Any) -> None:
    assert drawn(picture(page)) > 0.02
    assert page.get_log("browser") == []


def test_buttons_change_the_view(page: Any) -> None:
    before = picture(page)
    press(page, "#more")
    assert "1.7 rms" in page.execute_script("return document.getElementById('hud').textContent")
    assert drawn(picture(page)) < drawn(before)
    press(page, "#less")
    assert drawn(picture(page)) == pytest.approx(drawn(before), rel=0.02)
    press(page, "#closer")
    assert np.abs(picture(page) - before).max() > 0.1
    press(page, "#toggles button")
    assert drawn(picture(page)) < 0.7 * drawn(before)  # model and difference map are left
    press(page, "#toggles button")
    press(page, "#whole")
    assert drawn(picture(page)) == pytest.approx(drawn(before), rel=0.02)
    assert page.get_log("browser") == []


def test_a_frame_that_begins_hidden_draws_when_it_is_shown(
    browser: Any, solved: Path, tmp_path: Path
) -> None:
    """Notebooks may make room for an output only after it has been loaded."""
    from selenium.webdriver.support.ui import WebDriverWait

    view = InlineView(viewer_page(read_result_folder(solved)))._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(f'<div id="cell" style="display:none">{view}</div>', encoding="utf-8")
    browser.get(path.as_uri())
    browser.execute_script("document.getElementById('cell').style.display = 'block'")
    browser.switch_to.frame(browser.find_element("css selector", "iframe"))
    zoom = "return window.reportViewer ? window.reportViewer.camera.zoom : 0"
    WebDriverWait(browser, 30).until(lambda b: b.execute_script(zoom) > 0)
    assert drawn(picture(browser)) > 0.02
    browser.switch_to.default_content()


def test_a_phone_shows_everything(page: Any) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 380, "height": 800, "deviceScaleFactor": 2, "mobile": True},
    )
    wide = "return document.documentElement.scrollWidth - window.innerWidth"
    assert page.execute_script(wide) <= 0
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_list_sorts(browser: Any, tmp_path: Path) -> None:
    from crysformer.report.html import batch_report

    crystals = [
        {"name": name, "status": "solved", "confidence": x}
        for name, x in (("b", 0.91), ("a", 0.99), ("c", 1.0))
    ]
    (tmp_path / "report.html").write_text(batch_report(tmp_path, crystals), encoding="utf-8")
    browser.get((tmp_path / "report.html").as_uri())

    def names() -> list[str]:
        cells = "return [...document.querySelectorAll('tbody tr td:first-child')]"
        return list(browser.execute_script(f"{cells}.map(cell => cell.textContent)"))

    press(browser, "th:nth-child(1) button")
    assert names() == ["a", "b", "c"]
    press(browser, "th:nth-child(4) button")
    press(browser, "th:nth-child(4) button")
    assert names() == ["c", "a", "b"]
    assert browser.get_log("browser") == []
