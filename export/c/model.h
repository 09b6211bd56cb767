/* A made_tf file, opened with LiteRT for drawing a fixed number of rows at a time. */
#ifndef MADE_MODEL_H_
#define MADE_MODEL_H_

#include <stdbool.h>
#include <stdint.h>

#include "litert_abi.h"

typedef struct {
  uint8_t* content; /* the file; LiteRT reads it as long as the model is open */
  size_t size;
  LiteRtEnvironment environment;
  LiteRtModel model;
  LiteRtCompiledModel compiled;
  LiteRtTensorBuffer seeds, x;
  size_t signature;
  int batch;      /* rows at a time */
  int event_size; /* D */
  int image_height, image_width; /* 0 where the file tells none */
} MadeModel;

/* Opens a file. On failure prints why and returns false; made_close() is due either way. */
bool made_open(MadeModel* made, const char* path, int batch);

/* Draws the rows first, first + 1, ... of a seed: float [batch, D]. Prints why if it fails. */
bool made_draw(MadeModel* made, int32_t seed, int64_t first, float* rows);

void made_close(MadeModel* made);

/* Prints a message after the program's name. Returns false, for `return fail(...)`. */
bool fail(const char* format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 1, 2)))
#endif
    ;

#endif /* MADE_MODEL_H_ */
