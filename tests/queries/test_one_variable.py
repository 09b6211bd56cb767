"""The conditional of one variable: many draws at a time are those of one after the other."""

import numpy as np
import pytest

from made_tf.queries import one_variable


@pytest.mark.parametrize("at_once", [7, 4096])
def test_draws_of_many_values_are_those_of_one_at_a_time(normal, monkeypatch, at_once):
    monkeypatch.setattr(one_variable, "ROWS_AT_ONCE", at_once)  # of two pieces, and of one
    rng = np.random.default_rng(0)
    rows, known = rng.normal(size=(3, 3)).astype(np.float32), np.array([False, False, True])
    found = one_variable.one_variable(normal.queries, rows, known, 0)
    uniforms = rng.uniform(0.01, 0.99, (5, 3, found.family.num_uniforms)).astype(np.float32)
    drawn, log_probs = found.draws(uniforms)
    assert drawn.shape == log_probs.shape == (5, 3)
    for own, values, log_prob in zip(uniforms, drawn, log_probs, strict=True):
        np.testing.assert_allclose(values, found.draw(own), rtol=1e-6)
        np.testing.assert_allclose(log_prob, found.log_prob(found.draw(own)), rtol=1e-5)
