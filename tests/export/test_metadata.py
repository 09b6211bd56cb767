"""What a file says of itself."""

import numpy as np
import pytest
import reference

import made_tf
from made_tf import export
from made_tf.export.file.card import card_lines, check_card, read_card


def test_the_metadata_is_what_was_given(tmp_path, unchecked):
    model = reference.small_model("ragged", 4)
    classes = [len(states) for states in model.conditionals.finite_states()]
    names = [
        {"name": f"größe {k}", "categories": [f"{k}-{c}" for c in range(count)]}
        for k, count in enumerate(classes)
    ]
    path = tmp_path / "made.tflite"
    card = {"data": "four made-up columns", "metrics": {"nll": np.float32(2.5), "rows": 100}}
    options = {"card": card, "image_shape": (2, 2), "licence": "CC0", "signatures": "log_prob"}
    export.to_tflite(model, path, variables=names, weights="int8", **options)
    metadata = export.LiteSampler(path).metadata
    assert metadata == export.inspect_tflite(path)["metadata"]
    digest = metadata.pop("sha256")
    assert len(digest) == 64 and metadata.pop("seeds").startswith("Row i of the sample")
    assert metadata == {
        "format": 1,
        "package": "made_tf",
        "version": made_tf.__version__,
        "licence": "CC0",
        "card": {"data": "four made-up columns", "metrics": {"nll": 2.5, "rows": 100}},
        "event_size": 4,
        "num_uniforms": 4,
        "input_order": model.degrees.inputs.tolist(),
        "num_orders": 1,
        "any_order": False,
        "weights": "int8",
        "family": {"name": "categorical", "num_classes": classes},
        "variables": names,
        "image_shape": [2, 2],
    }


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("all of it", "`card` must be a mapping"),
        ({"licence": "MIT"}, "the licence is the argument `licence`"),
        ({"data": ""}, r"`card\['data'\]` must be a text\."),
        ({"data": {"rows": 3}}, r"`card\['data'\]` must be a text\."),
        ({"metrics": {}}, "a text or a mapping from names to numbers"),
        ({"metrics": {"nll": float("nan")}}, "finite numbers or texts"),
        ({"metrics": {"good": True}}, "finite numbers or texts"),
    ],
)
def test_a_card_says_what_cards_say(card, words):
    with pytest.raises(ValueError, match=words):
        check_card(card)


def test_what_a_card_lacks_is_said_to_be_missing():
    told = card_lines({"licence": None, "card": {"data": "rides\nlicence: MIT"}})
    assert told == [
        "model card:",
        "  data: rides licence: MIT",
        "  metrics: not said",
        "  intended use: not said",
        "  limitations: not said",
        "  licence: not said",
    ]
    assert (
        card_lines({"licence": "CC0"})[-1] == "  licence: CC0"
    )  # a file of before there were cards


def test_a_metric_may_be_called_as_the_digest_is(tmp_path, unverified):
    path = tmp_path / "made.tflite"
    card = {"metrics": {"sha256": "0" * 64, "rows": 10**400}}
    with unverified():
        export.to_tflite(reference.small_model(), path, card=card, signatures="log_prob")
    metadata = export.LiteSampler(path).metadata  # compares the digest
    assert metadata["card"] == card and metadata["sha256"] != "0" * 64


def test_a_card_is_read_from_a_file(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text('data = "rides"\n[metrics]\nnll = 3.5\n', encoding="utf-8")
    assert read_card(path) == {"data": "rides", "metrics": {"nll": 3.5}}
    for name, text, words in (
        ("card.toml", "data = ", "card.toml is not readable"),
        ("card.json", '{"purpose": "x"}', "card.json: `card` must be a mapping"),
        ("card.txt", "", "must end in .toml or .json"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=words):
            read_card(tmp_path / name)
