/* A made_tf file, opened with LiteRT for drawing a fixed number of rows at a time. */
#ifndef MADE_MODEL_H_
#define MADE_MODEL_H_

#include <stdbool.h>
#include <stdint.h>

#include "litert_abi.h"

typedef struct {
  size_t index; /* among the signature's inputs */
  LiteRtRankedTensorType type;
  LiteRtTensorBuffer buffer;
} MadeInput;

typedef struct {
  uint8_t* content; /* the file; LiteRT reads it as long as the model is open */
  size_t size;
  LiteRtEnvironment environment;
  LiteRtModel model;
  LiteRtCompiledModel compiled;
  LiteRtSignature sample;
  MadeInput seeds, context;
  LiteRtRankedTensorType x_type;
  LiteRtTensorBuffer x;
  size_t signature;
  size_t context_size; /* how many numbers a row's context has; 0 for a model without one */
  int batch;           /* rows at a time */
  int event_size;      /* D */
  int image_height, image_width; /* 0 where the file tells none */
} MadeModel;

/* Opens a file. On failure prints why and returns false; made_close() is due either way. */
bool made_open(MadeModel* made, const char* path, int batch);

/* Sets the context of all rows to come: context_size numbers. Due once before made_draw() where
 * the model has a context. Prints why if it fails. */
bool made_condition(MadeModel* made, const float* context);

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
