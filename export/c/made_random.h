/* The uniforms of made_tf's generator in plain C99: no library, no memory, no 64-bit state.
 *
 * For runtimes that lack the generator's operators, such as TensorFlow Lite for Microcontrollers:
 * fill `uniforms` with made_uniforms() and give it to the signature `sample_from_uniforms`. Row i
 * of the sample with seed s has the seed pair (s, i). The numbers are those of export/
 * test_vectors.json, bit by bit.
 *
 * Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
 */
#ifndef MADE_RANDOM_H_
#define MADE_RANDOM_H_

#include <stddef.h>
#include <stdint.h>

/* Encrypts a counter of four words under a key of two, in place. */
static inline void made_philox(uint32_t counter[4], uint32_t key_0, uint32_t key_1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product_0 = (uint64_t)counter[0] * 0xD2511F53u;
    const uint64_t product_1 = (uint64_t)counter[2] * 0xCD9E8D57u;
    counter[0] = (uint32_t)(product_1 >> 32) ^ counter[1] ^ key_0;
    counter[1] = (uint32_t)product_1;
    counter[2] = (uint32_t)(product_0 >> 32) ^ counter[3] ^ key_1;
    counter[3] = (uint32_t)product_0;
    key_0 += 0x9E3779B9u;
    key_1 += 0xBB67AE85u;
  }
}

/* Returns the uniform of a word: its low 23 bits, in the middle of their interval. Exact. */
static inline float made_uniform(uint32_t word) {
  return (float)(2u * (word & 0x7FFFFFu) + 1u) * (1.0f / 16777216.0f);
}

/* Turns a seed pair, each half with its sign extended to 64 bits, into a key and a counter's end. */
static inline void made_key(int32_t seed, int32_t row, uint32_t own[4]) {
  own[0] = (uint32_t)seed;
  own[1] = seed < 0 ? 0xFFFFFFFFu : 0u;
  own[2] = (uint32_t)row;
  own[3] = row < 0 ? 0xFFFFFFFFu : 0u;
  made_philox(own, 0x3EC8F720u, 0x02461E29u);
}

/* Returns the four words of columns 4 * index to 4 * index + 3. */
static inline void made_block(const uint32_t own[4], uint32_t index, uint32_t words[4]) {
  words[0] = index;
  words[1] = 0u;
  words[2] = own[2];
  words[3] = own[3];
  made_philox(words, own[0], own[1]);
}

/* Writes the first `count` uniforms of a seed pair, each strictly between 0 and 1. */
static inline void made_uniforms(int32_t seed, int32_t row, float* uniforms, size_t count) {
  uint32_t own[4];
  uint32_t words[4] = {0u, 0u, 0u, 0u};
  made_key(seed, row, own);
  for (size_t k = 0; k < count; ++k) {
    if (k % 4 == 0) made_block(own, (uint32_t)(k / 4), words);
    uniforms[k] = made_uniform(words[k % 4]);
  }
}

#endif /* MADE_RANDOM_H_ */
