import datetime
import html.parser
import json
import re
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.metrics import roc_auc_score

from made_tf.data.table_schema import TableSchema
from made_tf.quality import assess
from made_tf.quality.columns import compared_columns
from made_tf.quality.memorisation import memorisation
from made_tf.quality.utility import area, choose_target

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


def people(count, seed):
    """A table of every sort, in which columns depend on each other."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, count)
    town = rng.choice(["Aix", "Bonn", "Cork", None], count, p=[0.5, 0.3, 0.1, 0.1])
    income = np.round(np.exp(rng.normal(7 + age / 60, 0.5)), 2)
    return pd.DataFrame(
        {
            "name": [f"p{number}" for number in range(count)],
            "age": age,
            "born": [datetime.date(2020 - own, 1 + own % 12, 1) for own in age.tolist()],
            "town": town,
            "income": np.where(rng.random(count) < 0.2, np.nan, income),
            "owner": rng.random(count) < age / 100,
            "planet": "Earth",
        }
    )


@pytest.fixture(scope="module")
def tables():
    return {part: people(300, seed) for seed, part in enumerate(("real", "synthetic", "train"))}


@pytest.fixture(scope="module")
def schema(tables):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the identifier
        return TableSchema.infer(tables["train"], find_facts=False)


@pytest.fixture(scope="module")
def report(tables, schema):
    return assess(*tables.values(), schema=schema, target="owner", seed=3)


def compared(schema, tables):
    return compared_columns(schema, {k: schema.cells_of(v) for k, v in tables.items()})[0]


def test_columns_are_compared_as_the_definitions_say(tables, report):
    real, other = tables["real"], tables["synthetic"]
    found = {shape.name: shape for shape in report.columns}
    assert list(found) == ["age", "born", "town", "income", "owner"]
    assert report.left_out == {"name": "identifier", "planet": "the same in all rows"}
    for name in ("age", "income"):
        own, drawn = (frame[name].dropna().to_numpy() for frame in (real, other))
        each = np.concatenate([own, drawn])
        distances = [abs(np.mean(own <= at) - np.mean(drawn <= at)) for at in each]
        assert found[name].score == pytest.approx(1 - max(distances))
    shares = [frame["town"].fillna("?").value_counts(normalize=True) for frame in (real, other)]
    assert found["town"].score == pytest.approx(1 - (shares[0] - shares[1]).abs().sum() / 2)
    assert found["income"].real_missing == pytest.approx(real["income"].isna().mean())
    assert report.shapes == pytest.approx(np.mean([each.score for each in report.columns]))


def test_pairs_are_compared_as_the_definitions_say(tables, report):
    real, other = tables["real"], tables["synthetic"]
    found = {(pair.first, pair.second): pair for pair in report.pairs}
    assert len(found) == 10
    own, drawn = (frame["age"].corr(frame["income"]) for frame in (real, other))
    pair = found["age", "income"]
    assert (pair.real, pair.synthetic) == pytest.approx((own, drawn))
    assert pair.score == pytest.approx(1 - abs(own - drawn) / 2)
    counts = [
        pd.crosstab(frame["town"].fillna("?"), frame["owner"], normalize=True)
        for frame in (real, other)
    ]
    pair = found["town", "owner"]
    assert pair.score == pytest.approx(1 - (counts[0] - counts[1]).abs().to_numpy().sum() / 2)
    table = pd.crosstab(real["town"].fillna("?"), real["owner"]).to_numpy()
    assert pair.real == pytest.approx(scipy.stats.contingency.association(table, "cramer"))
    edges = [-np.inf, *real["age"].quantile(np.arange(1, 10) / 10), np.inf]
    counts = [
        pd.crosstab(pd.cut(frame["age"], edges), frame["owner"], normalize=True, dropna=False)
        for frame in (real, other)
    ]
    expected = 1 - (counts[0] - counts[1]).abs().to_numpy().sum() / 2
    assert found["age", "owner"].score == pytest.approx(expected)


def test_rows_of_the_same_law_cannot_be_told_and_others_can(tables, schema, report):
    assert 0.4 < report.two_sample.auc < 0.6
    assert 0.4 < report.two_sample.reference < 0.6
    rng = np.random.default_rng(0)
    alone = tables["synthetic"].apply(lambda column: rng.permutation(column.to_numpy()))
    found = assess(tables["real"], alone, schema=schema, target="age")
    assert found.two_sample.auc > 0.9
    assert found.shapes == pytest.approx(report.shapes)
    assert found.trends < report.trends - 0.05
    assert found.utility.synthetic["r2"] < 0.2 < 0.9
    assert found.two_sample.reference is found.utility.real is found.memorisation is None


def test_a_model_of_synthetic_rows_is_worth_what_these_are(tables, schema):
    wrong = tables["synthetic"].assign(owner=~tables["synthetic"]["owner"])
    found = assess(tables["real"], wrong, tables["train"], schema=schema, target="owner").utility
    assert found.synthetic["auc"] < 0.4 < 0.6 < found.real["auc"]
    assert found.rows == 300
    numbers = assess(*tables.values(), schema=schema, target="age").utility
    assert numbers.synthetic["r2"] > 0.9  # by the year of birth


def test_the_area_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, probs = rng.integers(0, 3, 200), rng.dirichlet([1, 1, 1], 200)
    expected = roc_auc_score(truth, probs, multi_class="ovr")
    assert area(truth, probs, np.arange(3)) == pytest.approx(expected)
    assert np.isnan(area(np.zeros(5), np.ones((5, 1)), np.zeros(1)))


def test_rows_learned_by_heart_are_told_of(tables, schema, report):
    assert 0.4 < report.memorisation.closer < 0.6
    given = tables["train"].drop(columns="name").drop_duplicates()
    for part in ("real", "synthetic"):
        found = tables[part].drop(columns="name").merge(given, how="left", indicator=True)
        share = getattr(report.memorisation, f"{part}_copies")
        assert share == pytest.approx((found["_merge"] == "both").mean())
    copies = tables["train"].sample(frac=1, random_state=0)
    parts = {"real": tables["real"], "synthetic": copies, "train": tables["train"]}
    found = memorisation(compared(schema, parts), 0)
    assert found.closer > 0.95
    assert found.synthetic_copies == 1 > 0.1 > found.real_copies
    assert found.synthetic_median == 0 < found.real_low
    twice = memorisation(compared(schema, {**parts, "synthetic": tables["real"]}), 0)
    assert twice.closer == pytest.approx(0.5)


def test_distances_are_those_of_a_loop(tables, schema):
    parts = {name: frame[:25] for name, frame in tables.items()}
    columns = compared(schema, parts)

    def distance(one, two):
        total = 0.0
        for column in columns:
            a, b = column.parts["synthetic"][one], column.parts["train"][two]
            if np.isnan(a) or np.isnan(b):
                total += np.isnan(a) != np.isnan(b)
            elif column.classes is not None:
                total += a != b
            else:
                given = column.known("train")
                total += abs(np.mean(given < a) - np.mean(given < b))
        return total / len(columns)

    closest = [min(distance(one, two) for two in range(25)) for one in range(25)]
    found = memorisation(columns, 0)
    assert found.synthetic_median == pytest.approx(np.median(closest), rel=1e-5)
    assert found.synthetic_low == pytest.approx(np.quantile(closest, 0.05), rel=1e-5, abs=1e-7)


def test_frames_of_all_libraries_and_orders_of_columns_are_alike(tables, schema, report):
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    shuffled = tables["synthetic"][tables["synthetic"].columns[::-1]].assign(more=1)
    real = pyarrow.Table.from_pandas(tables["real"])
    found = assess(
        real, polars.from_pandas(shuffled), tables["train"], schema=schema, target="owner", seed=3
    )
    assert found.to_dict() == report.to_dict()


def test_a_seed_fixes_the_report(tables, schema):
    few = [frame[:60] for frame in tables.values()]
    first, again, other = (assess(*few, schema=schema, seed=seed) for seed in (1, 1, 2))
    assert first.to_dict() == again.to_dict() != other.to_dict()


def test_targets_are_the_last_column_of_few_classes(tables, schema):
    columns = compared(schema, tables)
    assert choose_target(columns) == "owner"
    assert choose_target(columns, ["owner"]) == "town"
    assert choose_target(columns[:2]) == "born"
    assert choose_target(columns[:1]) is None


def test_bad_arguments_are_told_of(tables, schema):
    real, drawn = tables["real"], tables["synthetic"]
    with pytest.raises(ValueError, match="`synthetic` must have 20 rows at least. Received: 19"):
        assess(real, drawn[:19], schema=schema)
    with pytest.raises(ValueError, match=r"`synthetic` must have the columns .* lacks \['town'\]"):
        assess(real, drawn.drop(columns="town"), schema=schema)
    with pytest.raises(ValueError, match="`target` must be one of .* Received: target='name'"):
        assess(real, drawn, schema=schema, target="name")
    with pytest.raises(ValueError, match="`seed` must be"):
        assess(real, drawn, schema=schema, seed=-1)
    with pytest.raises(ValueError, match="column 'age' must hold cells of the sort 'integer'"):
        assess(real, drawn.assign(age="old"), schema=schema)


def test_a_single_column_and_empty_ones_have_a_report(tmp_path):
    frame = pd.DataFrame({"x": np.arange(40.0), "gone": [1.0, 2.0] * 20})
    found = assess(frame[["x"]], frame[["x"]])
    assert found.utility is None
    assert found.pairs == []
    assert found.to_dict()["trends"] is None
    found.to_html(tmp_path / "one.html")
    found = assess(frame, frame.assign(gone=np.nan))
    assert found.left_out == {"gone": "nothing but missing cells in some of the frames"}


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_reports_are_text_json_and_a_page(report, tables, schema, tmp_path):
    text = str(report)
    assert "300 synthetic rows beside 300 real ones; 300 were learned from." in text
    assert f"{report.two_sample.auc:.3f}  {report.two_sample.reference:.3f}  0.5 is best" in text
    assert "trained to predict owner, AUC" in text
    assert "Left out: name (identifier), planet (the same in all rows)" in text
    report.to_json(tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert content == report.to_dict()
    assert content["two_sample"]["auc"] == report.two_sample.auc
    report.to_html(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    pictures = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(pictures) == 5 + 6 + 3
    assert all(each["src"].startswith("data:image/png;base64,") for each in pictures)
    assert all(len(each["alt"]) > 30 for each in pictures)
    assert "Aix 50" in pictures[2]["alt"] or "Aix 4" in pictures[2]["alt"]
    assert not re.findall(r"https?:|<script|<link", text)
    assert not {path.name for path in tmp_path.iterdir()} - {"report.json", "report.html"}


def test_names_are_no_html_and_no_formulas(tmp_path):
    rng = np.random.default_rng(0)
    names = ["<b>&", "$x_{1$", "a" * 60]
    frame = pd.DataFrame({name: rng.normal(size=40) for name in names})
    frame["kind $"] = rng.choice(["<i>", "$y$", "\n"], 40)
    assess(frame, frame).to_html(tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;" in text
    assert "<b>&" not in text
    assert "<i>" not in text


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")
def test_the_page_fits_a_phone(report, tmp_path):
    webdriver = pytest.importorskip("selenium.webdriver")
    report.to_html(tmp_path / "report.html")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_experimental_option(
        "mobileEmulation", {"deviceMetrics": {"width": 360, "height": 740, "pixelRatio": 2}}
    )
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        driver.get((tmp_path / "report.html").as_uri())
        driver.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
        width, sizes = driver.execute_script(
            "return [document.documentElement.scrollWidth,"
            " [...document.images].map(i => [i.clientWidth, i.getBoundingClientRect().right])]"
        )
    finally:
        driver.quit()
    assert width == 360
    assert all(own > 300 and right <= 360 for own, right in sizes)
