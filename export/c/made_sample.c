/* Draws samples from a .tflite file of made_tf, with LiteRT alone. See usage() below. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "output.h"

enum { kMaxBatch = 1 << 16, kMaxSide = 1 << 16, kMaxPictures = 1 << 16 };

typedef struct {
  const char *model, *sheet, *raw, *context;
  long long seed, count, batch, width, height;
} Options;

static void usage(FILE* out) {
  fputs(
      "usage: made_sample MODEL.tflite [--seed S] [--count N] [--batch B]\n"
      "                   [--context V1,V2,...] [--width W --height H]\n"
      "                   [--output SHEET.pgm] [--raw ROWS.f32]\n"
      "\n"
      "Draws N rows (1 by default), row i from the seed pair (S, i): the rows of\n"
      "LiteSampler(\"MODEL.tflite\").sample(N, seed=S). At most B of them at once (256).\n"
      "--context gives the numbers that all rows are conditioned on, for a model of p(x | context)\n"
      "and for no other.\n"
      "--output writes them as one sheet of pictures of W x H pixels; the file may tell the\n"
      "shape. --raw writes them as float32, row by row. Without either, rows go to the standard\n"
      "output as text.\n",
      out);
}

static bool parse_number(const char* name, const char* text, long long low, long long high,
                         long long* out) {
  char* end = NULL;
  errno = 0;
  *out = strtoll(text, &end, 10);
  if (errno == 0 && end != text && *end == '\0' && *out >= low && *out <= high) return true;
  return fail("%s must be an integer from %lld to %lld. Received: %s", name, low, high, text);
}

static bool parse_options(int argc, char** argv, Options* options) {
  const struct {
    const char* name;
    long long low, high;
    long long* number;
    const char** text;
  } known[] = {
      {"--seed", INT32_MIN, INT32_MAX, &options->seed, NULL},
      {"--count", 1, INT32_MAX, &options->count, NULL},
      {"--batch", 1, kMaxBatch, &options->batch, NULL},
      {"--width", 1, kMaxSide, &options->width, NULL},
      {"--height", 1, kMaxSide, &options->height, NULL},
      {"--output", 0, 0, NULL, &options->sheet},
      {"--raw", 0, 0, NULL, &options->raw},
      {"--context", 0, 0, NULL, &options->context},
  };
  for (int i = 1; i < argc; ++i) {
    if (strncmp(argv[i], "--", 2) != 0) {
      if (options->model != NULL) return fail("one model, not two. Received: %s", argv[i]);
      options->model = argv[i];
      continue;
    }
    size_t k = 0;
    while (k < sizeof known / sizeof *known && strcmp(argv[i], known[k].name) != 0) ++k;
    if (k == sizeof known / sizeof *known) return fail("no such option: %s", argv[i]);
    if (++i == argc) return fail("%s must have a value", known[k].name);
    if (known[k].text != NULL) {
      *known[k].text = argv[i];
    } else if (!parse_number(known[k].name, argv[i], known[k].low, known[k].high,
                             known[k].number)) {
      return false;
    }
  }
  if (options->model == NULL) return fail("the model is missing");
  if ((options->width == 0) != (options->height == 0)) {
    return fail("--width and --height must be given together");
  }
  if (options->sheet != NULL && options->count > kMaxPictures) {
    return fail("--count must be at most %d with --output. Received: %lld", (int)kMaxPictures,
                options->count);
  }
  return true;
}

static bool check_shape(const MadeModel* made, Options* options) {
  if (options->sheet == NULL) return true;
  if (options->width == 0) {
    options->width = made->image_width;
    options->height = made->image_height;
  }
  if (options->width == 0) {
    return fail("--output needs --width and --height: the file tells no shape of its pictures");
  }
  if (options->width * options->height != made->event_size) {
    return fail("--width times --height must be the number of variables, %d. Received: %lld x %lld",
                made->event_size, options->width, options->height);
  }
  return true;
}

/* Reads `count` numbers with commas between them. */
static bool parse_context(const char* text, float* out, size_t count) {
  size_t found = 1;
  for (const char* at = text; *at != '\0'; ++at) found += *at == ',';
  if (found != count) {
    return fail("--context must have %zu number(s), as the model's context. Received: %zu", count,
                found);
  }
  for (size_t i = 0; i < count; ++i) {
    char* end = NULL;
    const double value = strtod(text, &end); /* NaN is not <= FLT_MAX */
    if (end == text || *end != (i + 1 < count ? ',' : '\0') || !(fabs(value) <= FLT_MAX)) {
      const int length = (int)strcspn(text, ",");
      return fail("--context must be finite numbers with commas between them. Received: %.*s "
                  "(number %zu)", length, text, i + 1);
    }
    out[i] = (float)value;
    text = end + 1; /* not read after the last one */
  }
  return true;
}

