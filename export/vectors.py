"""The generator in whole numbers, and the vectors by which a port can check itself.

    python -m made_tf.export.vectors > test_vectors.json

The uniforms of a row, in words. A row has a seed pair of two signed 32-bit
numbers (s, i). Each is extended to 64 bits with its sign; low and high halves
make a counter of four words, (s low, s high, i low, i high). Encrypted by
Philox4x32-10 under the key (0x3EC8F720, 0x02461E29) it becomes four words
(a, b, c, d): (a, b) is the row's key, (c, d) the upper half of its counters.
Block k, encrypted from the counter (k, 0, c, d) under the key (a, b), gives the
words of the columns 4 k to 4 k + 3, in turn. A word w gives the uniform
(2 (w mod 2^23) + 1) / 2^24, which float32 holds exactly.

References:
    Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["make_vectors", "philox", "uniform_numerators", "words"]

_ROUNDS = 10
_SEED_KEY = (0x3EC8F720, 0x02461E29)
_COUNT = 10
_PAIRS = (
    (0, 0),
    (0, 1),
    (7, 0),
    (7, 9999),
    (-1, 0),
    (-1, -1),
    (2**31 - 1, 2**31 - 1),
    (-(2**31), 0),
    (-(2**31), -(2**31)),
    (20150208, 123456789),
)


def philox(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    """Encrypts a counter of four 32-bit words under a key of two: Philox4x32-10."""
    mask = 2**32 - 1
    (a, b, c, d), (first, second) = counter, key
    for _ in range(_ROUNDS):
        left, right = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (right >> 32) ^ b ^ first, right & mask, (left >> 32) ^ d ^ second, left & mask
        first, second = (first + 0x9E3779B9) & mask, (second + 0xBB67AE85) & mask
    return a, b, c, d


def words(seed: int, row: int, count: int) -> list[int]:
    """Returns the first 32-bit words of a row."""
    halves = [part for number in (seed, row) for part in divmod(number % 2**64, 2**32)[::-1]]
    a, b, c, d = philox(tuple(halves), _SEED_KEY)
    blocks = (philox((k, 0, c, d), (a, b)) for k in range(-(-count // 4)))
    return [word for block in blocks for word in block][:count]


def uniform_numerators(seed: int, row: int, count: int) -> list[int]:
    """Returns the first uniforms of a row, in units of 2^-24."""
    return [2 * (word % 2**23) + 1 for word in words(seed, row, count)]


def make_vectors() -> dict[str, Any]:
    """Returns the vectors: words in hexadecimal, uniforms in units of 2^-24."""
    return {
        "generator": "Philox4x32-10 under the seeds of made_tf; see made_tf.export.vectors",
        "philox": [
            {"counter": counter, "key": key, "words": [f"{w:08x}" for w in philox(counter, key)]}
            for counter, key in (((0, 0, 0, 0), (0, 0)), ((2**32 - 1,) * 4, (2**32 - 1,) * 2))
        ],
        "rows": [
            {
                "seeds": pair,
                "words": [f"{word:08x}" for word in words(*pair, _COUNT)],
                "uniforms_times_2_to_24": uniform_numerators(*pair, _COUNT),
            }
            for pair in _PAIRS
        ],
    }


if __name__ == "__main__":
    print(json.dumps(make_vectors(), indent=1))
