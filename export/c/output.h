/* Files that are either complete or not there, and sheets of grey pictures. */
#ifndef MADE_OUTPUT_H_
#define MADE_OUTPUT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct {
  const char* path;
  char* temporary; /* beside `path`, renamed to it at the end */
  FILE* file;
} Output;

/* Each prints why it fails; output_drop() is due after any of them, and leaves no trace. */
bool output_open(Output* output, const char* path);
bool output_write(Output* output, const void* bytes, size_t count);
bool output_finish(Output* output); /* all is on the disk, under the temporary name */
bool output_appear(Output* output);
void output_drop(Output* output);

/* Writes `count` pictures [height, width] as one PGM sheet, about square. The least value (or 0)
 * is black, the largest (or 1) white. */
bool write_sheet(Output* output, const float* rows, size_t count, size_t height, size_t width);

#endif /* MADE_OUTPUT_H_ */
