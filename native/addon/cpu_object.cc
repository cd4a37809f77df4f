#include "addon/cpu_object.h"

#include <algorithm>
#include <string>
#include <utility>

#include "addon/registers.h"
#include "interpreter/block_cache.h"
#include "jit/jit.h"

namespace nodevm {

namespace {

// Views of at most 1 GiB: V8 refuses one external buffer of 8 GiB.
constexpr uint64_t kViewBytes = uint64_t{1} << 30;

uint64_t toUint64(const Napi::Value& value) {
  return static_cast<uint64_t>(value.As<Napi::Number>().DoubleValue());
}

uint64_t bigToUint64(const Napi::Value& value) {
  bool lossless = false;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

JitOptions jitOptions(const Napi::Value& value) {
  JitOptions options;
  if (!value.IsObject()) return options;
  const Napi::Object object = value.As<Napi::Object>();
  if (const Napi::Value bytes = object.Get("bufferBytes"); bytes.IsNumber())
    options.bufferBytes = toUint64(bytes);
  if (const Napi::Value threshold = object.Get("threshold"); threshold.IsNumber())
    options.threshold = threshold.As<Napi::Number>().Uint32Value();
  if (const Napi::Value link = object.Get("link"); link.IsBoolean())
    options.link = link.As<Napi::Boolean>().Value();
  if (const Napi::Value threshold = object.Get("pathThreshold"); threshold.IsNumber())
    options.pathThreshold = threshold.As<Napi::Number>().Uint32Value();
  if (const Napi::Value most = object.Get("mostInstructions"); most.IsNumber())
    options.mostInstructions =
        std::clamp(most.As<Napi::Number>().Uint32Value(), 1u, BlockCache::kNoLimit);
  if (const Napi::Value profile = object.Get("profile"); profile.IsBoolean())
    options.profile = profile.As<Napi::Boolean>().Value();
  return options;
}

}  // namespace

Napi::Function CpuObject::constructorFunction(Napi::Env env) {
  using Self = CpuObject;
  const Napi::Function type =
      DefineClass(env, "NativeCpu",
                  {InstanceMethod<&Self::run>("run"),
                   InstanceMethod<&Self::requestStop>("requestStop"),
                   InstanceMethod<&Self::reset>("reset"),
                   InstanceAccessor<&Self::exitBlock>("exitBlock"),
                   InstanceMethod<&Self::setPolledPorts>("setPolledPorts"),
                   InstanceAccessor<&Self::recorder>("recorder"),
                   InstanceAccessor<&Self::traceBuffer>("traceBuffer"),
                   InstanceMethod<&Self::setTrace>("setTrace"),
                   InstanceAccessor<&Self::ram>("ram"),
                   InstanceMethod<&Self::invalidateCode>("invalidateCode"),
                   InstanceMethod<&Self::setIntr>("setIntr"),
                   InstanceMethod<&Self::setA20>("setA20"),
                   InstanceMethod<&Self::raiseNmi>("raiseNmi"),
                   InstanceMethod<&Self::apicMessage>("apicMessage"),
                   InstanceMethod<&Self::now>("now"),
                   InstanceMethod<&Self::advanceTo>("advanceTo"),
                   InstanceMethod<&Self::getRegister>("getRegister"),
                   InstanceMethod<&Self::setRegister>("setRegister"),
                   InstanceMethod<&Self::getSegment>("getSegment"),
                   InstanceMethod<&Self::setSegment>("setSegment"),
                   InstanceMethod<&Self::readFpu>("readFpu"),
                   InstanceMethod<&Self::writeFpu>("writeFpu"),
                   InstanceMethod<&Self::readApic>("readApic"),
                   InstanceAccessor<&Self::halted>("halted"),
                   InstanceMethod<&Self::setBreakpoints>("setBreakpoints"),
                   InstanceMethod<&Self::beginStep>("beginStep"),
                   InstanceMethod<&Self::cancelStep>("cancelStep"),
                   InstanceMethod<&Self::cpuid>("cpuid"),
                   InstanceMethod<&Self::holdClock>("holdClock"),
                   InstanceMethod<&Self::translate>("translate"),
                   InstanceMethod<&Self::checkInvariants>("checkInvariants"),
                   InstanceMethod<&Self::statistics>("statistics"),
                   InstanceMethod<&Self::jitProfile>("jitProfile")});
  const auto create = [](const Napi::CallbackInfo& info) -> Napi::Value {
    auto* constructor = static_cast<Napi::FunctionReference*>(info.Data());
    return constructor->New({info[0]});
  };
  auto* constructor = new Napi::FunctionReference(Napi::Persistent(type));
  Napi::Function function = Napi::Function::New(env, create, "createCpu", constructor);
  function.AddFinalizer([](Napi::Env, Napi::FunctionReference* reference) { delete reference; },
                        constructor);
  return function;
}

CpuObject::CpuObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<CpuObject>(info), eventLoop_(info.Env()) {
  const Napi::Object options = info[0].As<Napi::Object>();
  const std::string clock = options.Get("clock").As<Napi::String>().Utf8Value();
  bundle_.reset(new CpuBundle(toUint64(options.Get("lowRam")), toUint64(options.Get("highRam")),
                              clock == "icount" ? ClockSource::kIcount : ClockSource::kHost));
  if (!bundle_->ram.data())
    Napi::Error::New(info.Env(), "the host has no room for the guest's memory")
        .ThrowAsJavaScriptException();
  const Napi::Value engine = options.Get("engine");
  if (engine.IsString() && engine.As<Napi::String>().Utf8Value() == "jit")
    bundle_->cpu.jit = Jit::create(bundle_->cpu, jitOptions(options.Get("jit")));
  const Napi::Value features = options.Get("features");
  if (features.IsBigInt())
    bundle_->cpu.features = bigToUint64(features) | setOf(Feature::kBaseline);
  const Napi::Value tlbEntries = options.Get("tlbEntries");
  if (tlbEntries.IsNumber()) bundle_->cpu.tlbs.limit(tlbEntries.As<Napi::Number>().Uint32Value());
  const Napi::Value seed = options.Get("entropySeed");
  if (seed.IsBigInt()) bundle_->cpu.seedEntropy(bigToUint64(seed));
  bundle_->cpu.bystander = &eventLoop_;
}

// --- running

Napi::Value CpuObject::run(const Napi::CallbackInfo& info) {
  const ExitReason reason = bundle_->cpu.run(toUint64(info[0]));
  return Napi::Number::New(info.Env(), static_cast<double>(reason));
}

void CpuObject::requestStop(const Napi::CallbackInfo&) { bundle_->cpu.requestStop(); }

void CpuObject::reset(const Napi::CallbackInfo&) { bundle_->cpu.reset(); }

Napi::Value CpuObject::now(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(bundle_->cpu.nowNs()));
}

void CpuObject::advanceTo(const Napi::CallbackInfo& info) {
  bundle_->cpu.clock.advanceTo(toUint64(info[0]), bundle_->cpu.retired());
}

// --- memory

Napi::Value CpuObject::externalBuffer(Napi::Env env, void* data, size_t length) {
  auto* keepAlive = new std::shared_ptr<CpuBundle>(bundle_);
  return Napi::ArrayBuffer::New(
      env, data, length,
      [](Napi::Env, void*, std::shared_ptr<CpuBundle>* reference) { delete reference; }, keepAlive);
}

void CpuObject::setPolledPorts(const Napi::CallbackInfo& info) {
  PolledPorts& polled =
      bundle_->exitBlock.posted
          .polled[info[0].As<Napi::Number>().Uint32Value() % PostedPorts::kPolled];
  polled = {};
  if (!info[1].IsObject()) return;
  const Napi::Object ports = info[1].As<Napi::Object>();
  const auto number = [&](const char* name) {
    return ports.Get(name).As<Napi::Number>().Uint32Value();
  };
  polled = {number("write"), number("read"), number("value"), PostedPorts::kMostReads};
}

Napi::Value CpuObject::exitBlock(const Napi::CallbackInfo& info) {
  return externalBuffer(info.Env(), &bundle_->exitBlock, sizeof(ExitBlock));
}

Napi::Value CpuObject::recorder(const Napi::CallbackInfo& info) {
  return externalBuffer(info.Env(), &bundle_->cpu.recorder, sizeof(Recorder));
}

Napi::Value CpuObject::traceBuffer(const Napi::CallbackInfo& info) {
  return externalBuffer(info.Env(), &bundle_->cpu.trace.buffer(), sizeof(TraceBuffer));
}

// setTrace(kinds, stops, ranges): pairs of first and last address.
void CpuObject::setTrace(const Napi::CallbackInfo& info) {
  TraceOptions options{.kinds = info[0].As<Napi::Number>().Uint32Value(),
                       .stops = info[1].As<Napi::Boolean>().Value(),
                       .ranges = {}};
  const Napi::BigUint64Array ends = info[2].As<Napi::BigUint64Array>();
  for (size_t n = 0; n + 1 < ends.ElementLength(); n += 2)
    options.ranges.push_back({ends[n], ends[n + 1]});
  bundle_->cpu.setTrace(std::move(options));
}

Napi::Value CpuObject::ram(const Napi::CallbackInfo& info) {
  const Napi::Array views = Napi::Array::New(info.Env());
  uint8_t* data = bundle_->ram.data();
  for (const uint64_t range : {bundle_->ram.lowBytes(), bundle_->ram.highBytes()}) {
    for (uint64_t done = 0; done < range; done += kViewBytes) {
      const uint64_t length = std::min(kViewBytes, range - done);
      views.Set(views.Length(), externalBuffer(info.Env(), data + done, length));
    }
    data += range;
  }
  return views;
}

void CpuObject::invalidateCode(const Napi::CallbackInfo& info) {
  bundle_->cpu.blocks->invalidate(bundle_->cpu, toUint64(info[0]), toUint64(info[1]));
}

Napi::Value CpuObject::translate(const Napi::CallbackInfo& info) {
  const Translation found = peekWalk(bundle_->cpu.paging, bundle_->ram, bigToUint64(info[0]));
  return Napi::Number::New(info.Env(), found.ok ? static_cast<double>(found.gpa) : -1.0);
}

// --- interrupts

void CpuObject::setIntr(const Napi::CallbackInfo& info) {
  bundle_->cpu.apic.setLint0(info[0].As<Napi::Boolean>().Value());
}

void CpuObject::setA20(const Napi::CallbackInfo& info) {
  bundle_->cpu.setA20(info[0].As<Napi::Boolean>().Value());
}

void CpuObject::raiseNmi(const Napi::CallbackInfo&) { bundle_->cpu.apic.raiseLint1(); }

void CpuObject::apicMessage(const Napi::CallbackInfo& info) {
  bundle_->cpu.apic.message(
      info[0].As<Napi::Number>().Uint32Value(), info[1].As<Napi::Boolean>().Value(),
      info[2].As<Napi::Number>().Uint32Value(), info[3].As<Napi::Number>().Uint32Value(),
      info[4].As<Napi::Boolean>().Value());
}

// --- registers

Napi::Value CpuObject::getRegister(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  return Napi::BigInt::New(info.Env(), readRegister(bundle_->cpu, name));
}

void CpuObject::setRegister(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  writeRegister(bundle_->cpu, name, bigToUint64(info[1]));
}

Napi::Value CpuObject::getSegment(const Napi::CallbackInfo& info) {
  const SegmentRegister* found =
      segmentByName(bundle_->cpu, info[0].As<Napi::String>().Utf8Value());
  const SegmentRegister value = found ? *found : SegmentRegister{};
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("selector", Napi::Number::New(info.Env(), value.selector));
  object.Set("base", Napi::BigInt::New(info.Env(), value.base));
  object.Set("limit", Napi::Number::New(info.Env(), value.limit));
  object.Set("access", Napi::Number::New(info.Env(), value.access));
  return object;
}

void CpuObject::setSegment(const Napi::CallbackInfo& info) {
  SegmentRegister* found = segmentByName(bundle_->cpu, info[0].As<Napi::String>().Utf8Value());
  if (!found) return;
  const Napi::Object object = info[1].As<Napi::Object>();
  found->selector = static_cast<uint16_t>(object.Get("selector").As<Napi::Number>().Uint32Value());
  found->base = bigToUint64(object.Get("base"));
  found->limit = object.Get("limit").As<Napi::Number>().Uint32Value();
  found->access = static_cast<uint16_t>(object.Get("access").As<Napi::Number>().Uint32Value());
  bundle_->cpu.updateMode();
}

Napi::Value CpuObject::readFpu(const Napi::CallbackInfo& info) {
  Napi::Uint8Array image = Napi::Uint8Array::New(info.Env(), kFpuImageBytes);
  readFpuImage(bundle_->cpu, image.Data());
  return image;
}

void CpuObject::writeFpu(const Napi::CallbackInfo& info) {
  const Napi::Uint8Array image = info[0].As<Napi::Uint8Array>();
  if (image.ByteLength() == kFpuImageBytes) writeFpuImage(bundle_->cpu, image.Data());
}

Napi::Value CpuObject::readApic(const Napi::CallbackInfo& info) {
  Cpu& cpu = bundle_->cpu;
  uint64_t value = 0;
  const bool known =
      cpu.apic.read(info[0].As<Napi::Number>().Uint32Value(), false, cpu.nowNs(), value);
  return Napi::Number::New(info.Env(), known ? static_cast<double>(value) : 0);
}

Napi::Value CpuObject::cpuid(const Napi::CallbackInfo& info) {
  const Cpu::CpuidResult result = bundle_->cpu.cpuid(info[0].As<Napi::Number>().Uint32Value(),
                                                     info[1].As<Napi::Number>().Uint32Value());
  Napi::Array registers = Napi::Array::New(info.Env());
  for (const uint32_t value : {result.eax, result.ebx, result.ecx, result.edx})
    registers.Set(registers.Length(), Napi::Number::New(info.Env(), value));
  return registers;
}

Napi::Value CpuObject::halted(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), bundle_->cpu.halted);
}

