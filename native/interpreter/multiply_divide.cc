// MUL, IMUL, DIV, IDIV. SDM volume 1, "Multiplication and Division Instructions".
// Flags that the SDM leaves undefined are those of the AMD Zen family: a multiplication keeps SF,
// ZF, AF and PF; a division clears SF, ZF and PF, sets AF and keeps CF and OF.

#include <type_traits>

#include "interpreter/handlers_common.h"

namespace nodevm {

namespace {

// Twice as wide as T, unsigned.
template <class T>
struct DoubleWidth;
template <>
struct DoubleWidth<uint8_t> {
  using Type = uint16_t;
};
template <>
struct DoubleWidth<uint16_t> {
  using Type = uint32_t;
};
template <>
struct DoubleWidth<uint32_t> {
  using Type = uint64_t;
};
template <>
struct DoubleWidth<uint64_t> {
  using Type = unsigned __int128;
};
template <class T>
using Wide = typename DoubleWidth<T>::Type;

template <class T>
inline constexpr unsigned kBits = sizeof(T) * 8;

template <class T>
constexpr T highHalf(Wide<T> value) {
  return static_cast<T>(value >> kBits<T>);
}
template <class T>
constexpr bool isNegative(T value) {
  return value >> (sizeof(T) * 8 - 1) & 1;
}
template <class T>
constexpr Wide<T> signExtended(T value) {
  const Wide<T> high = isNegative(value) ? static_cast<Wide<T>>(~Wide<T>{0} << kBits<T>) : 0;
  return static_cast<Wide<T>>(high | value);
}

// rDX:rAX, or AX for bytes.
template <class T>
Wide<T> readPair(const Cpu& cpu) {
  if constexpr (sizeof(T) == 1)
    return cpu.reg<uint16_t>(gpr::kRax);
  else
    return static_cast<Wide<T>>(Wide<T>{cpu.reg<T>(gpr::kRdx)} << kBits<T> | cpu.reg<T>(gpr::kRax));
}
template <class T>
void writePair(Cpu& cpu, T low, T high) {
  if constexpr (sizeof(T) == 1) {
    cpu.setReg<uint16_t>(gpr::kRax, static_cast<uint16_t>(low | high << 8));
  } else {
    cpu.setReg<T>(gpr::kRax, low);
    cpu.setReg<T>(gpr::kRdx, high);
  }
}

inline void setProductFlags(Cpu& cpu, bool overflow) {
  cpu.flags.carries =
      (cpu.flags.carries & ~(Flags::kCarry | Flags::kIntoTop)) | (overflow ? Flags::kCarry : 0);
}

struct Multiply {
  template <class T>
  static void use(Cpu& cpu, const Instruction*, T factor) {
    const auto product = static_cast<Wide<T>>(Wide<T>{factor} * cpu.reg<T>(gpr::kRax));
    writePair<T>(cpu, static_cast<T>(product), highHalf<T>(product));
    setProductFlags(cpu, highHalf<T>(product) != 0);
  }
};

// The unsigned product of sign-extended factors is the signed one, modulo the double width.
template <class T>
Wide<T> signedProduct(T a, T b) {
  return static_cast<Wide<T>>(signExtended<T>(a) * signExtended<T>(b));
}

struct MultiplySigned {
  template <class T>
  static void use(Cpu& cpu, const Instruction*, T factor) {
    const Wide<T> product = signedProduct<T>(factor, cpu.reg<T>(gpr::kRax));
    writePair<T>(cpu, static_cast<T>(product), highHalf<T>(product));
    setProductFlags(cpu, product != signExtended<T>(static_cast<T>(product)));
  }
};

// imul r, r/m
struct MultiplyRegister {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T factor) {
    const Wide<T> product = signedProduct<T>(factor, cpu.reg<T>(i->reg));
    cpu.setReg<T>(i->reg, static_cast<T>(product));
    setProductFlags(cpu, product != signExtended<T>(static_cast<T>(product)));
  }
};

// imul r, r/m, imm
struct MultiplyImmediate {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T factor) {
    const Wide<T> product = signedProduct<T>(factor, static_cast<T>(i->immediate));
    cpu.setReg<T>(i->reg, static_cast<T>(product));
    setProductFlags(cpu, product != signExtended<T>(static_cast<T>(product)));
  }
};

