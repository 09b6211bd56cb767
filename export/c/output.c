#define _POSIX_C_SOURCE 200809L
#include "output.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model.h"

bool output_open(Output* output, const char* path) {
  struct stat status;
  memset(output, 0, sizeof *output);
  if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
    return fail("cannot write %s: it is there, and no file", path);
  }
  const size_t room = strlen(path) + 32;
  output->path = path;
  output->temporary = malloc(room);
  if (output->temporary == NULL) return fail("out of memory");
  snprintf(output->temporary, room, "%s.%ld.tmp", path, (long)getpid());
  output->file = fopen(output->temporary, "wbx");
  if (output->file != NULL) return true;
  fail("cannot write %s: %s", path, strerror(errno));
  free(output->temporary);
  output->temporary = NULL;
  return false;
}

bool output_write(Output* output, const void* bytes, size_t count) {
  if (fwrite(bytes, 1, count, output->file) == count) return true;
  return fail("cannot write %s: %s", output->path, strerror(errno));
}

bool output_finish(Output* output) {
  if (output->file == NULL) return true;
  bool good = fflush(output->file) == 0 && fsync(fileno(output->file)) == 0;
  good = fclose(output->file) == 0 && good;
  output->file = NULL;
  return good || fail("cannot write %s: %s", output->path, strerror(errno));
}

bool output_appear(Output* output) {
  if (output->temporary == NULL) return true;
  if (rename(output->temporary, output->path) != 0) {
    return fail("cannot write %s: %s", output->path, strerror(errno));
  }
  free(output->temporary);
  output->temporary = NULL;
  return true;
}

void output_drop(Output* output) {
  if (output->file != NULL) fclose(output->file);
  if (output->temporary != NULL) remove(output->temporary);
  free(output->temporary);
  memset(output, 0, sizeof *output);
}

bool write_sheet(Output* output, const float* rows, size_t count, size_t height, size_t width) {
  size_t across = 1;
  while (across * across < count) ++across;
  const size_t down = (count + across - 1) / across;
  const size_t sheet_width = across * (width + 1) - 1, sheet_height = down * (height + 1) - 1;
  float least = 0.0f, largest = 1.0f;
  for (size_t i = 0; i < count * height * width; ++i) {
    if (!isfinite(rows[i])) return fail("the model draws values that are not finite");
    if (rows[i] < least) least = rows[i];
    if (rows[i] > largest) largest = rows[i];
  }
  unsigned char* line = malloc(sheet_width);
  if (line == NULL) return fail("out of memory");
  char header[64];
  snprintf(header, sizeof header, "P5\n%zu %zu\n255\n", sheet_width, sheet_height);
  bool good = output_write(output, header, strlen(header));
  for (size_t y = 0; good && y < sheet_height; ++y) {
    memset(line, 128, sheet_width); /* between pictures */
    for (size_t column = 0; y % (height + 1) < height && column < across; ++column) {
      const size_t picture = y / (height + 1) * across + column;
      if (picture >= count) break;
      const float* pixels = rows + (picture * height + y % (height + 1)) * width;
      for (size_t x = 0; x < width; ++x) {
        const double grey = 255.0 * ((double)pixels[x] - least) / ((double)largest - least);
        line[column * (width + 1) + x] = (unsigned char)(grey + 0.5);
      }
    }
    good = output_write(output, line, sheet_width);
  }
  free(line);
  return good;
}
