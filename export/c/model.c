#include "model.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"

static const char kMark[] = "\"sha256\":\"";
static const char kImage[] = "\"image_shape\":[";
enum { kDigits = 64, kMaxRow = 1 << 24 }; /* kMaxRow: values of a row */

bool fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("made_sample: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  return false;
}

static bool worked(LiteRtStatus status, const char* what) {
  if (status == 0) return true;
  const char* why = "";
  if (status == 2) why = ": out of memory";
  if (status == 501) why = ": no complete LiteRT model";
  return fail("LiteRT cannot %s%s (status %d)", what, why, status);
}

/* Returns where a text is, or NULL. */
static const uint8_t* found(const uint8_t* content, size_t size, const char* text) {
  const size_t length = strlen(text);
  const uint8_t* end = content + size;
  for (const uint8_t* at = content; (size_t)(end - at) >= length; ++at) {
    at = memchr(at, text[0], (size_t)(end - at) - length + 1);
    if (at == NULL) return NULL;
    if (memcmp(at, text, length) == 0) return at;
  }
  return NULL;
}

static bool read_file(MadeModel* made, const char* path) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) return fail("cannot open %s: %s", path, strerror(errno));
  size_t room = 0;
  bool good = true;
  while (good && !feof(file)) {
    if (made->size == room) {
      room = room == 0 ? 1u << 16 : 2 * room;
      uint8_t* larger = realloc(made->content, room);
      if (larger == NULL) {
        good = fail("out of memory reading %s", path);
        break;
      }
      made->content = larger;
    }
    made->size += fread(made->content + made->size, 1, room - made->size, file);
    if (ferror(file)) good = fail("cannot read %s: %s", path, strerror(errno));
  }
  fclose(file);
  return good;
}

/* A damaged file may crash the interpreter, so none reaches it: files carry a digest. */
static bool check_whole(const MadeModel* made, const char* path) {
  if (made->size < 8 || memcmp(made->content + 4, "TFL3", 4) != 0) {
    return fail("%s is no LiteRT model (.tflite): its first bytes are not those of one", path);
  }
  const uint8_t* mark = found(made->content, made->size, kMark);
  if (mark == NULL) return true; /* of another maker, or of an older version */
  const uint8_t* digits = mark + sizeof kMark - 1;
  const uint8_t* end = made->content + made->size;
  bool equal = false;
  if (end - digits >= kDigits) {
    char zeros[kDigits], hexadecimal[kDigits + 1];
    Sha256 digest;
    memset(zeros, '0', sizeof zeros);
    sha256_start(&digest);
    sha256_add(&digest, made->content, (size_t)(digits - made->content));
    sha256_add(&digest, (const uint8_t*)zeros, sizeof zeros);
    sha256_add(&digest, digits + kDigits, (size_t)(end - digits) - kDigits);
    sha256_finish(&digest, hexadecimal);
    equal = memcmp(digits, hexadecimal, kDigits) == 0;
  }
  return equal || fail("%s is truncated or damaged: it is not what was written", path);
}

/* Reads `"image_shape":[28,28]` from what the file tells of itself, if it tells it. */
static void read_image_shape(MadeModel* made) {
  const void* text = NULL;
  size_t size = 0;
  char shape[32] = "";
  if (LiteRtGetModelMetadata(made->model, "made_tf", &text, &size) != 0 || text == NULL) return;
  const uint8_t* at = found(text, size, kImage);
  if (at == NULL) return;
  at += sizeof kImage - 1;
  const size_t left = size - (size_t)(at - (const uint8_t*)text);
  memcpy(shape, at, left < sizeof shape ? left : sizeof shape - 1);
  int height = 0, width = 0;
  if (sscanf(shape, "%9d , %9d ]", &height, &width) == 2 && height > 0 && width > 0) {
    made->image_height = height;
    made->image_width = width;
  }
}

static bool find_sample(MadeModel* made, const char* path) {
  size_t count = 0;
  if (!worked(LiteRtGetNumModelSignatures(made->model, &count), "count signatures")) return false;
  for (size_t index = 0; index < count; ++index) {
    const char* key = NULL;
    if (!worked(LiteRtGetModelSignature(made->model, index, &made->sample), "read a signature") ||
        !worked(LiteRtGetSignatureKey(made->sample, &key), "read a signature's name")) {
      return false;
    }
    if (key != NULL && strcmp(key, "sample") == 0) {
      made->signature = index;
      return true;
    }
  }
  return fail("%s has no signature 'sample': made_tf exports files that have", path);
}

/* Reads a tensor's type and checks that it has values for rows. */
static bool check_tensor(LiteRtTensor tensor, int element_type, LiteRtRankedTensorType* type) {
  int kind = -1;
  return LiteRtGetTensorTypeId(tensor, &kind) == 0 && kind == kLiteRtRankedTensorTypeId &&
         LiteRtGetRankedTensorType(tensor, type) == 0 && type->element_type == element_type &&
         type->layout.rank >= 2 &&
         type->layout.rank <= sizeof type->layout.dimensions / sizeof *type->layout.dimensions;
}