template <class Operation>
struct Multiplication {
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    Operation::template use<T>(cpu, i, cpu.reg<T>(i->rm));
    return next(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    return loadOperand<T, AnyAddress, &Operation::template use<T>>(cpu, i);
  }
};

template <class T>
struct Quotient {
  Wide<T> quotient;
  T remainder;
};
template <class T>
Quotient<T> quotientOf(Wide<T> dividend, T divisor) {
  // 64-bit hosts divide 128 bits in a library call; the high half is mostly 0.
  if (highHalf<T>(dividend) == 0) {
    const T low = static_cast<T>(dividend);
    return {static_cast<T>(low / divisor), static_cast<T>(low % divisor)};
  }
  const auto quotient = static_cast<Wide<T>>(dividend / divisor);
  return {quotient, static_cast<T>(dividend - quotient * divisor)};
}

template <class T>
bool commitQuotient(Cpu& cpu, T quotient, T remainder) {
  writePair<T>(cpu, quotient, remainder);
  setFlags(cpu, {1, (cpu.flags.carries & (Flags::kCarry | Flags::kIntoTop)) | Flags::kAdjust});
  return true;
}

// Both report #DE by returning false, having changed nothing.
struct Divide {
  template <class T>
  static bool divide(Cpu& cpu, T divisor) {
    if (divisor == 0) return cpu.raise(kDe);
    const auto [quotient, remainder] = quotientOf<T>(readPair<T>(cpu), divisor);
    if (highHalf<T>(quotient) != 0) return cpu.raise(kDe);
    return commitQuotient<T>(cpu, static_cast<T>(quotient), remainder);
  }
};

struct DivideSigned {
  template <class T>
  static bool divide(Cpu& cpu, T divisor) {
    if (divisor == 0) return cpu.raise(kDe);
    const Wide<T> dividend = readPair<T>(cpu);
    const bool negative = isNegative(dividend), opposite = negative != isNegative(divisor);
    const auto [quotient, remainder] =
        quotientOf<T>(negative ? static_cast<Wide<T>>(0 - dividend) : dividend,
                      isNegative(divisor) ? static_cast<T>(0 - divisor) : divisor);
    const Wide<T> limit = (Wide<T>{1} << (kBits<T> - 1)) - (opposite ? 0 : 1);
    if (quotient > limit) return cpu.raise(kDe);
    return commitQuotient<T>(cpu, static_cast<T>(opposite ? 0 - quotient : quotient),
                             static_cast<T>(negative ? 0 - remainder : remainder));
  }
};

template <class Operation>
struct Division {
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    if (!Operation::template divide<T>(cpu, cpu.reg<T>(i->rm))) return fault(cpu, i);
    return next(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    const Loaded<T> divisor = cpu.load<T>(i->segment, effectiveAddress(cpu, i));
    if (!divisor.ok || !Operation::template divide<T>(cpu, divisor.value)) return fault(cpu, i);
    return next(cpu, i);
  }
};

}  // namespace

extern const HandlerSet MUL_Eb = byteSet<Multiplication<Multiply>>();
extern const HandlerSet MUL_Ev = wideSet<Multiplication<Multiply>>();
extern const HandlerSet IMUL_Eb = byteSet<Multiplication<MultiplySigned>>();
extern const HandlerSet IMUL_Ev = wideSet<Multiplication<MultiplySigned>>();
extern const HandlerSet IMUL_Gv_Ev = wideSet<Multiplication<MultiplyRegister>>();
extern const HandlerSet IMUL_Gv_Ev_Iz = wideSet<Multiplication<MultiplyImmediate>>();
extern const HandlerSet IMUL_Gv_Ev_Is = IMUL_Gv_Ev_Iz;
extern const HandlerSet DIV_Eb = byteSet<Division<Divide>>();
extern const HandlerSet DIV_Ev = wideSet<Division<Divide>>();
extern const HandlerSet IDIV_Eb = byteSet<Division<DivideSigned>>();
extern const HandlerSet IDIV_Ev = wideSet<Division<DivideSigned>>();

}  // namespace nodevm
