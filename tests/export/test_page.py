"""The page: how it reads files, and a browser that draws from it."""

import hashlib
import json
import os
import shutil
import subprocess

import keras
import numpy as np
import pytest
import reference
from pages import NODE, WEB, screenshot, status, wait

import made_tf
from made_tf import export


@pytest.fixture(scope="module")
def files(tmp_path_factory, unverified):
    """Exported models: of pictures and one order, of all orders, two of these, of classes."""
    folder = tmp_path_factory.mktemp("web")
    keras.utils.set_random_seed(0)
    pictures = reference.small_model("bernoulli", 64, hidden_units=(40,))
    any_order = reference.small_model("bernoulli", 64, hidden_units=(40,), num_masks=None)
    members = [
        reference.loud("bernoulli", 64, 2.0, hidden_units=(9,), num_masks=None, seed=seed)
        for seed in range(2)
    ]
    classes = reference.small_model("ragged", 4)
    names = [
        {"name": f"column {k}", "categories": [f"{k}-{c}" for c in range(len(states))]}
        for k, states in enumerate(classes.conditionals.finite_states())
    ]
    options = {"batch_sizes": (1, 16), "signatures": "sample"}
    of_any_order = {"batch_sizes": (1,), "signatures": ["sample", "impute"]}
    with unverified():
        export.to_tflite(pictures, folder / "pictures.tflite", image_shape=(8, 8), **options)
        card = {"data": "made-up classes", "metrics": {"nll": 1.5}}
        export.to_tflite(classes, folder / "classes.tflite", variables=names, card=card, **options)
        export.to_tflite(any_order, folder / "any.tflite", image_shape=(8, 8), **of_any_order)
        ensemble, path = made_tf.Ensemble(members), folder / "members.tflite"
        of_ensemble = {"batch_sizes": (1,), "signatures": "impute"}
        export.to_tflite(ensemble, path, image_shape=(8, 8), **of_ensemble)
    return folder


@pytest.fixture(scope="module")
def conditioned(tmp_path_factory, unverified):
    """Models with a context: of all orders and three named numbers, of forty, of 2 x 2."""
    folder = tmp_path_factory.mktemp("conditioned")
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input((2, 2)), keras.layers.Flatten()])
    named = {
        "context_names": ["size", "a rather long name of a number", "shade"],
        "signatures": ["sample", "impute"],
    }
    for name, context, options in (
        ("named", 3, {**named, "image_shape": (4, 4), "batch_sizes": (4,)}),
        ("many", 40, {"signatures": "sample", "batch_sizes": (1,)}),
        ("square", encoder, {"signatures": "sample"}),
    ):
        size = {"event_size": 16, "num_masks": None} if name == "named" else {}
        made = reference.small_model(hidden_units=(40,), context=context, **size)
        with unverified():
            export.to_tflite(made, folder / f"{name}.tflite", **options)
    return folder


# How the page reads a file, in Node.

SCRIPT = """
import { readFileSync } from 'node:fs';
import { readMetadata } from '%s/metadata.js';
const results = [];
for (const path of process.argv.slice(2)) {
  try {
    results.push(await readMetadata(new Uint8Array(readFileSync(path))));
  } catch (error) {
    results.push(error.message);
  }
}
console.log(JSON.stringify(results));
"""


