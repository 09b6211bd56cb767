"""What tests of the page share: where it is, a wait for its answer, pictures of it."""

import os
import shutil

from made_tf.export.web import serve

WEB = os.path.dirname(serve.__file__)
NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SCREENSHOTS = os.environ.get("MADE_TF_SCREENSHOTS")  # a folder to keep them in


def wait(browser):
    """Waits for the end of a task and returns what the page says."""
    from selenium.webdriver.support.ui import WebDriverWait

    done = "return document.getElementById('status').textContent.endsWith('…') ? null : true"
    WebDriverWait(browser, 60, 0.02).until(lambda driver: driver.execute_script(done))
    return status(browser)


def status(browser):
    return browser.execute_script("return document.getElementById('status').textContent")


def screenshot(browser, name, width, height=1200):
    browser.set_window_size(width, height)
    picture = browser.get_screenshot_as_png()
    assert len(picture) > 10_000
    if SCREENSHOTS:
        with open(os.path.join(SCREENSHOTS, f"{name}.png"), "wb") as file:
            file.write(picture)
