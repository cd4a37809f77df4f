#include "addon/codecs.h"

#include <cstring>
#include <optional>
#include <span>

#include "codecs/lz4_block.h"
#include "codecs/lzma.h"

namespace nodevm {

namespace {

// The elements of a typed array, none where it is detached; throws a TypeError for anything else.
template <typename Element>
std::optional<std::span<Element>> elementsOf(const Napi::Value& value, napi_typedarray_type type,
                                             const char* expected) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    Napi::TypeError::New(value.Env(), expected).ThrowAsJavaScriptException();
    return std::nullopt;
  }
  auto array = value.As<Napi::TypedArrayOf<Element>>();
  return std::span<Element>(array.Data(), array.ElementLength());
}

std::optional<std::span<uint8_t>> bytesOf(const Napi::Value& value) {
  return elementsOf<uint8_t>(value, napi_uint8_array, "expected a Uint8Array");
}

Napi::Value toObject(Napi::Env env, const CodecProgress& progress) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("status", static_cast<uint32_t>(progress.status));
  object.Set("consumed", static_cast<double>(progress.consumed));
  object.Set("produced", static_cast<double>(progress.produced));
  return object;
}

}  // namespace

Napi::Value unpackLz4BlockOf(const Napi::CallbackInfo& info) {
  const auto input = bytesOf(info[0]);
  if (!input) return info.Env().Undefined();
  const auto output = bytesOf(info[1]);
  if (!output) return info.Env().Undefined();
  return toObject(info.Env(), unpackLz4Block(*input, *output));
}

Napi::Value decodeLzmaOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto input = bytesOf(info[0]);
  if (!input) return env.Undefined();
  const auto output = bytesOf(info[1]);
  if (!output) return env.Undefined();
  const auto fields = elementsOf<uint32_t>(info[3], napi_uint32_array, "expected a Uint32Array");
  if (!fields) return env.Undefined();
  const auto probabilities =
      elementsOf<uint16_t>(info[4], napi_uint16_array, "expected a Uint16Array");
  if (!probabilities) return env.Undefined();
  const double produced = info[2].IsNumber() ? info[2].As<Napi::Number>().DoubleValue() : -1;
  LzmaState state;
  const bool isComplete = fields->size_bytes() == sizeof state;
  if (isComplete) std::memcpy(&state, fields->data(), sizeof state);
  if (!isComplete || !state.isValid(probabilities->size()) ||
      !(produced >= 0 && produced <= static_cast<double>(output->size()))) {
    Napi::RangeError::New(env, "bad state of LZMA").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const CodecProgress progress =
      decodeLzma(*input, *output, static_cast<size_t>(produced), state, probabilities->data());
  std::memcpy(fields->data(), &state, sizeof state);
  return toObject(env, progress);
}

}  // namespace nodevm
