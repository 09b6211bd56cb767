/* Prints what made_random.h draws: a line for each column, its word and its uniform's bits in hex.
 *
 * made_uniforms SEED ROW COUNT
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "made_random.h"

static int number(const char* name, const char* text, long long low, long long high,
                  long long* out) {
  char* end = NULL;
  errno = 0;
  *out = strtoll(text, &end, 10);
  if (errno == 0 && end != text && *end == '\0' && *out >= low && *out <= high) return 1;
  fprintf(stderr, "made_uniforms: %s must be an integer from %lld to %lld. Received: %s\n", name,
          low, high, text);
  return 0;
}

int main(int argc, char** argv) {
  long long seed, row, count;
  if (argc != 4) {
    fputs("usage: made_uniforms SEED ROW COUNT\n", stderr);
    return 2;
  }
  if (!number("SEED", argv[1], INT32_MIN, INT32_MAX, &seed) ||
      !number("ROW", argv[2], INT32_MIN, INT32_MAX, &row) ||
      !number("COUNT", argv[3], 1, 1000000, &count)) {
    return 2;
  }
  float* uniforms = malloc((size_t)count * sizeof *uniforms);
  if (uniforms == NULL) {
    fputs("made_uniforms: out of memory\n", stderr);
    return 1;
  }
  made_uniforms((int32_t)seed, (int32_t)row, uniforms, (size_t)count);
  uint32_t own[4], words[4] = {0};
  made_key((int32_t)seed, (int32_t)row, own);
  for (long long k = 0; k < count; ++k) {
    uint32_t bits;
    memcpy(&bits, &uniforms[k], sizeof bits);
    if (k % 4 == 0) made_block(own, (uint32_t)(k / 4), words);
    printf("%08x %08x\n", (unsigned)words[k % 4], (unsigned)bits);
  }
  free(uniforms);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fputs("made_uniforms: cannot write to the standard output\n", stderr);
    return 1;
  }
  return 0;
}
