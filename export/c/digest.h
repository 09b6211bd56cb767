/* SHA-256 (FIPS 180-4): the digest that a file of made_tf carries of itself. */
#ifndef MADE_DIGEST_H_
#define MADE_DIGEST_H_

#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint32_t state[8];
  uint8_t block[64];
  uint64_t length; /* bytes so far */
} Sha256;

void sha256_start(Sha256* digest);
void sha256_add(Sha256* digest, const uint8_t* bytes, size_t count);
void sha256_finish(Sha256* digest, char hexadecimal[65]);

#endif /* MADE_DIGEST_H_ */