static bool set_context(MadeModel* made, const Options* options) {
  const size_t count = made->context_size;
  if (count == 0) {
    if (options->context == NULL) return true;
    return fail("--context must not be given: the model of %s has no context", options->model);
  }
  if (options->context == NULL) {
    return fail("--context must be given: %s is a model of p(x | context), with a context of %zu "
                "number(s)", options->model, count);
  }
  float* values = malloc(count * sizeof *values);
  if (values == NULL) return fail("out of memory for a context of %zu numbers", count);
  const bool good = parse_context(options->context, values, count) && made_condition(made, values);
  free(values);
  return good;
}

static bool print_rows(const float* rows, size_t count, size_t width) {
  for (size_t i = 0; i < count * width; ++i) {
    if (printf("%.9g%c", (double)rows[i], (i + 1) % width == 0 ? '\n' : ' ') < 0) {
      return fail("cannot write to the standard output: %s", strerror(errno));
    }
  }
  return true;
}

/* Draws all rows; keeps those of a sheet. */
static bool draw_all(MadeModel* made, const Options* options, Output* raw, float* rows,
                     float* kept) {
  const size_t width = (size_t)made->event_size;
  for (long long first = 0; first < options->count; first += made->batch) {
    const long long left = options->count - first;
    const size_t count = (size_t)(left < made->batch ? left : made->batch);
    if (!made_draw(made, (int32_t)options->seed, first, rows)) return false;
    if (kept != NULL) memcpy(kept + (size_t)first * width, rows, count * width * sizeof *rows);
    if (raw->file != NULL && !output_write(raw, rows, count * width * sizeof *rows)) return false;
    if (kept == NULL && raw->file == NULL && !print_rows(rows, count, width)) return false;
  }
  return true;
}

static bool run(MadeModel* made, Options* options, Output* sheet, Output* raw) {
  if (!check_shape(made, options) || !set_context(made, options)) return false;
  if (options->sheet != NULL && !output_open(sheet, options->sheet)) return false;
  if (options->raw != NULL && !output_open(raw, options->raw)) return false;
  const size_t width = (size_t)made->event_size, count = (size_t)options->count;
  float* rows = malloc((size_t)made->batch * width * sizeof *rows);
  float* kept = options->sheet == NULL ? NULL : malloc(count * width * sizeof *kept);
  bool good = rows != NULL && (options->sheet == NULL || kept != NULL);
  if (!good) fail("out of memory for %zu rows of %zu variables", count, width);
  good = good && draw_all(made, options, raw, rows, kept);
  good = good && (kept == NULL || write_sheet(sheet, kept, count, (size_t)options->height,
                                              (size_t)options->width));
  free(rows);
  free(kept);
  good = good && output_finish(sheet) && output_finish(raw) && output_appear(sheet) &&
         output_appear(raw);
  if (good && fflush(stdout) != 0) good = fail("cannot write to the standard output");
  return good;
}

int main(int argc, char** argv) {
  Options options = {.count = 1, .batch = 256};
  MadeModel made;
  Output sheet = {0}, raw = {0};
  if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    usage(stdout);
    return 0;
  }
  if (!parse_options(argc, argv, &options)) {
    usage(stderr);
    return 2;
  }
  const long long batch = options.batch < options.count ? options.batch : options.count;
  const bool good =
      made_open(&made, options.model, (int)batch) && run(&made, &options, &sheet, &raw);
  output_drop(&sheet);
  output_drop(&raw);
  made_close(&made);
  return good ? 0 : 1;
}
