#pragma once
// The decoders of native/codecs as functions; src/native.ts is their documentation.

#include <napi.h>

namespace nodevm {

Napi::Value unpackLz4BlockOf(const Napi::CallbackInfo& info);
Napi::Value decodeLzmaOf(const Napi::CallbackInfo& info);

}  // namespace nodevm
