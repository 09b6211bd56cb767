"""Published benchmarks, run again: sets, records, tables; and the demo.

`benchmark_sets.py` finds what to train on, `reproduce.py` has `made_tf.training` train on it by a
recipe, `records.py` keeps what came out, `tables.py` puts it beside the published figures.
`demo.py` is the whole path on one small set.
"""