/* Returns how many values a row of a tensor has; 0 if that is no number, or too many. */
static size_t row_size(const LiteRtLayout* layout) {
  size_t size = 1;
  for (unsigned k = 1; k < layout->rank; ++k) {
    const int32_t side = layout->dimensions[k];
    if (side < 1 || size > kMaxRow / (size_t)side) return 0;
    size *= (size_t)side;
  }
  return size;
}

/* Looks for an input of `sample` by its name. */
static bool find_input(const MadeModel* made, size_t num_inputs, const char* name,
                       int element_type, MadeInput* input) {
  for (size_t index = 0; index < num_inputs; ++index) {
    const char* own = NULL;
    LiteRtTensor tensor = NULL;
    if (LiteRtGetSignatureInputName(made->sample, index, &own) != 0 || own == NULL) return false;
    if (strcmp(own, name) == 0) {
      input->index = index;
      return LiteRtGetSignatureInputTensorByIndex(made->sample, index, &tensor) == 0 &&
             check_tensor(tensor, element_type, &input->type);
    }
  }
  return false;
}

static bool check_signature(MadeModel* made, const char* path) {
  size_t num_inputs = 0, num_outputs = 0;
  const char* output = NULL;
  LiteRtTensor tensor = NULL;
  bool good = LiteRtGetNumSignatureInputs(made->sample, &num_inputs) == 0 &&
              (num_inputs == 1 || num_inputs == 2) &&
              find_input(made, num_inputs, "seeds", kLiteRtElementTypeInt32, &made->seeds) &&
              made->seeds.type.layout.rank == 2 && row_size(&made->seeds.type.layout) == 2;
  if (good && num_inputs == 2) {
    good = find_input(made, num_inputs, "context", kLiteRtElementTypeFloat32, &made->context);
    made->context_size = good ? row_size(&made->context.type.layout) : 0;
    good = made->context_size > 0;
  }
  good = good && LiteRtGetNumSignatureOutputs(made->sample, &num_outputs) == 0 &&
         num_outputs == 1 && LiteRtGetSignatureOutputName(made->sample, 0, &output) == 0 &&
         output != NULL && strcmp(output, "x") == 0 &&
         LiteRtGetSignatureOutputTensorByIndex(made->sample, 0, &tensor) == 0 &&
         check_tensor(tensor, kLiteRtElementTypeFloat32, &made->x_type) &&
         made->x_type.layout.rank == 2 && row_size(&made->x_type.layout) > 0;
  if (!good) {
    return fail("the signature 'sample' of %s must lead from seeds, int32 [n, 2], and perhaps "
                "context, float32 [n, ...], to x, float32 [n, D]", path);
  }
  made->event_size = made->x_type.layout.dimensions[1];
  return true;
}

static bool compile(MadeModel* made) {
  LiteRtOptions options = NULL;
  if (!worked(LiteRtCreateOptions(&options), "make options")) return false;
  const bool good =
      worked(LiteRtSetOptionsHardwareAccelerators(options, kLiteRtHwAcceleratorCpu),
             "choose the CPU") &&
      worked(LiteRtCreateCompiledModel(made->environment, made->model, options, &made->compiled),
             "prepare the model");
  LiteRtDestroyOptions(options);
  return good;
}

/* Gives an input `batch` rows, once: buffers must be asked for afterwards. */
static bool resize(MadeModel* made, MadeInput* input) {
  LiteRtLayout* layout = &input->type.layout;
  int sizes[sizeof layout->dimensions / sizeof *layout->dimensions];
  layout->dimensions[0] = made->batch;
  for (unsigned k = 0; k < layout->rank; ++k) sizes[k] = layout->dimensions[k];
  return worked(LiteRtCompiledModelResizeInputTensor(made->compiled, made->signature, input->index,
                                                     sizes, layout->rank),
                "resize an input");
}

/* Allocates the buffer of an input of so many bytes. */
static bool allocate(MadeModel* made, MadeInput* input, size_t needed) {
  LiteRtTensorBufferRequirements requirements = NULL;
  size_t size = 0;
  if (!worked(LiteRtGetCompiledModelInputBufferRequirements(made->compiled, made->signature,
                                                            input->index, &requirements),
              "tell what an input needs") ||
      !worked(LiteRtCreateManagedTensorBufferFromRequirements(made->environment, &input->type,
                                                              requirements, &input->buffer),
              "allocate an input") ||
      !worked(LiteRtGetTensorBufferPackedSize(input->buffer, &size), "measure an input")) {
    return false;
  }
  return size >= needed || fail("LiteRT gives an input too small for %d rows", made->batch);
}

