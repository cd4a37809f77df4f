// The module: the exit block's layout, the way to make a CPU, and decoders.

#include <napi.h>

#include <cstddef>

#include "addon/codecs.h"
#include "addon/cpu_object.h"

namespace nodevm {

namespace {

// Offsets and sizes by name, for src/native.ts.
struct Layout {
  explicit Layout(Napi::Env env) : object(Napi::Object::New(env)) {}
  void operator()(const char* name, size_t value) {
    object.Set(name, Napi::Number::New(object.Env(), static_cast<double>(value)));
  }
  Napi::Object object;
};

Napi::Object exitBlockLayout(Napi::Env env) {
  Layout field(env);
  field("port", offsetof(ExitBlock, port));
  field("size", offsetof(ExitBlock, size));
  field("data", offsetof(ExitBlock, data));
  field("dataHigh", offsetof(ExitBlock, dataHigh));
  field("debugCause", offsetof(ExitBlock, debugCause));
  field("gpa", offsetof(ExitBlock, gpa));
  field("instructions", offsetof(ExitBlock, instructions));
  field("now", offsetof(ExitBlock, now));
  field("apicDeadline", offsetof(ExitBlock, apicDeadline));
  field("postingAllowed", offsetof(ExitBlock, posted.allowed));
  field("postedCount", offsetof(ExitBlock, posted.count));
  field("postedPort", offsetof(ExitBlock, posted.writes[0].port));
  field("postedValue", offsetof(ExitBlock, posted.writes[0].value));
  field("postedInstructions", offsetof(ExitBlock, posted.writes[0].instructions));
  field("postedStride", sizeof(PostedPorts::Write));
  field("byteLength", sizeof(ExitBlock));
  return field.object;
}

Napi::Object recordLayout(Napi::Env env) {
  Layout field(env);
  field("instructions", offsetof(Record, instructions));
  field("linear", offsetof(Record, linear));
  field("value", offsetof(Record, value));
  field("info", offsetof(Record, info));
  field("kind", offsetof(Record, kind));
  field("vector", offsetof(Record, vector));
  field("flags", offsetof(Record, flags));
  field("detail", offsetof(Record, detail));
  field("byteLength", sizeof(Record));
  field("eventCount", offsetof(Recorder, eventCount));
  field("entryCount", offsetof(Recorder, entryCount));
  field("events", offsetof(Recorder, events));
  field("eventCapacity", Recorder::kEvents);
  field("entries", offsetof(Recorder, entries));
  field("entryCapacity", Recorder::kEntries);
  field("traceCount", offsetof(TraceBuffer, count));
  field("traceLost", offsetof(TraceBuffer, lost));
  field("traceRecords", offsetof(TraceBuffer, records));
  return field.object;
}

// [{ name, bit, needs, possible }], src/native.ts: CpuFeature.
Napi::Array cpuFeatures(Napi::Env env) {
  Napi::Array features = Napi::Array::New(env, kFeatureRowCount);
  for (uint32_t n = 0; n < kFeatureRowCount; ++n) {
    const auto feature = static_cast<Feature>(n + 1);
    Napi::Object row = Napi::Object::New(env);
    row.Set("name", Napi::String::New(env, kFeatureRows[n].name));
    row.Set("bit", Napi::BigInt::New(env, setOf(feature)));
    row.Set("needs", Napi::BigInt::New(env, kFeatureRows[n].needs));
    row.Set("possible", Napi::Boolean::New(env, has(possibleFeatures(), feature)));
    features.Set(n, row);
  }
  return features;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("exitBlockLayout", exitBlockLayout(env));
  exports.Set("recordLayout", recordLayout(env));
  exports.Set("cpuFeatures", cpuFeatures(env));
  exports.Set("createCpu", CpuObject::constructorFunction(env));
  exports.Set("unpackLz4Block", Napi::Function::New<unpackLz4BlockOf>(env, "unpackLz4Block"));
  exports.Set("decodeLzma", Napi::Function::New<decodeLzmaOf>(env, "decodeLzma"));
  return exports;
}

}  // namespace

NODE_API_MODULE(nodevm, initialize)

}  // namespace nodevm
