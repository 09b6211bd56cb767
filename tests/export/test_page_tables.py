"""The page of a table's file: its cells as Python has them, and a row as a form."""

import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest
from example_tables import grades, rides, schema_of, untrained
from pages import NODE, WEB, screenshot, status, wait

from made_tf.export import LiteSampler, LiteTable
from made_tf.plotting import style

SCRIPT = """
import { readFileSync } from 'node:fs';
import { read, Schema, shown } from './schema.js';
const { schema: content, rows } = JSON.parse(readFileSync(0, 'utf8'));
const schema = new Schema(content);
const { columns } = schema;
const texts = [];
const again = [];
for (const [number, row] of rows.entries()) {
  const cells = schema.decode(Float32Array.from(row), number);
  texts.push(cells.map((cell, k) => (cell === null ? null : shown(columns[k], cell))));
  const given = new Map();
  texts[number].forEach((text, k) => {
    if (!schema.canBeGiven(k)) return;
    given.set(k, text === null ? null : read(columns[k], text));
  });
  again.push(Array.from(schema.encode(given).x));
}
console.log(JSON.stringify({ texts, again }));
"""


def as_text(cell):
    """A cell as the page shows it."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, int | float):
        return f"{cell:.12g}"
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ").removesuffix(".000000")
    return str(cell)


@pytest.mark.skipif(NODE is None, reason="needs node")
@pytest.mark.parametrize("table", [rides, grades])
def test_cells_are_those_of_python_and_back(table, tmp_path):
    schema = schema_of(table())
    encoded = schema.encode_frame(table(60, seed=8))
    x = encoded.x[~(encoded.new | encoded.broken).any(axis=1)]
    assert len(x) > 30
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(os.path.join(WEB, "schema.js"), tmp_path)
    (tmp_path / "run.js").write_text(SCRIPT)
    asked = json.dumps({"schema": schema.to_dict(), "rows": x.tolist()})
    command = [NODE, str(tmp_path / "run.js")]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    from made_tf.portable.schema.plain import list_of_cells

    expected = [
        [as_text(cell) for cell in list_of_cells(cells, schema.column(name).source)]
        for name, cells in schema.decode(x).items()
    ]
    assert found["texts"] == [list(row) for row in zip(*expected, strict=True)]
    np.testing.assert_allclose(found["again"], x, atol=1e-4)


@pytest.fixture(scope="module")
def file(tmp_path_factory, unverified):
    path = tmp_path_factory.mktemp("form") / "my grades.tflite"
    with unverified():
        untrained(grades(), path, num_masks=None, signatures="impute", batch_sizes=(16,))
    return path


def asked(browser, action):
    """Does something to the form and returns the rows that were drawn then, `[64, D]`."""
    from selenium.webdriver.support.ui import WebDriverWait

    browser.execute_script("window.madeForm = null")
    action()
    WebDriverWait(browser, 60, 0.02).until(
        lambda driver: driver.execute_script("return Boolean(window.madeForm)")
    )
    return np.array(browser.execute_script("return window.madeForm.rows.map((r) => Array.from(r))"))


def shares(browser, column):
    """What the form shows of a column: its names and percentages."""
    script = (
        "return Array.from(document.querySelectorAll(`#cell-${arguments[0]}-expected li`))"
        ".map((line) => line.textContent)"
    )
    lines = browser.execute_script(script, column)
    found = [re.fullmatch(r"(.*?)(\d+) %", line) for line in lines]
    return {each[1]: int(each[2]) for each in found}


def test_a_row_is_a_form(browser, page, file):
    from selenium.webdriver.common.keys import Keys

    rows = asked(browser, lambda: page(file))
    table = LiteTable(file)
    nothing = np.full((64, 3), np.nan)  # one of the columns follows from another
    device = LiteSampler(file)
    # WebAssembly may round a sum elsewhere.
    assert (rows != device.impute(nothing, seed=0)).any(axis=1).sum() <= 1
    assert browser.find_element("tag name", "h1").text == browser.title == "my grades"
    assert (
        "a table with 4 columns (colour, level, big, side)"
        in browser.find_element("id", "about").text
    )
    assert "16 drawn" in status(browser)
    names = [column.name for column in table.schema.columns]
    level, big = names.index("level"), names.index("big")
    labels = browser.execute_script(
        "return Array.from(document.querySelectorAll('#row label')).map((l) => l.textContent)"
    )
    assert labels == names
    # With the keyboard alone: "high" is the third class, after "not known".
    field = browser.find_element("id", f"cell-{level}")
    rows = asked(browser, lambda: field.send_keys("high"))
    given = nothing.copy()
    given[:, table.schema.place("level")] = 2
    assert (rows != device.impute(given, seed=0)).any(axis=1).sum() <= 1
    assert shares(browser, level) == {}  # it is known
    assert shares(browser, big) == {"true": 100}  # which follows from it
    colours = table.schema.decode(rows)["colour"].objects().tolist()
    counts = {name or "missing": colours.count(name) for name in set(colours)}
    expected = {name: int(100 * count / 64 + 0.5) for name, count in counts.items()}
    assert shares(browser, names.index("colour")) == expected
    screenshot(browser, "form", 1100)
    screenshot(browser, "form_phone", 390, 844)
    width = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert width <= 0
    described = field.get_attribute("aria-describedby").split()
    assert all(browser.find_elements("id", name) for name in described)
    rows = asked(browser, browser.find_element("id", "empty").click)
    assert len(set(map(tuple, rows))) > 3
    asked(browser, browser.find_element("id", "example").click)
    first = browser.execute_script("return Array.from(window.madeSamples[0])")
    cells = table.schema.decode(np.array([first]))
    shown = browser.find_element("id", f"cell-{level}").get_attribute("value")
    assert shown == f"={cells['level'].objects()[0]}"
    field.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.tag_name in ("select", "input", "button")
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []  # no red lines


def test_tables_are_shown_in_their_own_words(browser, page, tmp_path_factory, unverified):
    path = tmp_path_factory.mktemp("rides") / "rides.tflite"
    with unverified():
        untrained(rides(), path, signatures="sample", batch_sizes=(16,))
    page(path)
    wait(browser)
    expected = LiteTable(path).sample(16)
    script = (
        "return Array.from(document.querySelectorAll('#samples tr'))"
        ".map((row) => Array.from(row.cells).map((cell) => cell.textContent))"
    )
    names, *rows = browser.execute_script(script)
    assert names == list(expected)
    for name, *cells in zip(names, *rows, strict=True):
        assert cells == [as_text(cell) or "missing" for cell in expected[name]]
    assert not browser.find_element("id", "asking").is_displayed()
    browser.set_window_size(390, 844)
    scroll = browser.find_element("css selector", "#samples .scroll")
    assert scroll.get_attribute("tabindex") == "0"
    wide = browser.execute_script(
        "return arguments[0].scrollWidth - arguments[0].clientWidth", scroll
    )
    assert wide > 100
    screenshot(browser, "wide_phone", 390, 844)
    browser.find_element("id", "draw").click()
    wait(browser)
    hint = browser.find_element("css selector", "#samples .hint").text
    assert hint == f"{len(names)} columns: scroll the table sideways."
    browser.set_window_size(1100, 1200)


def test_the_page_has_the_colours_of_the_plots():
    css = (pathlib.Path(WEB) / "style.css").read_text().split("@media")[0]
    told = dict(re.findall(r"--(\w+): (#\w+);", css))
    assert told["ink"] == style.INK
    assert told["accent"] == style.ACCENT
    assert told["grey"] == style.GREY
    assert told["soft"] == style.PAPER
    assert told["blush"] == style.BLUSH
    assert told["line"] == style.UNKNOWN
    drawn = (pathlib.Path(WEB) / "pictures.js").read_text()
    for name in ("INK", "PAPER", "UNKNOWN", "ACCENT"):
        numbers = re.search(rf"const {name} = \[(.*?)\]", drawn)[1].split(", ")
        assert "#" + "".join(number.removeprefix("0x") for number in numbers) == getattr(
            style, name
        )