/* Gives inputs and output `batch` rows, and buffers. */
static bool prepare(MadeModel* made) {
  LiteRtLayout layout = {0};
  LiteRtTensorBufferRequirements output = NULL;
  const size_t rows = (size_t)made->batch;
  const bool conditioned = made->context_size > 0;
  size_t size = 0;
  if (!resize(made, &made->seeds) || (conditioned && !resize(made, &made->context)) ||
      !worked(LiteRtGetCompiledModelOutputTensorLayouts(made->compiled, made->signature, 1,
                                                        &layout, true),
              "allocate tensors for so many rows")) {
    return false;
  }
  if (layout.rank != 2 || layout.dimensions[0] != made->batch ||
      layout.dimensions[1] != made->event_size) {
    return fail("LiteRT gives x another shape than [%d, %d] before it runs: --batch 1 may do (the "
                "model that encodes the context reshapes it?)", made->batch, made->event_size);
  }
  made->x_type.layout.dimensions[0] = made->batch;
  if (!allocate(made, &made->seeds, rows * 2 * sizeof(int32_t)) ||
      (conditioned &&
       !allocate(made, &made->context, rows * made->context_size * sizeof(float))) ||
      !worked(LiteRtGetCompiledModelOutputBufferRequirements(made->compiled, made->signature, 0,
                                                             &output),
              "tell what the output needs") ||
      !worked(LiteRtCreateManagedTensorBufferFromRequirements(made->environment, &made->x_type,
                                                              output, &made->x),
              "allocate the output") ||
      !worked(LiteRtGetTensorBufferPackedSize(made->x, &size), "measure the output")) {
    return false;
  }
  return size >= rows * (size_t)made->event_size * sizeof(float) ||
         fail("LiteRT gives an output too small for %d rows", made->batch);
}

bool made_open(MadeModel* made, const char* path, int batch) {
  memset(made, 0, sizeof *made);
  made->batch = batch;
  if (!read_file(made, path) || !check_whole(made, path) ||
      !worked(LiteRtCreateEnvironment(0, NULL, &made->environment), "start")) {
    return false;
  }
#ifdef MADE_LITERT_BEFORE_2_1_6
  const LiteRtStatus status = LiteRtCreateModelFromBuffer(made->content, made->size, &made->model);
#else
  const LiteRtStatus status = LiteRtCreateModelFromBuffer(made->environment, made->content,
                                                          made->size, &made->model);
#endif
  if (status != 0) {
    return fail("%s is no complete LiteRT model (.tflite): status %d", path, status);
  }
  read_image_shape(made);
  return find_sample(made, path) && check_signature(made, path) && compile(made) && prepare(made);
}

bool made_condition(MadeModel* made, const float* context) {
  void* address = NULL;
  if (!worked(LiteRtLockTensorBuffer(made->context.buffer, &address,
                                     kLiteRtTensorBufferLockModeWrite),
              "write the context")) {
    return false;
  }
  float* values = address;
  for (size_t i = 0; i < (size_t)made->batch; ++i) {
    memcpy(values + i * made->context_size, context, made->context_size * sizeof *values);
  }
  return worked(LiteRtUnlockTensorBuffer(made->context.buffer), "hand over the context");
}

bool made_draw(MadeModel* made, int32_t seed, int64_t first, float* rows) {
  void* address = NULL;
  LiteRtTensorBuffer inputs[2] = {NULL, NULL};
  const size_t num_inputs = made->context_size > 0 ? 2 : 1;
  if (num_inputs == 2) inputs[made->context.index] = made->context.buffer;
  inputs[made->seeds.index] = made->seeds.buffer;
  if (!worked(LiteRtLockTensorBuffer(made->seeds.buffer, &address,
                                     kLiteRtTensorBufferLockModeWrite),
              "write the seeds")) {
    return false;
  }
  int32_t* pairs = address;
  for (int i = 0; i < made->batch; ++i) {
    const int64_t row = first + i;
    pairs[2 * i] = seed;
    pairs[2 * i + 1] = row > INT32_MAX ? INT32_MAX : (int32_t)row; /* beyond: surplus rows */
  }
  if (!worked(LiteRtUnlockTensorBuffer(made->seeds.buffer), "hand over the seeds") ||
      !worked(LiteRtRunCompiledModel(made->compiled, made->signature, num_inputs, inputs,
                                     1, &made->x),
              "draw rows") ||
      !worked(LiteRtLockTensorBuffer(made->x, &address, kLiteRtTensorBufferLockModeRead),
              "read the rows")) {
    return false;
  }
  memcpy(rows, address, (size_t)made->batch * (size_t)made->event_size * sizeof *rows);
  return worked(LiteRtUnlockTensorBuffer(made->x), "release the rows");
}

void made_close(MadeModel* made) {
  if (made->seeds.buffer != NULL) LiteRtDestroyTensorBuffer(made->seeds.buffer);
  if (made->context.buffer != NULL) LiteRtDestroyTensorBuffer(made->context.buffer);
  if (made->x != NULL) LiteRtDestroyTensorBuffer(made->x);
  if (made->compiled != NULL) LiteRtDestroyCompiledModel(made->compiled);
  if (made->model != NULL) LiteRtDestroyModel(made->model);
  if (made->environment != NULL) LiteRtDestroyEnvironment(made->environment);
  free(made->content);
  memset(made, 0, sizeof *made);
}
