// Instructions on opmask registers. SDM volume 2, KADDW and following. A row says how wide its
// registers are by the last letter of its mnemonic; what is above is cleared.

#include <string_view>

#include "interpreter/handlers_common.h"
#include "interpreter/sse_control.h"
#include "interpreter/system_handler.h"

namespace nodevm {

namespace {

using enum Operand;
using enum OpcodeMap;
using enum Mandatory;
using enum Feature;

template <class T>
T maskOf(const Cpu& cpu, unsigned number) {
  return static_cast<T>(cpu.avx512.mask[number]);
}

template <class T, uint8_t kOpcode>
T combine(T a, T b) {
  constexpr unsigned kHalf = sizeof(T) * 4;
  switch (kOpcode) {
    case 0x41:  // KAND
      return static_cast<T>(a & b);
    case 0x42:  // KANDN
      return static_cast<T>(~a & b);
    case 0x45:  // KOR
      return static_cast<T>(a | b);
    case 0x46:  // KXNOR
      return static_cast<T>(~(a ^ b));
    case 0x47:  // KXOR
      return static_cast<T>(a ^ b);
    case 0x4a:  // KADD
      return static_cast<T>(a + b);
    default:  // KUNPCK
      return static_cast<T>(a << kHalf | (b & static_cast<T>((T{1} << kHalf) - 1)));
  }
}

template <class T, uint8_t kOpcode>
bool binary(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessEvexUsable(cpu)) return false;
  cpu.avx512.mask[i->reg] = combine<T, kOpcode>(maskOf<T>(cpu, i->vvvv()), maskOf<T>(cpu, i->rm));
  return true;
}

template <class T>
bool complement(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessEvexUsable(cpu)) return false;
  cpu.avx512.mask[i->reg] = static_cast<T>(~maskOf<T>(cpu, i->rm));
  return true;
}

template <class T, bool kLeft>
bool shift(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessEvexUsable(cpu)) return false;
  const auto count = static_cast<uint8_t>(i->immediate);
  const uint64_t value = maskOf<T>(cpu, i->rm);
  const uint64_t shifted = kLeft ? value << (count & 63) : value >> (count & 63);
  cpu.avx512.mask[i->reg] = count < sizeof(T) * 8 ? static_cast<T>(shifted) : 0;
  return true;
}

// KORTEST: ZF where the union is zero, CF where it is all ones. KTEST: ZF where the intersection
// is, CF where what the second has beyond the first is.
template <class T, bool kOr>
bool test(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessEvexUsable(cpu)) return false;
  const T a = maskOf<T>(cpu, i->reg), b = maskOf<T>(cpu, i->rm);
  const auto both = static_cast<T>(kOr ? a | b : a & b);
  const bool carry = kOr ? both == static_cast<T>(~T{0}) : (~a & b) == 0;
  setFlags(cpu, Flags::unpack((both == 0 ? eflags::kZf : 0) | (carry ? eflags::kCf : 0)));
  return true;
}

template <class T>
bool fromMask(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessEvexUsable(cpu)) return false;
  cpu.avx512.mask[i->reg] = maskOf<T>(cpu, i->rm);
  return true;
}

template <class T>
bool fromMemory(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessEvexUsable(cpu)) return false;
  const Loaded<T> loaded = cpu.load<T>(i->segment, effectiveAddress(cpu, i));
  if (loaded.ok) cpu.avx512.mask[i->reg] = loaded.value;
  return loaded.ok;
}

template <class T>
bool toMemory(Cpu& cpu, const Instruction* i) {
  return raiseUnlessEvexUsable(cpu) &&
         cpu.store<T>(i->segment, effectiveAddress(cpu, i), maskOf<T>(cpu, i->reg));
}

template <class T>
bool fromGeneral(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessEvexUsable(cpu)) return false;
  cpu.avx512.mask[i->reg] = cpu.reg<T>(i->rm);
  return true;
}

template <class T>
bool toGeneral(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessEvexUsable(cpu)) return false;
  cpu.setReg<uint64_t>(i->reg, maskOf<T>(cpu, i->rm));
  return true;
}

template <class T, uint8_t kOpcode, Operand kSource>
constexpr Handler handlerOf() {
  switch (kOpcode) {
    case 0x44:
      return thenNext<complement<T>>;
    case 0x30:
    case 0x31:
      return thenNext<shift<T, false>>;
    case 0x32:
    case 0x33:
      return thenNext<shift<T, true>>;
    case 0x98:
      return thenNext<test<T, true>>;
    case 0x99:
      return thenNext<test<T, false>>;
    case 0x90:
      return kSource == Kr ? thenNext<fromMask<T>> : thenNext<fromMemory<T>>;
    case 0x91:
      return thenNext<toMemory<T>>;
    case 0x92:
      return thenNext<fromGeneral<T>>;
    case 0x93:
      return thenNext<toGeneral<T>>;
    default:
      return thenNext<binary<T, kOpcode>>;
  }
}

template <char kWidth, uint8_t kOpcode, Operand kSource>
constexpr HandlerSet opmaskSet() {
  switch (kWidth) {
    case 'b':
      return alwaysSet(handlerOf<uint8_t, kOpcode, kSource>());
    case 'w':
      return alwaysSet(handlerOf<uint16_t, kOpcode, kSource>());
    case 'd':
      return alwaysSet(handlerOf<uint32_t, kOpcode, kSource>());
    default:
      return alwaysSet(handlerOf<uint64_t, kOpcode, kSource>());
  }
}

}  // namespace

#define ROW(id, map, opcode, prefix, modrm, mnemonic, attributes, first, second, ...) \
  extern const HandlerSet id = opmaskSet<std::string_view(mnemonic).back(), opcode, second>();
#include "decoder/opcodes/opmask.inc"
#undef ROW

}  // namespace nodevm