def in_node(tmp_path, paths):
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for name in ("metadata.js",):
        shutil.copy(os.path.join(WEB, name), tmp_path)
    (tmp_path / "read.js").write_text(SCRIPT % tmp_path)
    command = [NODE, str(tmp_path / "read.js"), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_the_page_reads_what_python_reads(files, tmp_path):
    paths = sorted(files.glob("*.tflite"))
    for path, found in zip(paths, in_node(tmp_path, paths), strict=True):
        assert found == export.LiteSampler(path).metadata


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_the_page_refuses_damaged_and_foreign_files(files, tmp_path):
    content = (files / "pictures.tflite").read_bytes()
    rng = np.random.default_rng(0)
    bad = [b"", b"text", b"PK\3\4" + content[4:], content[:8], content[: len(content) // 2]]
    bad += [content[:-1], content[:8] + b"\xff" * 100, b"\0\0\0\x7fTFL3" + content[8:]]
    for place in rng.integers(0, len(content), 60):
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        bad.append(bytes(flipped))
    later = content.replace(b'"format":1', b'"format":2')
    start = later.find(b'"sha256":"') + 10
    cleared = later[:start] + b"0" * 64 + later[start + 64 :]
    digest = hashlib.sha256(cleared).hexdigest().encode()
    bad.append(later[:start] + digest + later[start + 64 :])
    paths = []
    for index, part in enumerate(bad):
        paths.append(tmp_path / f"{index}.tflite")
        paths[-1].write_bytes(part)
    found = in_node(tmp_path, paths)
    assert all(isinstance(message, str) for message in found)
    words = ("no LiteRT model", "truncated or damaged", "not exported by made_tf", "later version")
    assert all(any(word in message for word in words) for message in found)
    assert "later version (format 2)" in found[-1]


# In a browser.


def draw(browser, seed, count):
    for name, value in (("seed", seed), ("count", count)):
        element = browser.find_element("id", name)
        element.clear()
        element.send_keys(str(value))
    browser.find_element("id", "draw").click()
    told = wait(browser)
    return told, browser.execute_script("return window.madeSamples?.map((row) => Array.from(row))")


def test_a_click_draws_what_python_draws(browser, page, files):
    host, _ = page(files / "pictures.tflite")
    assert "16 drawn" in status(browser) and "ms a sample" in status(browser)
    told, rows = draw(browser, seed=-5, count=2000)
    assert told.startswith("2000 drawn")
    device = export.LiteSampler(files / "pictures.tflite")
    expected = device.sample(2000, seed=-5)
    # Bits are compared with uniforms, and WebAssembly may round a sum elsewhere: at most 1 in 1000.
    assert (np.array(rows) != expected).any(axis=1).sum() <= 2
    assert (
        browser.execute_script("return document.querySelectorAll('#samples canvas').length") == 2000
    )
    screenshot(browser, "desktop", 1100)
    screenshot(browser, "phone", 390, 844)
    width = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert width <= 0  # nothing sticks out on a small screen
    entries = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [e["params"] for e in entries if e["method"] == "Network.requestWillBeSent"]
    addresses = {item["request"]["url"] for item in sent}
    local = (f"http://{host}:", "data:")
    assert addresses and all(address.startswith(local) for address in addresses)


def test_classes_are_shown_by_their_names(browser, page, files):
    page(files / "classes.tflite")
    _, rows = draw(browser, seed=3, count=20)
    expected = export.LiteSampler(files / "classes.tflite").sample(20, seed=3)
    np.testing.assert_array_equal(rows, expected)
    script = (
        "return Array.from(document.querySelectorAll('#samples tr'))"
        ".map((row) => Array.from(row.cells).map((cell) => cell.textContent))"
    )
    shown = browser.execute_script(script)
    assert shown[0] == [f"column {k}" for k in range(4)]
    assert shown[1] == [f"{k}-{int(value)}" for k, value in enumerate(expected[0])]
    assert not browser.find_element("id", "completing").is_displayed()
    facts = browser.execute_script("return document.getElementById('facts').innerText")
    for words in ("made-up classes", "nll 1.5", "intended use\nnot said", "licence\nnot said"):
        assert words in facts


@pytest.mark.parametrize("name", ["any", "members"])
def test_a_drawing_is_completed_as_python_completes_it(browser, page, files, name):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page(files / f"{name}.tflite")
    pad = browser.find_element("id", "pad")
    side = pad.size["width"]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", pad)
    actions = ActionChains(browser).move_to_element_with_offset(pad, -side * 0.3, -side * 0.3)
    actions.click_and_hold().move_by_offset(int(side * 0.4), 0).release().perform()
    pad.send_keys(Keys.ARROW_RIGHT, " ", Keys.ARROW_DOWN)
    browser.find_element("id", "complete").click()
    assert wait(browser).startswith("8 drawn")
    found = np.array(
        browser.execute_script("return window.madeCompletions.map((row) => Array.from(row))")
    )
    top = found[0, :32]
    assert top.sum() >= 3 and (found[:, :32] == top).all()
    given = np.concatenate([top, np.full(32, np.nan)])
    expected = export.LiteSampler(files / f"{name}.tflite").impute(np.tile(given, (8, 1)), seed=0)
    np.testing.assert_array_equal(found, expected)
    screenshot(browser, "completed", 1100)


def test_bad_files_and_bad_numbers_are_told(browser, page, files, small_file, tmp_path):
    page(files / "pictures.tflite")
    content = (files / "pictures.tflite").read_bytes()
    (tmp_path / "half.tflite").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.tflite").write_text("no model at all")
    shutil.copy(small_file()[1].path, tmp_path / "free.tflite")  # for any number of rows alone
    for name, words in (
        ("half.tflite", "truncated or damaged"),
        ("text.tflite", "no LiteRT model"),
        ("free.tflite", "--batch-sizes 1,16"),
    ):
        browser.find_element("id", "file").send_keys(str(tmp_path / name))
        assert words in wait(browser)
        assert browser.find_element("id", "status").get_attribute("class") == "error"
    browser.find_element("id", "file").send_keys(str(files / "pictures.tflite"))
    assert "16 drawn" in wait(browser)
    told, _ = draw(browser, seed="1.5", count=1)
    assert "an integer of 32 bits" in told


def fill(browser, *values):
    """Types the context, one text for each field, and returns what the page says of the rows."""
    for number, value in enumerate(values, start=1):
        element = browser.find_element("id", f"context-{number}")
        element.clear()
        element.send_keys(str(value))
    # A field that has changed draws anew, when it is left.
    browser.find_element("id", "seed").click()
    told = wait(browser)
    return told, browser.execute_script("return window.madeSamples.map((row) => Array.from(row))")


def labels(browser):
    script = (
        "return Array.from(document.querySelectorAll('#context label'))"
        ".map((label) => label.textContent)"
    )
    return browser.execute_script(script)


def test_a_context_has_fields_and_rows_are_drawn_given_it(browser, page, conditioned):
    page(conditioned / "named.tflite")
    assert labels(browser) == ["size", "a rather long name of a number", "shade"]
    device = export.LiteSampler(conditioned / "named.tflite")
    script = "return window.madeSamples.map((row) => Array.from(row))"
    first = np.array(browser.execute_script(script))
    unequal = (first != device.sample(16, context=[0.0] * 3)).any(axis=1).sum()
    assert unequal <= 1  # WebAssembly may round a sum elsewhere
    told, rows = fill(browser, -3.5, 2, 0.1)
    assert told.startswith("16 drawn")
    expected = device.sample(16, context=[-3.5, 2.0, 0.1])
    assert (np.array(rows) != expected).any(axis=1).sum() <= 1 and (first != rows).any()

    browser.find_element("id", "complete").click()
    assert wait(browser).startswith("8 drawn")
    found = np.array(
        browser.execute_script("return window.madeCompletions.map((row) => Array.from(row))")
    )
    given = np.tile(np.concatenate([np.zeros(8), np.full(8, np.nan)]), (8, 1))
    expected = device.impute(given, context=[-3.5, 2.0, 0.1])
    assert (found != expected).any(axis=1).sum() <= 1
    screenshot(browser, "context", 1100)
    screenshot(browser, "context_phone", 390, 844)
    width = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert width <= 0

    fill(browser, "")
    assert status(browser) == "size: a finite number"
    assert fill(browser, 1)[0].startswith("16 drawn")


def test_a_long_context_is_one_field_of_text(browser, page, conditioned):
    page(conditioned / "many.tflite")
    assert labels(browser) == ["40 numbers with commas between them"]
    context = np.random.default_rng(0).normal(size=40).round(2)
    _, rows = fill(browser, ", ".join(map(str, context)))
    expected = export.LiteSampler(conditioned / "many.tflite").sample(16, context=context)
    assert (np.array(rows) != expected).any(axis=1).sum() <= 1
    screenshot(browser, "context_of_many", 1100)
    assert fill(browser, "1, 2")[0] == "The context must be 40 numbers. There are 2."
    assert fill(browser, "1, x" + ", 0" * 38)[0] == "context, number 2: a finite number"


def test_fields_follow_the_file(browser, page, files, conditioned):
    page(files / "classes.tflite")
    context = browser.find_element("id", "context")
    assert not context.is_displayed()
    chooser = browser.find_element("id", "file")
    chooser.send_keys(str(conditioned / "named.tflite"))
    assert "16 drawn" in wait(browser) and context.is_displayed()
    chooser.send_keys(str(conditioned / "square.tflite"))
    assert "a context of shape 2 x 2" in wait(browser)
    assert len(labels(browser)) == 3  # the model before is still there
    chooser.send_keys(str(files / "classes.tflite"))
    assert "16 drawn" in wait(browser) and not context.is_displayed()
