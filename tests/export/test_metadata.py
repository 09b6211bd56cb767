"""What a file says of itself."""

import reference

import made_tf
from made_tf import export


def test_the_metadata_is_what_was_given(tmp_path):
    model = reference.small_model("ragged", 4)
    classes = [len(states) for states in model.conditionals.finite_states()]
    names = [
        {"name": f"größe {k}", "categories": [f"{k}-{c}" for c in range(count)]}
        for k, count in enumerate(classes)
    ]
    path = tmp_path / "made.tflite"
    options = {"image_shape": (2, 2), "licence": "CC0", "signatures": "log_prob"}
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
