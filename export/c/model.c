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
enum { kDigits = 64 };

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

static bool find_sample(MadeModel* made, const char* path, LiteRtSignature* signature) {
  size_t count = 0;
  if (!worked(LiteRtGetNumModelSignatures(made->model, &count), "count signatures")) return false;
  for (size_t index = 0; index < count; ++index) {
    const char* key = NULL;
    if (!worked(LiteRtGetModelSignature(made->model, index, signature), "read a signature") ||
        !worked(LiteRtGetSignatureKey(*signature, &key), "read a signature's name")) {
      return false;
    }
    if (key != NULL && strcmp(key, "sample") == 0) {
      made->signature = index;
      return true;
    }
  }
  return fail("%s has no signature 'sample': made_tf exports files that have", path);
}

/* Reads a tensor's type and checks that it is a matrix. */
static bool check_tensor(LiteRtTensor tensor, int element_type, LiteRtRankedTensorType* type) {
  int kind = -1;
  return LiteRtGetTensorTypeId(tensor, &kind) == 0 && kind == kLiteRtRankedTensorTypeId &&
         LiteRtGetRankedTensorType(tensor, type) == 0 && type->element_type == element_type &&
         type->layout.rank == 2;
}

static bool check_signature(MadeModel* made, const char* path, LiteRtSignature signature,
                            LiteRtRankedTensorType* seeds, LiteRtRankedTensorType* x) {
  size_t num_inputs = 0, num_outputs = 0;
  const char *input = NULL, *output = NULL;
  LiteRtTensor tensor = NULL;
  const bool named = LiteRtGetNumSignatureInputs(signature, &num_inputs) == 0 && num_inputs == 1 &&
                     LiteRtGetNumSignatureOutputs(signature, &num_outputs) == 0 &&
                     num_outputs == 1 && LiteRtGetSignatureInputName(signature, 0, &input) == 0 &&
                     LiteRtGetSignatureOutputName(signature, 0, &output) == 0 && input != NULL &&
                     output != NULL && strcmp(input, "seeds") == 0 && strcmp(output, "x") == 0;
  const bool shaped =
      named && LiteRtGetSignatureInputTensorByIndex(signature, 0, &tensor) == 0 &&
      check_tensor(tensor, kLiteRtElementTypeInt32, seeds) && seeds->layout.dimensions[1] == 2 &&
      LiteRtGetSignatureOutputTensorByIndex(signature, 0, &tensor) == 0 &&
      check_tensor(tensor, kLiteRtElementTypeFloat32, x) && x->layout.dimensions[1] > 0;
  if (!shaped) {
    return fail("the signature 'sample' of %s must lead from seeds, int32 [n, 2], to x, float32 "
                "[n, D]", path);
  }
  made->event_size = x->layout.dimensions[1];
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

/* Gives the input and the output `batch` rows, once: buffers must be asked for afterwards. */
static bool resize(MadeModel* made, LiteRtRankedTensorType* seeds, LiteRtRankedTensorType* x) {
  const int sizes[2] = {made->batch, 2};
  LiteRtLayout layout = {0};
  LiteRtTensorBufferRequirements input = NULL, output = NULL;
  size_t input_size = 0, output_size = 0;
  if (!worked(LiteRtCompiledModelResizeInputTensor(made->compiled, made->signature, 0, sizes, 2),
              "resize the seeds") ||
      !worked(LiteRtGetCompiledModelOutputTensorLayouts(made->compiled, made->signature, 1,
                                                        &layout, true),
              "allocate tensors for so many rows")) {
    return false;
  }
  if (layout.rank != 2 || layout.dimensions[0] != made->batch ||
      layout.dimensions[1] != made->event_size) {
    return fail("LiteRT gives x another shape than [%d, %d]", made->batch, made->event_size);
  }
  seeds->layout.dimensions[0] = x->layout.dimensions[0] = made->batch;
  if (!worked(LiteRtGetCompiledModelInputBufferRequirements(made->compiled, made->signature, 0,
                                                            &input),
              "tell what the input needs") ||
      !worked(LiteRtGetCompiledModelOutputBufferRequirements(made->compiled, made->signature, 0,
                                                             &output),
              "tell what the output needs") ||
      !worked(LiteRtCreateManagedTensorBufferFromRequirements(made->environment, seeds, input,
                                                              &made->seeds),
              "allocate the input") ||
      !worked(LiteRtCreateManagedTensorBufferFromRequirements(made->environment, x, output,
                                                              &made->x),
              "allocate the output") ||
      !worked(LiteRtGetTensorBufferPackedSize(made->seeds, &input_size), "measure the input") ||
      !worked(LiteRtGetTensorBufferPackedSize(made->x, &output_size), "measure the output")) {
    return false;
  }
  const size_t rows = (size_t)made->batch;
  if (input_size < rows * 2 * sizeof(int32_t) ||
      output_size < rows * (size_t)made->event_size * sizeof(float)) {
    return fail("LiteRT gives buffers that are too small for %d rows", made->batch);
  }
  return true;
}

bool made_open(MadeModel* made, const char* path, int batch) {
  LiteRtSignature signature = NULL;
  LiteRtRankedTensorType seeds, x;
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
  return find_sample(made, path, &signature) &&
         check_signature(made, path, signature, &seeds, &x) && compile(made) &&
         resize(made, &seeds, &x);
}

bool made_draw(MadeModel* made, int32_t seed, int64_t first, float* rows) {
  void* address = NULL;
  if (!worked(LiteRtLockTensorBuffer(made->seeds, &address, kLiteRtTensorBufferLockModeWrite),
              "write the seeds")) {
    return false;
  }
  int32_t* pairs = address;
  for (int i = 0; i < made->batch; ++i) {
    const int64_t row = first + i;
    pairs[2 * i] = seed;
    pairs[2 * i + 1] = row > INT32_MAX ? INT32_MAX : (int32_t)row; /* beyond: surplus rows */
  }
  if (!worked(LiteRtUnlockTensorBuffer(made->seeds), "hand over the seeds") ||
      !worked(LiteRtRunCompiledModel(made->compiled, made->signature, 1, &made->seeds, 1,
                                     &made->x),
              "draw rows") ||
      !worked(LiteRtLockTensorBuffer(made->x, &address, kLiteRtTensorBufferLockModeRead),
              "read the rows")) {
    return false;
  }
  memcpy(rows, address, (size_t)made->batch * (size_t)made->event_size * sizeof *rows);
  return worked(LiteRtUnlockTensorBuffer(made->x), "release the rows");
}

void made_close(MadeModel* made) {
  if (made->seeds != NULL) LiteRtDestroyTensorBuffer(made->seeds);
  if (made->x != NULL) LiteRtDestroyTensorBuffer(made->x);
  if (made->compiled != NULL) LiteRtDestroyCompiledModel(made->compiled);
  if (made->model != NULL) LiteRtDestroyModel(made->model);
  if (made->environment != NULL) LiteRtDestroyEnvironment(made->environment);
  free(made->content);
  memset(made, 0, sizeof *made);
}
