"""The published vectors, the generator of the package, and Philox' own test vectors."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from made_tf.export import vectors
from made_tf.sampling import random

FILE = pathlib.Path(vectors.__file__).parent / "test_vectors.json"


def test_philox_gives_the_words_of_its_authors():
    # Random123's known answers (kat_vectors, philox4x32 10).
    zeros, ones = (0, 0, 0, 0), (2**32 - 1,) * 4
    assert vectors.philox(zeros, (0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert vectors.philox(ones, ones[:2]) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    assert vectors.philox(pi, (0xA4093822, 0x299F31D0)) == (
        *(0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    )


def test_the_file_holds_the_vectors():
    assert json.loads(FILE.read_text()) == json.loads(json.dumps(vectors.make_vectors()))


@pytest.mark.parametrize(
    "row", json.loads(FILE.read_text())["rows"], ids=lambda row: str(row["seeds"])
)
def test_the_package_draws_them(row):
    expected = np.array(row["uniforms_times_2_to_24"]) * 2.0**-24
    count = len(expected)
    drawn = random.uniforms(tf.constant([row["seeds"]], tf.int32), count).numpy()
    np.testing.assert_array_equal(drawn[0], expected.astype(np.float32))
    assert (expected.astype(np.float32) == expected).all()  # float32 holds them exactly
    eager = tf.random.stateless_uniform([count], row["seeds"], alg="philox").numpy()
    np.testing.assert_array_equal(drawn[0], eager + np.float32(2.0**-24))