// --- debuggers

void CpuObject::setBreakpoints(const Napi::CallbackInfo& info) {
  const Napi::Array list = info[0].As<Napi::Array>();
  std::vector<Breakpoint> wanted;
  for (uint32_t n = 0; n < list.Length(); ++n) {
    const Napi::Object row = list.Get(n).As<Napi::Object>();
    const uint32_t kind = row.Get("kind").As<Napi::Number>().Uint32Value();
    wanted.push_back({.kind = static_cast<BreakpointKind>(kind),
                      .address = bigToUint64(row.Get("address")),
                      .length = toUint64(row.Get("length"))});
  }
  bundle_->cpu.setBreakpoints(std::move(wanted));
}

void CpuObject::beginStep(const Napi::CallbackInfo& info) {
  bundle_->cpu.beginStep(info[0].As<Napi::Boolean>().Value());
}

void CpuObject::cancelStep(const Napi::CallbackInfo&) { bundle_->cpu.debug.stepping = false; }

void CpuObject::holdClock(const Napi::CallbackInfo& info) {
  bundle_->cpu.clock.hold(info[0].As<Napi::Boolean>().Value());
}

Napi::Value CpuObject::checkInvariants(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), bundle_->cpu.blocks->checkInvariants(bundle_->cpu));
}

