"""Batches whose order is a function of the seed and the epoch alone."""

import numpy as np
import pytest

from made_tf.training.shuffled_rows import ShuffledRows


def test_shuffles_are_a_function_of_seed_and_epoch():
    x = np.arange(10, dtype=np.float32)[:, None]

    def epoch(seed, number):
        rows = ShuffledRows(x, batch_size=4, seed=seed)
        rows.set_epoch(number)
        assert rows.num_batches == 3
        return np.concatenate([rows[index] for index in range(3)])[:, 0].tolist()

    assert sorted(epoch(0, 0)) == x[:, 0].tolist()
    assert epoch(0, 3) == epoch(0, 3)
    assert len({tuple(epoch(seed, number)) for seed in (0, 1) for number in (0, 1)}) == 4


@pytest.mark.parametrize("steps", [1, 3, 4, 5, 9])
def test_epochs_of_any_length_are_pieces_of_the_same_passes(steps):
    x = np.arange(35)[:, None]
    rows = ShuffledRows(x, 10, seed=3, steps=steps)
    assert rows.num_batches == steps
    batches = []
    for epoch in range(20):
        rows.set_epoch(epoch)
        batches += [rows[index] for index in range(steps)]
    for number in range(len(batches) // 4):
        in_pass = np.concatenate(batches[4 * number : 4 * number + 4])[:, 0]
        assert sorted(in_pass) == list(range(35))
    whole = ShuffledRows(x, 10, seed=3)
    whole.set_epoch(1)
    if len(batches) >= 8:
        np.testing.assert_array_equal(
            np.concatenate([whole[index] for index in range(4)]), np.concatenate(batches[4:8])
        )
