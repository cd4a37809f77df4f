// SDM volume 1, "x87 FPU Control Instructions".

#include "interpreter/x87_handler.h"

namespace nodevm {
namespace x87 {
namespace {

// --- environment image

// SDM volume 1, "Saving the x87 FPU's State with FSTENV/FNSTENV and FSAVE/FNSAVE": seven fields of
// a word or a doubleword each. In real and virtual-8086 mode the pointers are linear addresses
// spread over two fields, and in protected mode offsets with their selectors.
enum Field { kControlWord, kStatusWord, kTagWord, kFip, kFcs, kFdp, kFds, kFields };
using Fields = uint32_t[kFields];

constexpr unsigned kStackBytes = 8 * kExtendedBytes, kMaxEnvironmentBytes = kFields * 4;

unsigned fieldBytes(const Instruction* i) { return i->operandSize() == 1 ? 2 : 4; }

bool linearPointers(const Cpu& cpu) { return cpu.realMode() || cpu.virtual8086(); }

constexpr uint32_t kUnusedHalf = 0xffff0000;
constexpr unsigned kPointerHighShift = 12;  // bits 16..31 of a linear pointer, in its second field

void gather(const Cpu& cpu, Fields& fields) {
  const X87State& x87 = cpu.x87;
  fields[kControlWord] = x87.control | kUnusedHalf;
  fields[kStatusWord] = x87.status | kUnusedHalf;
  fields[kTagWord] = x87FullTagWord(x87) | kUnusedHalf;
  if (linearPointers(cpu)) {
    const auto ip = static_cast<uint32_t>(x87.instructionPointer + x87.instructionSegment * 16u);
    const auto dp = static_cast<uint32_t>(x87.dataPointer + x87.dataSegment * 16u);
    fields[kFip] = (ip & 0xffff) | kUnusedHalf;
    fields[kFcs] = (ip >> 16) << kPointerHighShift | x87.lastOpcode;
    fields[kFdp] = (dp & 0xffff) | kUnusedHalf;
    fields[kFds] = (dp >> 16) << kPointerHighShift;
  } else {
    fields[kFip] = static_cast<uint32_t>(x87.instructionPointer);
    fields[kFcs] = x87.instructionSegment | uint32_t{x87.lastOpcode} << 16;
    fields[kFdp] = static_cast<uint32_t>(x87.dataPointer);
    fields[kFds] = x87.dataSegment | kUnusedHalf;
  }
}

constexpr uint16_t kOpcodeMask = 0x7ff;

void scatter(Cpu& cpu, const Fields& fields) {
  X87State& x87 = cpu.x87;
  x87.status = static_cast<uint16_t>(fields[kStatusWord]);
  setControl(x87, static_cast<uint16_t>(fields[kControlWord]));
  x87.validTags = 0;
  for (unsigned n = 0; n < 8; ++n)
    if (((fields[kTagWord] >> (2 * n)) & 3) != 3)
      x87.validTags = static_cast<uint8_t>(x87.validTags | 1u << n);
  if (linearPointers(cpu)) {
    const auto pointer = [&](Field low, Field high) {
      return (fields[low] & 0xffff) | (fields[high] >> kPointerHighShift & 0xffff) << 16;
    };
    x87.instructionPointer = pointer(kFip, kFcs);
    x87.dataPointer = pointer(kFdp, kFds);
    x87.instructionSegment = x87.dataSegment = 0;
    x87.lastOpcode = fields[kFcs] & kOpcodeMask;
  } else {
    x87.instructionPointer = fields[kFip];
    x87.dataPointer = fields[kFdp];
    x87.instructionSegment = static_cast<uint16_t>(fields[kFcs]);
    x87.dataSegment = static_cast<uint16_t>(fields[kFds]);
    x87.lastOpcode = (fields[kFcs] >> 16) & kOpcodeMask;
  }
}

unsigned encodeEnvironment(const Cpu& cpu, const Instruction* i, uint8_t* to) {
  Fields fields;
  gather(cpu, fields);
  const unsigned size = fieldBytes(i);
  for (unsigned n = 0; n < kFields; ++n) std::memcpy(to + n * size, &fields[n], size);
  return kFields * size;
}

void decodeEnvironment(Cpu& cpu, const Instruction* i, const uint8_t* from) {
  Fields fields = {};
  const unsigned size = fieldBytes(i);
  for (unsigned n = 0; n < kFields; ++n) std::memcpy(&fields[n], from + n * size, size);
  scatter(cpu, fields);
}

// --- environment and state

bool storeEnvironment(Cpu& cpu, const Instruction* i) {
  uint8_t image[kMaxEnvironmentBytes];
  const unsigned bytes = encodeEnvironment(cpu, i, image);
  if (!cpu.storeBytes(i->segment, effectiveAddress(cpu, i), image, bytes)) return false;
  setControl(cpu.x87, cpu.x87.control | kExceptions);
  return true;
}

bool loadEnvironment(Cpu& cpu, const Instruction* i) {
  const unsigned bytes = kFields * fieldBytes(i);
  const uint8_t* image = cpu.loadBytes(i->segment, effectiveAddress(cpu, i), bytes);
  if (!image) return false;
  decodeEnvironment(cpu, i, image);
  return true;
}

// FNSAVE and FRSTOR move the registers in stack order, in pieces that loadBytes and storeBytes
// allow.
constexpr unsigned kPieceBytes = kStackBytes / 2;

bool saveState(Cpu& cpu, const Instruction* i) {
  uint8_t image[kMaxEnvironmentBytes + kStackBytes];
  const unsigned environmentBytes = encodeEnvironment(cpu, i, image);
  uint8_t* const stack = image + environmentBytes;
  for (unsigned n = 0; n < 8; ++n) writeExtended(stack + n * kExtendedBytes, st(cpu.x87, n));
  const uint64_t ea = effectiveAddress(cpu, i);
  if (!cpu.probeWrite(i->segment, ea, environmentBytes + kStackBytes) ||
      !cpu.storeBytes(i->segment, ea, image, environmentBytes))
    return false;
  for (unsigned at = 0; at < kStackBytes; at += kPieceBytes)
    if (!cpu.storeBytes(i->segment, ea + environmentBytes + at, stack + at, kPieceBytes))
      return false;
  initialize(cpu.x87);
  return true;
}

bool restoreState(Cpu& cpu, const Instruction* i) {
  uint8_t image[kMaxEnvironmentBytes + kStackBytes];
  const unsigned environmentBytes = kFields * fieldBytes(i);
  const uint64_t ea = effectiveAddress(cpu, i);
  const auto read = [&](unsigned at, unsigned bytes) {
    const uint8_t* from = cpu.loadBytes(i->segment, ea + at, bytes);
    if (from) std::memcpy(image + at, from, bytes);
    return from != nullptr;
  };
  if (!read(0, environmentBytes)) return false;
  for (unsigned at = 0; at < kStackBytes; at += kPieceBytes)
    if (!read(environmentBytes + at, kPieceBytes)) return false;
  decodeEnvironment(cpu, i, image);
  for (unsigned n = 0; n < 8; ++n)
    cpu.x87.registers[physical(cpu.x87, n)] =
        readExtended(image + environmentBytes + n * kExtendedBytes);
  return true;
}

// --- words

bool loadControl(Cpu& cpu, const Instruction* i) {
  const Loaded<uint16_t> word = cpu.load<uint16_t>(i->segment, effectiveAddress(cpu, i));
  if (word.ok) setControl(cpu.x87, word.value);
  return word.ok;
}

bool storeControl(Cpu& cpu, const Instruction* i) {
  return cpu.store<uint16_t>(i->segment, effectiveAddress(cpu, i), cpu.x87.control);
}

bool storeStatus(Cpu& cpu, const Instruction* i) {
  return cpu.store<uint16_t>(i->segment, effectiveAddress(cpu, i), cpu.x87.status);
}

void storeStatusAx(Cpu& cpu, const Instruction*) {
  cpu.setReg<uint16_t>(gpr::kRax, cpu.x87.status);
}

void clearExceptions(Cpu& cpu, const Instruction*) {
  X87State& x87 = cpu.x87;
  x87.status = static_cast<uint16_t>(x87.status & ~(kExceptions | kStackFault));
  updateSummary(x87);
}

void initializeFpu(Cpu& cpu, const Instruction*) { initialize(cpu.x87); }

void nothing(Cpu&, const Instruction*) {}

// --- stack

template <bool kPop>
void freeRegister(Cpu& cpu, const Instruction* i) {
  mergeStatus(cpu.x87, 0);
  setEmpty(cpu.x87, i->rm & 7);
  if (kPop) pop(cpu.x87);
}

// FINCSTP and FDECSTP: no tag changes, so neither pops nor pushes.
template <unsigned kBy>
void turnStack(Cpu& cpu, const Instruction*) {
  mergeStatus(cpu.x87, 0);
  moveTop(cpu.x87, kBy);
}

// WAIT heeds TS only when MP says so. SDM volume 3, "Configuring the x87 FPU Environment".
void wait(Cpu& cpu, const Instruction* i) {
  constexpr uint64_t kBoth = cr0::kMp | cr0::kTs;
  if ((cpu.cr0 & kBoth) == kBoth) return raise(cpu, i, kNm);
  if (!synchronized(cpu)) return fault(cpu, i);
  return next(cpu, i);
}

}  // namespace
}  // namespace x87

using x87::control;
using x87::numeric;
using x87::only;
using x87::waitingControl;

extern const HandlerSet FLDENV_M = only(waitingControl<x87::loadEnvironment>);
extern const HandlerSet FLDCW_Mw = only(waitingControl<x87::loadControl>);
extern const HandlerSet FRSTOR_M = only(waitingControl<x87::restoreState>);
extern const HandlerSet FNSTENV_M = only(control<x87::storeEnvironment>);
extern const HandlerSet FNSAVE_M = only(control<x87::saveState>);
extern const HandlerSet FNSTCW_Mw = only(control<x87::storeControl>);
extern const HandlerSet FNSTSW_Mw = only(control<x87::storeStatus>);
extern const HandlerSet FNSTSW_AX = only(control<x87::storeStatusAx>);
extern const HandlerSet FNCLEX = only(control<x87::clearExceptions>);
extern const HandlerSet FNINIT = only(control<x87::initializeFpu>);

extern const HandlerSet FFREE_STi = only(numeric<x87::freeRegister<false>>);
extern const HandlerSet FFREEP_STi = only(numeric<x87::freeRegister<true>>);
extern const HandlerSet FDECSTP = only(numeric<x87::turnStack<7>>);
extern const HandlerSet FINCSTP = only(numeric<x87::turnStack<1>>);
extern const HandlerSet FNOP = only(numeric<x87::nothing>);
extern const HandlerSet WAIT = only(x87::wait);

// 8087 and 80287 instructions that have become no-operations.
extern const HandlerSet FNENI = only(control<x87::nothing>);
extern const HandlerSet FNDISI = only(control<x87::nothing>);
extern const HandlerSet FNSETPM = only(control<x87::nothing>);

}  // namespace nodevm
