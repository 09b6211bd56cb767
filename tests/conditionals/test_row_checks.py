import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from made_tf import Bernoulli, Categorical, Normal
from made_tf.conditionals import row_checks as validation

ROWS = np.array([[0, 1, 1], [1, 0, 0]], np.float32)


def changed(row, column, value):
    x = ROWS.copy()
    x[row, column] = value
    return x


@pytest.mark.parametrize(
    "x",
    [
        ROWS,
        ROWS.astype(int),
        ROWS.astype(bool),
        ROWS.astype(np.float16),
        ROWS.tolist(),
        tf.constant(ROWS),
        tf.cast(ROWS, tf.bfloat16),
    ],
    ids=["float32", "int", "bool", "float16", "list", "tensor", "bfloat16"],
)
def test_rows_in_the_support_pass(x):
    validation.check_rows("x", x, Bernoulli().bind(3))


@pytest.mark.parametrize(
    ("x", "family", "message"),
    [
        (ROWS[0], Bernoulli(), r"`x` must have the shape \[rows, 3\]. Received: x.shape=\(3,\)"),
        (ROWS[:, :2], Bernoulli(), r"Received: x.shape=\(2, 2\)"),
        (ROWS[None], Bernoulli(), r"Received: x.shape=\(1, 2, 3\)"),
        (ROWS[:0], Bernoulli(), r"`x` must have at least one row"),
        (changed(1, 2, np.nan), Bernoulli(), r"0 or 1 only. Received: x\[1, 2\]=nan"),
        (changed(0, 1, 0.5), Bernoulli(), r"Received: x\[0, 1\]=0.5"),
        (changed(0, 1, -1), Bernoulli(), r"Received: x\[0, 1\]=-1"),
        (changed(1, 0, 2), Categorical([2, 3, 4]), r"integer from 0 .* Received: x\[1, 0\]=2"),
        (changed(1, 0, np.inf), Normal(), r"finite number only. Received: x\[1, 0\]=inf"),
        (ROWS.astype(np.float64) * 1e300, Normal(), r"Received: x\[0, 1\]=1e\+300"),
        (ROWS.astype(str), Bernoulli(), "`x` must be numeric. Received: x.dtype="),
        (ROWS.astype(complex), Bernoulli(), "`x` must be numeric"),
        (np.array([["a", 1, 2]], object), Bernoulli(), "`x` must be numeric"),
        (tf.constant(changed(1, 1, 7)), Bernoulli(), r"Received: x\[1, 1\]=7"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(x, family, message):
    with pytest.raises(ValueError, match=message):
        validation.check_rows("x", x, family.bind(3))


def test_rows_beyond_the_first_chunk_are_checked():
    x = np.zeros((20_000, 2), np.uint8)
    x[19_998, 1] = 3
    with pytest.raises(ValueError, match=r"Received: x\[19998, 1\]=3"):
        validation.check_rows("x", x, Bernoulli().bind(2))


@pytest.mark.parametrize("shape", [[None, 2], [5, 4]])
def test_of_a_symbolic_tensor_the_shape_is_checked(shape):
    @tf.function(input_signature=[tf.TensorSpec(shape)])
    def traced(x):
        validation.check_rows("x", x, Bernoulli().bind(3))

    with pytest.raises(ValueError, match=r"must have the shape \[rows, 3\]"):
        traced.get_concrete_function()


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def dataset(batch):
    return tf.data.Dataset.from_tensors(batch)


@pytest.mark.parametrize("wrap", [lambda batch: Batches([batch]), dataset])
def test_the_first_batch_of_a_stream_is_checked(wrap):
    validation.check_data("x", wrap(ROWS), Bernoulli().bind(3))
    validation.check_data("x", wrap((ROWS,)), Bernoulli().bind(3))
    validation.check_data("x", wrap((ROWS, np.zeros((2, 0)), np.ones(2))), Bernoulli().bind(3))
    with pytest.raises(ValueError, match=r"x \(first batch\)\[1, 2\]=nan"):
        validation.check_data("x", wrap((changed(1, 2, np.nan),)), Bernoulli().bind(3))
    with pytest.raises(ValueError, match=r"must have the shape \[rows, 4\]"):
        validation.check_data("x", wrap(ROWS), Bernoulli().bind(4))
    with pytest.raises(ValueError, match="no targets: `x` must give rows alone"):
        validation.check_data("x", wrap((ROWS, ROWS)), Bernoulli().bind(3))


@pytest.mark.parametrize("empty", [Batches([]), dataset(ROWS).take(0)])
def test_an_empty_stream_is_refused(empty):
    with pytest.raises(ValueError, match=r"at least one batch\. Received: an empty"):
        validation.check_data("x", empty, Bernoulli().bind(3))


def test_a_generator_keeps_what_it_yields():
    batches = iter([ROWS])
    validation.check_data("x", batches, Bernoulli().bind(3))
    assert next(batches) is ROWS


def test_no_data_are_refused():
    with pytest.raises(ValueError, match=r"must be rows of shape \[rows, 3\]. Received: None"):
        validation.check_data("x", None, Bernoulli().bind(3))


@pytest.mark.parametrize("call", ["fit", "evaluate", "predict", "log_prob", "validation"])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((3, 4)), r"must have the shape \[rows, 5\]"),
        (np.ones((0, 5)), "at least one row"),
        (np.full((3, 5), np.nan), "0 or 1 only"),
        (np.full((3, 5), "a"), "must be numeric"),
    ],
    ids=["width", "empty", "nan", "text"],
)
def test_every_entry_to_the_model_checks_its_rows(call, x, message):
    model = reference.small_model()
    model.compile("adam")
    calls = {
        "validation": lambda: model.fit(np.ones((3, 5)), validation_data=x, verbose=0),
        **{name: lambda name=name: getattr(model, name)(x) for name in ("fit", "evaluate")},
        "predict": lambda: model.predict(x),
        "log_prob": lambda: model.log_prob(x),
    }
    weights = model.get_weights()
    with pytest.raises(ValueError, match=message):
        calls[call]()
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
