"""The table of signatures: what a file can be asked."""

import inspect

import numpy as np
import pytest
import reference
import tensorflow as tf

from made_tf import export
from made_tf.export import networks, signatures
from made_tf.export.signatures import INPUTS, SIGNATURES, Chosen, Input, Signature


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_row_names_the_method_and_its_arguments(name):
    signature = SIGNATURES[name]
    assert signature.name == name
    answer = getattr(networks.NetworkOfManyOrders, name)
    assert tuple(inspect.signature(answer).parameters)[1:] == (*signature.inputs, "context")
    assert hasattr(networks.NetworkOfOneOrder, name) != signature.needs_all_answers
    assert hasattr(networks.NetworkOfEvidence, name)
    assert set(signature.inputs) <= set(INPUTS)


def test_every_input_is_asked_for():
    assert set(INPUTS) == {
        *(name for row in SIGNATURES.values() for name in row.inputs),
        "context",
    }


def test_what_is_chosen():
    one, any_order = reference.small_model(), reference.small_model(num_masks=None)
    standard = ["sample", "log_prob", "conditionals"]
    assert list(signatures.choose_signatures(one)) == standard
    assert list(signatures.choose_signatures(any_order)) == [*standard, "impute"]
    assert list(signatures.choose_signatures(any_order, "all")) == list(SIGNATURES)


@pytest.mark.parametrize("context", [None, 2])
def test_a_context_is_one_more_input_of_all(context):
    model, further = reference.small_model(context=context), ("context",) if context else ()
    chosen = signatures.choose_signatures(model, ("conditionals", "log_prob"), (1, 16))
    log_prob = SIGNATURES["log_prob"]
    assert chosen == {
        "conditionals": Chosen(SIGNATURES["conditionals"], ("x", *further)),
        "log_prob": Chosen(log_prob, ("x", *further)),
        "log_prob_1": Chosen(log_prob, ("x", *further), 1),
        "log_prob_16": Chosen(log_prob, ("x", *further), 16),
    }


def test_a_further_signature_is_one_row_and_a_further_input_another(monkeypatch, tmp_path):
    compared = []

    def scaled(self, x, factor):
        return {"x": x * factor[:, None]}

    def check(host, device, drawn):
        found = device.run("scaled", x=drawn.rows, factor=np.full(len(drawn.rows), 3, np.float32))
        np.testing.assert_array_equal(found["x"], 3 * drawn.rows)
        compared.append("scaled")

    twos = Input(tf.float32, lambda sizes: (), lambda drawn: np.full(len(drawn.rows), 2.0))
    monkeypatch.setattr(networks.ExportedNetwork, "scaled", scaled, raising=False)
    monkeypatch.setitem(INPUTS, "factor", twos)
    monkeypatch.setitem(SIGNATURES, "scaled", Signature("scaled", ("x", "factor"), check))
    report = export.to_tflite(
        reference.small_model(), tmp_path / "made.tflite", signatures="scaled", batch_sizes=(2,)
    )
    assert set(report.signatures) == {"scaled", "scaled_2"} and compared == ["scaled"]
    assert report.signatures["scaled_2"]["inputs"] == {
        "factor": {"shape": [2], "dtype": "float32"},
        "x": {"shape": [2, 5], "dtype": "float32"},
    }
