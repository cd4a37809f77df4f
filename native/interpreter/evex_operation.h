#pragma once
// EVEX instructions that follow from their rows: operands from registers and memory, one
// destination. What a row means is worked out at compile time into an Operation; the rest is
// common.

#include "interpreter/evex_host.h"
#include "interpreter/handlers_common.h"
#include "interpreter/sse_control.h"

namespace nodevm::evex {

// Where the result goes.
enum class Destination : uint8_t { kReg, kVvvv, kRm, kGeneralReg, kGeneralRm, kMask, kFlags };

// How much of a memory source is read.
enum class Reads : uint8_t {
  kWhole,     // all of it, whatever the mask
  kElements,  // the elements that the mask selects
  kExpanded,  // as many elements as the mask selects
};

struct Operation {
  HostCode code[4];        // by operand size code: EVEX.L'L, or 2 and 3 of kWideByW
  uint8_t memoryBytes[4];  // of ModRM.rm, by the same
  uint8_t elements[4];     // that a mask has bits for
  uint8_t inMemory[4];     // elements of the memory operand
  uint8_t elementBytes, broadcastBytes;
  Destination destination;
  Reads reads;
  Tiny tiny;
  bool generalRm, maskRm, memoryOnly, aligned, isFloat, rounds, accumulates, compresses;

  bool storesRm() const {
    return destination == Destination::kRm || destination == Destination::kGeneralRm;
  }
};

// Records the fault and returns false where it does not complete.
[[nodiscard]] bool onRegisters(Cpu& cpu, const Instruction* i, const Operation& operation);
[[nodiscard]] bool onMemory(Cpu& cpu, const Instruction* i, const Operation& operation);

constexpr bool isScalar(const Form& form) { return form.has(kLig | kL0); }
// Size codes that the form has.
constexpr bool exists(const Form& form, unsigned size) {
  if (form.has(kWideByW)) return size >= 2;
  if (isScalar(form)) return size == 0;
  return size < 3 && (size > 0 || !form.has(kNot128 | k512)) && (size == 2 || !form.has(k512));
}

constexpr unsigned memoryBytesOf(const Form& form, unsigned size) {
  const unsigned vector = vectorBytes(isScalar(form) ? 0 : size);
  for (const Operand operand : form.operands)
    if (const unsigned bytes = memoryBytes(operand, vector, 1u << size)) return bytes;
  return 0;
}

constexpr unsigned elementsOf(const Form& form, unsigned size) {
  using enum Operand;
  if (form.has(kLig)) return 1;
  const Operand destination = form.operands[0];
  // What VEXTRACTF32X4 and its like leave.
  const unsigned bytes = destination == Wdq   ? 16
                         : destination == Wqq ? 32
                                              : vectorBytes(isScalar(form) ? 0 : size);
  return bytes / elementBytes(form.attributes);
}

// Fewer where each serves several, as in VBROADCASTF32X4.
constexpr unsigned memoryElementsOf(const Form& form, unsigned size) {
  using enum Operand;
  for (const Operand part : {Wx, Mx, Wh, Wf, We})
    if (form.has(part)) return elementsOf(form, size);
  const unsigned elements = memoryBytesOf(form, size) / elementBytes(form.attributes);
  return elements ? elements : 1;
}

constexpr Destination destinationOf(const Form& form) {
  using enum Operand;
  if (form.has(kWritesFlags)) return Destination::kFlags;
  switch (form.operands[0]) {
    case Vx:
      return Destination::kReg;
    case Hx:
      return Destination::kVvvv;
    case Kg:
      return Destination::kMask;
    case Gd:
    case Gy:
      return Destination::kGeneralReg;
    case Ey:
    case Ed:
    case Rd:
      return Destination::kGeneralRm;
    default:
      return Destination::kRm;
  }
}

constexpr Reads readsOf(const Form& form) {
  if (!form.has(kMaskable) || form.has(kWhole)) return Reads::kWhole;
  return form.has(kByElement) ? Reads::kExpanded : Reads::kElements;
}

template <Form kForm, unsigned kSize>
constexpr HostCode codeOf() {
  if constexpr (!exists(kForm, kSize)) {
    return nullptr;
  } else {
    return code < kForm, kForm.has(kWideByW) ? kSize - 2 : kSize > ;
  }
}

template <Form kForm, Tiny kTinyResult>
constexpr Operation operationOf() {
  using enum Operand;
  Operation operation{
      .code = {codeOf<kForm, 0>(), codeOf<kForm, 1>(), codeOf<kForm, 2>(), codeOf<kForm, 3>()},
      .memoryBytes = {},
      .elements = {},
      .inMemory = {},
      .elementBytes = static_cast<uint8_t>(elementBytes(kForm.attributes)),
      .broadcastBytes = static_cast<uint8_t>(broadcastBytes(kForm.attributes)),
      .destination = destinationOf(kForm),
      .reads = readsOf(kForm),
      .tiny = kTinyResult,
      .generalRm = kForm.has(Ey) || kForm.has(Ed) || kForm.has(Rd) || kForm.has(Ry),
      .maskRm = kForm.has(Kr),
      .memoryOnly = kForm.modrm.form == 1,
      .aligned = kForm.has(kAligned),
      .isFloat = kForm.has(kFloat),
      .rounds = kForm.has(kRound),
      .accumulates = kForm.has(kAccumulates),
      .compresses = kForm.has(kByElement) && destinationOf(kForm) == Destination::kRm,
  };
  for (unsigned size = 0; size < 4; ++size) {
    if (!exists(kForm, size)) continue;
    operation.memoryBytes[size] = static_cast<uint8_t>(memoryBytesOf(kForm, size));
    operation.elements[size] = static_cast<uint8_t>(elementsOf(kForm, size));
    operation.inMemory[size] = static_cast<uint8_t>(memoryElementsOf(kForm, size));
  }
  return operation;
}

template <Form kForm, Tiny kTinyResult>
inline constexpr Operation kOperation = operationOf<kForm, kTinyResult>();

template <const Operation& kWhich, bool kMemory>
void execute(Cpu& cpu, const Instruction* i) {
  if (!(kMemory ? onMemory : onRegisters)(cpu, i, kWhich)) [[unlikely]]
    return fault(cpu, i);
  return next(cpu, i);
}

// For the ROW macro of a file with rows.
template <Form kForm, Tiny kTinyResult>
constexpr HandlerSet handlers() {
  return alwaysSet(execute<kOperation<kForm, kTinyResult>, false>,
                   execute<kOperation<kForm, kTinyResult>, true>);
}

}  // namespace nodevm::evex
