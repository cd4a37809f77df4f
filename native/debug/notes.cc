// What the processor tells its flight recorder and its traces.

#include <utility>

#include "cpu/cpu.h"
#include "interpreter/block_cache.h"

namespace nodevm {

namespace {

RecordMode modeOf(const Cpu& cpu) {
  if (cpu.realMode()) return RecordMode::kReal;
  if (cpu.virtual8086()) return RecordMode::kVirtual8086;
  if (cpu.code64()) return RecordMode::k64;
  return cpu.segment[kCs].big() ? RecordMode::k32 : RecordMode::k16;
}

}  // namespace

uint8_t Cpu::recordFlags() const { return nodevm::recordFlags(cpl, modeOf(*this)); }

void Cpu::note(Record record) {
  record.instructions = retired();
  recorder.add(record);
  if (trace.wants(record.kind)) trace.add(record);
}

void Cpu::setTrace(TraceOptions options) {
  trace.configure(std::move(options));
  // Blocks are decoded anew, and translated or not.
  blocks->empty(*this);
  updateRights();
  forgetJumps();
}

Record Cpu::blockRecord(RecordKind kind, const Block& target) const {
  return {.instructions = retired(),
          .linear = codeLinear(rip),
          .value = target.gpa,
          .info = target.bytes,
          .kind = kind,
          .flags = recordFlags(),
          .detail = static_cast<uint8_t>(target.count)};
}

void Cpu::noteDecoded(const Block& target) {
  if (trace.wants(RecordKind::kDecode)) trace.addDecoded(blockRecord(RecordKind::kDecode, target));
}

void Cpu::noteAccess(RecordKind kind, uint8_t seg, uint64_t ea, const Span& span, uint64_t value,
                     unsigned size) {
  if (!trace.wants(kind)) return;
  trace.add({.instructions = retired(),
             .linear = (ea + segmentBase[seg]) & linearMask,
             .value = value,
             .info = static_cast<uint32_t>(span.gpa[0] >> 12),
             .kind = kind,
             .flags = recordFlags(),
             .detail = static_cast<uint8_t>(size)});
}

void Cpu::noteTlb(RecordKind kind, uint64_t linear, uint64_t gpa, bool detail) {
  if (!trace.wants(kind)) return;
  trace.add({.instructions = retired(),
             .linear = linear,
             .value = gpa,
             .kind = kind,
             .flags = recordFlags(),
             .detail = detail});
}

}  // namespace nodevm
