"""Files of models that are asked for many rows, none of which needs TensorFlow to be opened."""

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"


@pytest.fixture(scope="session")
def numbers():
    """A model of three real columns, of one order."""
    return GOLDEN / "tflite" / "0.1.0-numbers.tflite"


@pytest.fixture(scope="session")
def bits():
    """A model of five bits, of all orders."""
    return GOLDEN / "tflite" / "0.1.0-any-order.tflite"


@pytest.fixture(scope="session")
def rides():
    """A table's model: an identifier, moments, a sum, an order, cells that are missing."""
    return GOLDEN / "tables" / "rides.tflite"


@pytest.fixture(scope="session")
def grades():
    """A table's network of questions: categories, grades, a dependency, cells that are missing."""
    return GOLDEN / "tables" / "grades-questions.tflite"


@pytest.fixture
def write_rows():
    """Writes rows `[n, D]` to a Parquet file, in row groups of so many."""

    def write(path, x, group=100, names=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        names = names or [f"x{number}" for number in range(x.shape[1])]
        columns = [pa.array(column.astype(np.float32)) for column in x.T]
        pq.write_table(pa.table(columns, names), path, row_group_size=group)

    return write
