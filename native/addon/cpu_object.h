#pragma once
// The JavaScript object around one Cpu and its RAM; src/native.ts is its documentation.

#include <napi.h>

#include <memory>

#include "addon/event_loop.h"
#include "cpu/cpu.h"
#include "mmu/huge_pages.h"

namespace nodevm {

// What outlives the JavaScript object while an ArrayBuffer still points into it.
struct CpuBundle : OnHugePages {
  CpuBundle(uint64_t lowRam, uint64_t highRam, ClockSource source)
      : ram(lowRam, highRam), cpu(ram, source, exitBlock) {}
  GuestRam ram;
  ExitBlock exitBlock;
  Cpu cpu;
};

class CpuObject : public Napi::ObjectWrap<CpuObject> {
 public:
  // createCpu(options): NativeCpu.
  static Napi::Function constructorFunction(Napi::Env env);
  explicit CpuObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value run(const Napi::CallbackInfo& info);
  void requestStop(const Napi::CallbackInfo& info);
  void reset(const Napi::CallbackInfo& info);
  Napi::Value exitBlock(const Napi::CallbackInfo& info);
  void setPolledPorts(const Napi::CallbackInfo& info);
  Napi::Value recorder(const Napi::CallbackInfo& info);
  Napi::Value traceBuffer(const Napi::CallbackInfo& info);
  void setTrace(const Napi::CallbackInfo& info);
  Napi::Value ram(const Napi::CallbackInfo& info);
  void invalidateCode(const Napi::CallbackInfo& info);
  void setIntr(const Napi::CallbackInfo& info);
  void setA20(const Napi::CallbackInfo& info);
  void raiseNmi(const Napi::CallbackInfo& info);
  void apicMessage(const Napi::CallbackInfo& info);
  Napi::Value now(const Napi::CallbackInfo& info);
  void advanceTo(const Napi::CallbackInfo& info);
  Napi::Value getRegister(const Napi::CallbackInfo& info);
  void setRegister(const Napi::CallbackInfo& info);
  Napi::Value getSegment(const Napi::CallbackInfo& info);
  void setSegment(const Napi::CallbackInfo& info);
  Napi::Value readFpu(const Napi::CallbackInfo& info);
  void writeFpu(const Napi::CallbackInfo& info);
  Napi::Value readApic(const Napi::CallbackInfo& info);
  Napi::Value cpuid(const Napi::CallbackInfo& info);
  Napi::Value halted(const Napi::CallbackInfo& info);
  void setBreakpoints(const Napi::CallbackInfo& info);
  void beginStep(const Napi::CallbackInfo& info);
  void cancelStep(const Napi::CallbackInfo& info);
  void holdClock(const Napi::CallbackInfo& info);
  Napi::Value translate(const Napi::CallbackInfo& info);
  Napi::Value checkInvariants(const Napi::CallbackInfo& info);
  Napi::Value statistics(const Napi::CallbackInfo& info);
  Napi::Value jitProfile(const Napi::CallbackInfo& info);

  Napi::Value externalBuffer(Napi::Env env, void* data, size_t length);

  EventLoop eventLoop_;
  std::shared_ptr<CpuBundle> bundle_;
};

}  // namespace nodevm
