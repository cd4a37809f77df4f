// VEX instructions that do nothing but compute: operands from registers and memory, one
// destination. Their rows are all there is to say of them; see avx_host.h.

#include "cpu/avx512.h"
#include "interpreter/avx_host.h"
#include "interpreter/handlers_common.h"
#include "interpreter/sse_dot_product.h"

namespace nodevm {

using namespace vex;

namespace {

using enum Operand;
using enum OpcodeMap;
using enum Mandatory;
using enum Feature;

// Where the result goes. kString...: those of the string comparisons, with flags.
enum class Destination : uint8_t {
  kReg,
  kVvvv,
  kRm,
  kGeneralReg,
  kGeneralRm,
  kFlags,
  kStringIndex,
  kStringMask,
};

struct Operation {
  HostCode code[2];        // by the low bit of the operand size: VEX.L, or VEX.W of kWideByW
  uint8_t memoryBytes[2];  // of ModRM.rm
  Destination destination;
  bool generalReg, generalRm, memoryOnly, aligned, isFloat;
  Tiny tiny;
  // VDPPS, VDPPD: the exceptions come step by step.
  bool (*raisesNothing)(Cpu&, const FloatSources&);

  bool storesRm() const {
    return destination == Destination::kRm || destination == Destination::kGeneralRm;
  }
};

constexpr unsigned memoryBytesOf(const Form& form, bool variant) {
  for (const Operand operand : form.operands)
    if (const unsigned bytes = memoryBytes(operand, variant ? 32 : 16, variant ? 8 : 4))
      return bytes;
  return 0;
}

constexpr Destination destinationOf(const Form& form) {
  if (form.has(kWritesFlags)) {
    if (form.map != k0F3A) return Destination::kFlags;
    return form.opcode & 1 ? Destination::kStringIndex : Destination::kStringMask;
  }
  switch (form.operands[0]) {
    case Vx:
      return Destination::kReg;
    case Hx:
      return Destination::kVvvv;
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

constexpr auto raisesNothingOf(const Form& form) -> bool (*)(Cpu&, const FloatSources&) {
  if (form.map != k0F3A || !form.has(kFloat)) return nullptr;
  return form.opcode == 0x40   ? dotProductOfFloatsRaisesNothing
         : form.opcode == 0x41 ? dotProductOfDoublesRaisesNothing
                               : nullptr;
}

template <Form kForm, bool kVariant>
constexpr HostCode codeOf() {
  constexpr bool kExists =
      kVariant ? !kForm.has(kLig) && (!kForm.has(kL0) || kForm.has(kWideByW)) : !kForm.has(kL1);
  constexpr bool kScalarByW = kForm.has(kLig) && kForm.has(kWideByW);
  if constexpr (kExists || kScalarByW) {
    return code<kForm, kVariant>;
  } else {
    return nullptr;
  }
}

template <Form kForm, Tiny kTinyResult>
constexpr Operation kOperation{
    .code = {codeOf<kForm, false>(), codeOf<kForm, true>()},
    .memoryBytes = {memoryBytesOf(kForm, false), memoryBytesOf(kForm, true)},
    .destination = destinationOf(kForm),
    .generalReg = kForm.has(Gd) || kForm.has(Gy),
    .generalRm = kForm.has(Ey) || kForm.has(Ed) || kForm.has(Rd),
    .memoryOnly = kForm.modrm.form == 1,
    .aligned = kForm.has(kAligned),
    .isFloat = kForm.has(kFloat),
    .tiny = kTinyResult,
    .raisesNothing = raisesNothingOf(kForm),
};

// What a memory operand is read from, or written to, on the host.
VectorRegister& memoryOf(const Operation& operation, Operands& operands) {
  return operation.memoryOnly ? operands.memory : operands.rm;
}

bool isTiny(const Operation& operation, const Operands& operands) {
  const uint8_t* result = (operation.storesRm() ? operands.rm : operands.reg).bytes;
  return hasTiny(operation.tiny, loadXmm(result)) || hasTiny(operation.tiny, loadXmm(result + 16));
}

// False: #XM is recorded.
bool compute(Cpu& cpu, const Instruction* i, const Operation& operation, Operands& operands) {
  const HostCode code = operation.code[i->operandSize() & 1];
  const auto immediate = static_cast<uint8_t>(i->immediate);
  if (!operation.isFloat || allExceptionsMasked(cpu)) {
    executeOnHost(code, immediate, operands);
    return true;
  }
  const Operands before = operands;
  const FloatSources sources{before.reg.bytes, before.vvvv.bytes,
                             operation.storesRm() ? before.reg.bytes : before.rm.bytes,
                             16u << (i->operandSize() & 1), immediate};
  if (operation.raisesNothing) {
    if (!operation.raisesNothing(cpu, sources)) return false;
    executeOnHost(code, immediate, operands);
    return true;
  }
  const uint32_t guest = beginUnmasked(cpu);
  executeOnHost(code, immediate, operands);
  return endUnmasked(cpu, guest, isTiny(operation, operands), kRows[i->row].mnemonic, sources);
}

void loadRegisters(const Cpu& cpu, const Instruction* i, const Operation& operation,
                   Operands& operands) {
  if (!operation.generalReg) operands.reg = cpu.vector[i->reg];
  operands.vvvv = cpu.vector[i->vvvv()];
  operands.imm = cpu.vector[i->immediate >> 4 & 15];
  operands.rax = cpu.gpr[gpr::kRax / 8];
  operands.rdx = cpu.gpr[gpr::kRdx / 8];
}

void setFlagsFrom(Cpu& cpu, const Operands& operands) {
  setFlags(cpu, Flags::unpack(operands.flags & eflags::kArithmetic));
}

void commit(Cpu& cpu, const Instruction* i, const Operation& operation, const Operands& operands) {
  switch (operation.destination) {
    case Destination::kReg:
      writeYmm(cpu, i->reg, operands.reg);
      break;
    case Destination::kVvvv:
      writeYmm(cpu, i->vvvv(), operands.vvvv);
      break;
    case Destination::kRm:
      writeYmm(cpu, i->rm, operands.rm);
      break;
    case Destination::kGeneralReg:
      cpu.setReg<uint64_t>(i->reg, operands.rax);
      break;
    case Destination::kGeneralRm:
      cpu.setReg<uint64_t>(i->rm, operands.rsi);
      break;
    case Destination::kFlags:
      setFlagsFrom(cpu, operands);
      break;
    case Destination::kStringIndex:
      cpu.setReg<uint32_t>(gpr::kRcx, static_cast<uint32_t>(operands.rcx));
      setFlagsFrom(cpu, operands);
      break;
    case Destination::kStringMask:
      writeYmm(cpu, 0, operands.reg);
      setFlagsFrom(cpu, operands);
      break;
  }
}

bool onRegisters(Cpu& cpu, const Instruction* i, const Operation& operation) {
  if (!raiseUnlessAvxUsable(cpu)) return false;
  Operands operands;
  loadRegisters(cpu, i, operation, operands);
  if (operation.generalRm) {
    operands.rsi = cpu.reg<uint64_t>(i->rm);
  } else {
    operands.rm = cpu.vector[i->rm];
  }
  if (!compute(cpu, i, operation, operands)) return false;
  commit(cpu, i, operation, operands);
  return true;
}

// What is stored may have changed MXCSR: a fault has to come first.
bool storeResult(Cpu& cpu, const Instruction* i, const Operation& operation, Operands& operands) {
  const unsigned bytes = operation.memoryBytes[i->operandSize() & 1];
  const uint64_t ea = effectiveAddress(cpu, i);
  if (operation.isFloat && !cpu.probeWrite(i->segment, ea, bytes)) return false;
  if (!compute(cpu, i, operation, operands)) return false;
  const void* result = operation.generalRm ? static_cast<const void*>(&operands.rsi)
                                           : memoryOf(operation, operands).bytes;
  return cpu.storeBytes(i->segment, ea, result, bytes, operation.aligned ? bytes : 0);
}

bool onMemory(Cpu& cpu, const Instruction* i, const Operation& operation) {
  if (!raiseUnlessAvxUsable(cpu)) return false;
  Operands operands;
  loadRegisters(cpu, i, operation, operands);
  operands.rsi = operation.memoryOnly ? reinterpret_cast<uint64_t>(&operands.memory) : 0;
  if (operation.storesRm()) return storeResult(cpu, i, operation, operands);
  const unsigned bytes = operation.memoryBytes[i->operandSize() & 1];
  const uint8_t* from =
      cpu.loadBytes(i->segment, effectiveAddress(cpu, i), bytes, operation.aligned ? bytes : 0);
  if (!from) return false;
  VectorRegister& memory = memoryOf(operation, operands);
  memory = {};
  std::memcpy(memory.bytes, from, bytes);
  if (operation.generalRm) std::memcpy(&operands.rsi, memory.bytes, sizeof operands.rsi);
  if (!compute(cpu, i, operation, operands)) return false;
  commit(cpu, i, operation, operands);
  return true;
}

template <const Operation& kWhich, bool kMemory>
void execute(Cpu& cpu, const Instruction* i) {
  if (!(kMemory ? onMemory : onRegisters)(cpu, i, kWhich)) [[unlikely]]
    return fault(cpu, i);
  return next(cpu, i);
}

template <Form kForm, Tiny kTinyResult>
constexpr HandlerSet handlers() {
  return alwaysSet(execute<kOperation<kForm, kTinyResult>, false>,
                   execute<kOperation<kForm, kTinyResult>, true>);
}

}  // namespace

#define ROW(id, map, opcode, prefix, modrm, mnemonic, attributes, ...)      \
  extern const HandlerSet id =                                              \
      handlers<Form{map, opcode, prefix, modrm, attributes, {__VA_ARGS__}}, \
               tinyOf(Form{map, opcode, prefix, modrm, attributes, {}}, mnemonic)>();
#include "decoder/opcodes/avx_float.inc"
#include "decoder/opcodes/avx_integer.inc"
#include "decoder/opcodes/avx_move.inc"
#undef ROW

}  // namespace nodevm
