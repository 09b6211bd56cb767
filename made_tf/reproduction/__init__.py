"""Published benchmarks, run again: recipes, training, records, tables.

`benchmark_sets.py` finds what to train on, `reproduce.py` lets `made_tf.training` train by a recipe,
`records.py` keeps what came out, `tables.py` puts it beside the published figures. `demo.py` is the
whole path on one small set.
"""
