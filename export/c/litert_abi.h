/* The part of LiteRT's C API that made_sample calls, as libLiteRt.so exports it.
 *
 * The wheel ai-edge-litert ships the library without headers. These declarations say what
 * litert/c/ of LiteRT 2.1 to 2.3 says. It documents its structures as stable; of the functions
 * here one has changed since 2.1.0, LiteRtCreateModelFromBuffer, and build.sh tells which form
 * the library has. The older TfLiteInterpreter API is not exported by this library at all.
 */
#ifndef MADE_LITERT_ABI_H_
#define MADE_LITERT_ABI_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int LiteRtStatus; /* 0: it worked */
typedef struct LiteRtEnvironmentT* LiteRtEnvironment;
typedef struct LiteRtModelT* LiteRtModel;
typedef struct LiteRtSignatureT* LiteRtSignature;
typedef struct LiteRtTensorT* LiteRtTensor;
typedef struct LiteRtOptionsT* LiteRtOptions;
typedef struct LiteRtCompiledModelT* LiteRtCompiledModel;
typedef struct LiteRtTensorBufferT* LiteRtTensorBuffer;
typedef struct LiteRtTensorBufferRequirementsT* LiteRtTensorBufferRequirements;

enum { kLiteRtElementTypeFloat32 = 1, kLiteRtElementTypeInt32 = 2 };
enum { kLiteRtHwAcceleratorCpu = 1 };
enum { kLiteRtTensorBufferLockModeRead = 0, kLiteRtTensorBufferLockModeWrite = 1 };
enum { kLiteRtRankedTensorTypeId = 0 };

typedef struct {
  unsigned int rank : 7;
  unsigned int has_strides : 1;
  int32_t dimensions[8];
  uint32_t strides[8];
} LiteRtLayout;

typedef struct {
  int element_type;
  LiteRtLayout layout;
} LiteRtRankedTensorType;

_Static_assert(sizeof(LiteRtLayout) == 68, "LiteRtLayout is not what the library has");
_Static_assert(sizeof(LiteRtRankedTensorType) == 72, "LiteRtRankedTensorType is another one");

LiteRtStatus LiteRtCreateEnvironment(int num_options, const void* options, LiteRtEnvironment* out);
void LiteRtDestroyEnvironment(LiteRtEnvironment environment);

#ifdef MADE_LITERT_BEFORE_2_1_6
LiteRtStatus LiteRtCreateModelFromBuffer(const void* content, size_t size, LiteRtModel* out);
#else
LiteRtStatus LiteRtCreateModelFromBuffer(LiteRtEnvironment environment, const void* content,
                                         size_t size, LiteRtModel* out);
#endif
void LiteRtDestroyModel(LiteRtModel model);
LiteRtStatus LiteRtGetModelMetadata(LiteRtModel model, const char* key, const void** content,
                                    size_t* size);

LiteRtStatus LiteRtGetNumModelSignatures(LiteRtModel model, size_t* out);
LiteRtStatus LiteRtGetModelSignature(LiteRtModel model, size_t index, LiteRtSignature* out);
LiteRtStatus LiteRtGetSignatureKey(LiteRtSignature signature, const char** out);
LiteRtStatus LiteRtGetNumSignatureInputs(LiteRtSignature signature, size_t* out);
LiteRtStatus LiteRtGetNumSignatureOutputs(LiteRtSignature signature, size_t* out);
LiteRtStatus LiteRtGetSignatureInputName(LiteRtSignature signature, size_t index, const char** out);
LiteRtStatus LiteRtGetSignatureOutputName(LiteRtSignature signature, size_t index,
                                          const char** out);
LiteRtStatus LiteRtGetSignatureInputTensorByIndex(LiteRtSignature signature, size_t index,
                                                  LiteRtTensor* out);
LiteRtStatus LiteRtGetSignatureOutputTensorByIndex(LiteRtSignature signature, size_t index,
                                                   LiteRtTensor* out);
LiteRtStatus LiteRtGetTensorTypeId(LiteRtTensor tensor, int* out);
LiteRtStatus LiteRtGetRankedTensorType(LiteRtTensor tensor, LiteRtRankedTensorType* out);

LiteRtStatus LiteRtCreateOptions(LiteRtOptions* out);
void LiteRtDestroyOptions(LiteRtOptions options);
LiteRtStatus LiteRtSetOptionsHardwareAccelerators(LiteRtOptions options, int accelerators);

LiteRtStatus LiteRtCreateCompiledModel(LiteRtEnvironment environment, LiteRtModel model,
                                       LiteRtOptions options, LiteRtCompiledModel* out);
void LiteRtDestroyCompiledModel(LiteRtCompiledModel compiled);
LiteRtStatus LiteRtCompiledModelResizeInputTensor(LiteRtCompiledModel compiled, size_t signature,
                                                  size_t input, const int* sizes,
                                                  size_t num_sizes);
LiteRtStatus LiteRtGetCompiledModelOutputTensorLayouts(LiteRtCompiledModel compiled,
                                                       size_t signature, size_t num_layouts,
                                                       LiteRtLayout* out, bool update_allocation);
LiteRtStatus LiteRtGetCompiledModelInputBufferRequirements(LiteRtCompiledModel compiled,
                                                           size_t signature, size_t input,
                                                           LiteRtTensorBufferRequirements* out);
LiteRtStatus LiteRtGetCompiledModelOutputBufferRequirements(LiteRtCompiledModel compiled,
                                                            size_t signature, size_t output,
                                                            LiteRtTensorBufferRequirements* out);
LiteRtStatus LiteRtRunCompiledModel(LiteRtCompiledModel compiled, size_t signature,
                                    size_t num_inputs, LiteRtTensorBuffer* inputs,
                                    size_t num_outputs, LiteRtTensorBuffer* outputs);

LiteRtStatus LiteRtCreateManagedTensorBufferFromRequirements(
    LiteRtEnvironment environment, const LiteRtRankedTensorType* type,
    LiteRtTensorBufferRequirements requirements, LiteRtTensorBuffer* out);
void LiteRtDestroyTensorBuffer(LiteRtTensorBuffer buffer);
LiteRtStatus LiteRtGetTensorBufferPackedSize(LiteRtTensorBuffer buffer, size_t* out);
LiteRtStatus LiteRtLockTensorBuffer(LiteRtTensorBuffer buffer, void** address, int mode);
LiteRtStatus LiteRtUnlockTensorBuffer(LiteRtTensorBuffer buffer);

#endif /* MADE_LITERT_ABI_H_ */
