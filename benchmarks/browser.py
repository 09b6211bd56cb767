"""The same rows in Python, a browser and C; and how fast the browser is.

    python benchmarks/browser.py --data-dir DIR [--rows 10000]

Exports D = 784, hidden 500-500 (trained for a few epochs on binarized_mnist, or
without data on random fields), serves the page for it, and opens it in headless
Chromium: the time from the start of the page's load to its first sample, the
median time of a sample of one row, and as many rows as are asked for, compared
with those of `LiteSampler` and of the C program. Needs `chromium`,
`chromedriver`, `selenium` and for the C program a compiler; without a browser it
ends early.
"""

import argparse
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

import numpy as np
from networks import binary_rows, trained

from made_tf import export
from made_tf.export import vectors
from made_tf.export.web import litert_js, serve

SEED = 7
LOADS = 5
SETTLING = 4  # seconds
ROWS_AT_ONCE = 2000


def open_browser():
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    return webdriver.Chrome(options=options, service=service)


def wait(browser):
    script = "return document.getElementById('status').textContent"
    while browser.execute_script(script).endswith("…"):
        time.sleep(0.01)
    return browser.execute_script(script)


def draw(browser, count):
    element = browser.find_element("id", "count")
    element.clear()
    element.send_keys(str(count))
    browser.find_element("id", "seed").clear()
    browser.find_element("id", "seed").send_keys(str(SEED))
    browser.find_element("id", "draw").click()
    wait(browser)
    script = "return window.madeSamples.slice({}, {}).map((row) => row.map(Math.round).join(''))"
    rows = []
    for start in range(0, count, ROWS_AT_ONCE):
        rows += browser.execute_script(script.format(start, start + ROWS_AT_ONCE))
    return np.array([[int(bit) for bit in row] for row in rows], np.float32)


def measured(browser, name):
    return float(browser.execute_script(f"return document.body.dataset.{name}"))


def in_page(path, rows, litert):
    """Returns milliseconds to the first sample of each load, of a sample, and the rows."""
    server = serve.make_server(path, litert)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = open_browser()
    try:
        first = []
        browser.get("about:blank")
        time.sleep(SETTLING)  # its own start is no part of the page's load
        for _ in range(LOADS):
            browser.get(f"http://127.0.0.1:{server.server_address[1]}/")
            wait(browser)
            first.append(
                float(browser.execute_script("return document.body.dataset.firstSampleMs"))
            )
        drawn = draw(browser, rows)
        each = measured(browser, "msPerSample")
        return first, each, drawn
    finally:
        browser.quit()
        server.shutdown()


def in_c(path, rows, folder):
    script = pathlib.Path(vectors.__file__).parent / "c" / "build.sh"
    if shutil.which("cc") is None or not script.exists():
        return None
    subprocess.run(["bash", str(script), str(folder)], check=True, capture_output=True)
    raw = folder / "rows.f32"
    command = [folder / "made_sample", path, "--seed", SEED, "--count", rows, "--raw", raw]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return np.fromfile(raw, np.float32).reshape(rows, -1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=pathlib.Path, help="folder with binary/*.npz")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes")
    arguments = parser.parse_args()
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        print("no chromium with its driver: nothing to measure")
        return
    try:
        litert = litert_js.litert_files()
    except OSError as error:
        print(error)
        return
    size, hidden = (64, (40,)) if arguments.smoke else (784, (500, 500))
    count = 50 if arguments.smoke else arguments.rows
    train = binary_rows(size, arguments.data_dir, 2000 if arguments.smoke else 20_000)
    model = trained(size, hidden, train, epochs=1 if arguments.smoke else 5)
    side = int(size**0.5)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for weights in ("float32", "int8"):
            path = folder / f"{weights}.tflite"
            export.to_tflite(
                model,
                path,
                weights=weights,
                signatures=["sample"],
                batch_sizes=(1,),
                image_shape=(side, side),
            )
            device = export.LiteSampler(path)
            expected = device.sample(count, seed=SEED)
            first, each, drawn = in_page(path, count, litert)
            print(
                f"{weights}: first sample {first[0]:.0f} ms after the load began with nothing "
                f"cached, {np.median(first[1:]):.0f} ms later on; {each:.2f} ms a sample "
                "(median, n = 1)"
            )
            print(f"  browser against Python: {different(drawn, expected)}")
            rows = in_c(path, count, folder)
            if rows is not None:
                print(f"  C against Python: {different(rows, expected)}")


def different(rows, expected):
    return f"{int((rows != expected).any(axis=1).sum())} of {len(expected)} rows differ"


if __name__ == "__main__":
    main()
