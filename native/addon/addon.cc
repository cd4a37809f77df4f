// The module: the exit block's layout and the way to make a CPU.

#include <napi.h>

#include <cstddef>

#include "addon/cpu_object.h"

namespace nodevm {

namespace {

Napi::Object exitBlockLayout(Napi::Env env) {
  Napi::Object layout = Napi::Object::New(env);
  const auto field = [&](const char* name, size_t offset) {
    layout.Set(name, Napi::Number::New(env, static_cast<double>(offset)));
  };
  field("port", offsetof(ExitBlock, port));
  field("size", offsetof(ExitBlock, size));
  field("data", offsetof(ExitBlock, data));
  field("dataHigh", offsetof(ExitBlock, dataHigh));
  field("gpa", offsetof(ExitBlock, gpa));
  field("instructions", offsetof(ExitBlock, instructions));
  field("now", offsetof(ExitBlock, now));
  field("apicDeadline", offsetof(ExitBlock, apicDeadline));
  field("byteLength", sizeof(ExitBlock));
  return layout;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("exitBlockLayout", exitBlockLayout(env));
  exports.Set("createCpu", CpuObject::constructorFunction(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(nodevm, initialize)

}  // namespace nodevm
