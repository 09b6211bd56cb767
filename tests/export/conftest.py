import contextlib
import functools
import os
import threading
import urllib.error

import numpy as np
import pytest
import reference
from pages import CHROMIUM, DRIVER, wait

from made_tf.export.web import serve


@pytest.fixture(scope="session")
def small_file(tmp_path_factory):
    """Exports each small model once, for all tests that only read: (model, report).

    Exporting must leave the model as it was, and nothing but the file.
    """
    from made_tf import export

    @functools.cache
    def made(family, kwargs):
        options = dict(kwargs)
        given = {name: options.pop(name) for name in ("block_length",) if name in options}
        model = reference.small_model(family, **options)
        before, policy = [np.array(w) for w in model.weights], model.dtype_policy.name
        folder = tmp_path_factory.mktemp("small")
        report = export.to_tflite(model, folder / "made.tflite", **given)
        assert model.dtype_policy.name == policy
        for weight, value in zip(model.weights, before, strict=True):
            np.testing.assert_array_equal(weight, value)
        assert os.listdir(folder) == ["made.tflite"]
        return model, report

    return lambda family="bernoulli", **kwargs: made(family, tuple(sorted(kwargs.items())))


@pytest.fixture(scope="session")
def unverified():
    """A block in which files are written and not verified, and nothing is reported of them."""
    from made_tf.export import ExportReport, convert

    @contextlib.contextmanager
    def block():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(convert, "verify_tflite", lambda *args: ExportReport("", 0, {}, {}))
            yield

    return block


@pytest.fixture
def unchecked(unverified):
    """The whole test is such a block."""
    with unverified():
        yield


@pytest.fixture(scope="session")
def litert():
    """The files of LiteRT.js, where they can be had."""
    from made_tf.export.web import litert_js

    try:
        return litert_js.litert_files()
    except (OSError, urllib.error.URLError) as error:
        pytest.skip(f"needs LiteRT.js: {error}")


@pytest.fixture(scope="session")
def browser():
    """A browser without a window."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs chromium and chromedriver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, litert):
    """Opens the page for a file: page(path) -> its address."""
    servers = []

    def get(path):
        server = serve.make_server(path, litert)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        browser.get(f"http://127.0.0.1:{server.server_address[1]}/")
        wait(browser)
        return server.server_address

    yield get
    for server in servers:
        server.shutdown()
        server.server_close()
