"""Published benchmarks, run again: recipes, training, records, tables.

`recipe.py` reads how to train, `benchmark_sets.py` what on, `ensemble_training.py` does it,
`records.py` keeps what came out, `tables.py` puts it beside the published figures.
"""