Napi::Value CpuObject::statistics(const Napi::CallbackInfo& info) {
  const Cpu& cpu = bundle_->cpu;
  Napi::Object object = Napi::Object::New(info.Env());
  const auto counter = [&](const char* name, uint64_t value) {
    object.Set(name, Napi::Number::New(info.Env(), static_cast<double>(value)));
  };
  counter("instructions", cpu.retired());
  counter("blocksDecoded", cpu.blocksDecoded);
  counter("blocksLive", cpu.blocks->blockCount());
  counter("tlbMisses", cpu.tlbMisses);
  counter("eventsDelivered", cpu.eventsDelivered);
  if (cpu.jit) {
    const JitStatistics& jit = cpu.jit->statistics();
    counter("blocksTranslated", jit.blocks);
    counter("pathsTranslated", jit.paths);
    counter("blocksLeftToInterpreter", jit.left);
    counter("guestBytesTranslated", jit.guestBytes);
    counter("codeBytes", jit.codeBytes);
    counter("codeBufferDrops", jit.drops);
  }
  return object;
}

Napi::Value CpuObject::jitProfile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Jit* jit = bundle_->cpu.jit.get();
  const HostTimes times = jit && jit->hostProfile ? jit->hostProfile->times() : HostTimes{};
  const auto number = [&](uint64_t value) {
    return Napi::Number::New(env, static_cast<double>(value));
  };
  const Napi::Array phases = Napi::Array::New(env), rows = Napi::Array::New(env);
  for (unsigned n = 0; n < kPhases; ++n) {
    Napi::Object phase = Napi::Object::New(env);
    phase.Set("name", Napi::String::New(env, nameOf(static_cast<Phase>(n))));
    phase.Set("nanoseconds", number(times.phases[n]));
    phases.Set(phases.Length(), phase);
  }
  for (unsigned n = 0; jit && n < kRowCount; ++n) {
    const JitProfile::Counts& counts = jit->profile.rows[n];
    if (counts.untranslated + counts.missed + counts.ended == 0) continue;
    Napi::Object row = Napi::Object::New(env);
    row.Set("name", Napi::String::New(env, kRows[n].name));
    row.Set("untranslated", number(counts.untranslated));
    row.Set("missed", number(counts.missed));
    row.Set("ended", number(counts.ended));
    row.Set("nanoseconds", number(times.rows.empty() ? 0 : times.rows[n]));
    rows.Set(rows.Length(), row);
  }
  Napi::Object profile = Napi::Object::New(env);
  profile.Set("phases", phases);
  profile.Set("rows", rows);
  return profile;
}

}  // namespace nodevm
