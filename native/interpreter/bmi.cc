// BMI1 and BMI2: the instructions with a VEX prefix. SDM volume 1, "General-Purpose Instructions"
// of BMI. Flags that the SDM leaves undefined are those of the AMD Zen family.

#include <bit>

#include "interpreter/handlers_common.h"
#include "interpreter/system_handler.h"

namespace nodevm {

namespace {

template <class T>
inline constexpr unsigned kBits = sizeof(T) * 8;

inline uint8_t vvvvSlot(const Instruction* i) { return static_cast<uint8_t>(i->vvvv() * 8); }

template <class T>
inline void setLogicFlags(Cpu& cpu, T result, bool carry) {
  setFlags(cpu, flagsOfLogic<T>(result).withCarryOverflow(carry, false));
}

// `Operation::use<T>(cpu, i, ModRM.rm)`.
template <class Operation>
struct VexForm {
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    if (!requireProtectedMode(cpu)) [[unlikely]]
      return fault(cpu, i);
    Operation::template use<T>(cpu, i, cpu.reg<T>(i->rm));
    return next(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    if (!requireProtectedMode(cpu)) [[unlikely]]
      return fault(cpu, i);
    return loadOperand<T, AnyAddress, &Operation::template use<T>>(cpu, i);
  }
};

struct AndNot {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    const T result = ~cpu.reg<T>(vvvvSlot(i)) & value;
    cpu.setReg<T>(i->reg, result);
    setLogicFlags<T>(cpu, result, false);
  }
};

// The lowest set bit: what is done to it, and when CF is set. The destination is VEX.vvvv.
struct ResetLowest {
  static constexpr bool kCarryOfZero = true;
  template <class T>
  static T apply(T value) {
    return value & (value - 1);
  }
};
struct MaskToLowest {
  static constexpr bool kCarryOfZero = true;
  template <class T>
  static T apply(T value) {
    return value ^ (value - 1);
  }
};
struct IsolateLowest {
  static constexpr bool kCarryOfZero = false;
  template <class T>
  static T apply(T value) {
    return value & (T{0} - value);
  }
};
template <class Operation>
struct LowestBit {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    const T result = Operation::template apply<T>(value);
    cpu.setReg<T>(vvvvSlot(i), result);
    setLogicFlags<T>(cpu, result, (value == 0) == Operation::kCarryOfZero);
  }
};

// The low `length` bits.
template <class T>
inline T lowBits(T value, unsigned length) {
  return length < kBits<T> ? value & static_cast<T>((T{1} << length) - 1) : value;
}

struct ZeroHighBits {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    const unsigned index = cpu.reg<uint8_t>(vvvvSlot(i));
    const T result = lowBits(value, index);
    cpu.setReg<T>(i->reg, result);
    setLogicFlags<T>(cpu, result, index >= kBits<T>);
  }
};

struct ExtractField {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    const auto control = cpu.reg<uint16_t>(vvvvSlot(i));
    const unsigned start = control & 0xff, length = control >> 8;
    const T result = lowBits<T>(start < kBits<T> ? value >> start : 0, length);
    cpu.setReg<T>(i->reg, result);
    setFlags(cpu, Flags::unpack((flagsOfLogic<T>(result).pack() & ~eflags::kSf) | eflags::kAf));
  }
};

struct DepositBits {
  template <class T>
  static T apply(T value, T mask) {
    T result = 0;
    for (; mask; mask &= mask - 1, value >>= 1)
      if (value & 1) result |= mask & (T{0} - mask);
    return result;
  }
};
struct ExtractBits {
  template <class T>
  static T apply(T value, T mask) {
    T result = 0;
    for (T bit = 1; mask; mask &= mask - 1, bit <<= 1)
      if (value & mask & (T{0} - mask)) result |= bit;
    return result;
  }
};
template <class Operation>
struct ByMask {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T mask) {
    cpu.setReg<T>(i->reg, Operation::template apply<T>(cpu.reg<T>(vvvvSlot(i)), mask));
  }
};

// The high half goes to ModRM.reg, and wins where both halves name one register.
struct Multiply {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    const auto product = static_cast<unsigned __int128>(cpu.reg<T>(gpr::kRdx)) * value;
    cpu.setReg<T>(vvvvSlot(i), static_cast<T>(product));
    cpu.setReg<T>(i->reg, static_cast<T>(product >> kBits<T>));
  }
};

struct ShiftLeft {
  template <class T>
  static T apply(T value, unsigned count) {
    return value << count;
  }
};
struct ShiftRight {
  template <class T>
  static T apply(T value, unsigned count) {
    return value >> count;
  }
};
struct ShiftRightArithmetic {
  template <class T>
  static T apply(T value, unsigned count) {
    return static_cast<T>(static_cast<std::make_signed_t<T>>(value) >> count);
  }
};
// No flags; the count is VEX.vvvv modulo the width.
template <class Operation>
struct Shift {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    const unsigned count = cpu.reg<uint8_t>(vvvvSlot(i)) & (kBits<T> - 1);
    cpu.setReg<T>(i->reg, Operation::template apply<T>(value, count));
  }
};

struct RotateRight {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    cpu.setReg<T>(i->reg, std::rotr(value, static_cast<int>(i->immediate & (kBits<T> - 1))));
  }
};

// Operand sizes are 32 and 64 bits.
template <class Operation>
constexpr HandlerSet vexSet() {
  using Form = VexForm<Operation>;
  return {{nullptr, nullptr, &Form::template reg<uint32_t>, &Form::template reg<uint64_t>},
          {nullptr, nullptr, &Form::template mem<uint32_t>, &Form::template mem<uint64_t>}};
}

}  // namespace

extern const HandlerSet ANDN_Gy_By_Ey = vexSet<AndNot>();
extern const HandlerSet BLSR_By_Ey = vexSet<LowestBit<ResetLowest>>();
extern const HandlerSet BLSMSK_By_Ey = vexSet<LowestBit<MaskToLowest>>();
extern const HandlerSet BLSI_By_Ey = vexSet<LowestBit<IsolateLowest>>();
extern const HandlerSet BZHI_Gy_Ey_By = vexSet<ZeroHighBits>();
extern const HandlerSet PEXT_Gy_By_Ey = vexSet<ByMask<ExtractBits>>();
extern const HandlerSet PDEP_Gy_By_Ey = vexSet<ByMask<DepositBits>>();
extern const HandlerSet MULX_Gy_By_Ey = vexSet<Multiply>();
extern const HandlerSet BEXTR_Gy_Ey_By = vexSet<ExtractField>();
extern const HandlerSet SHLX_Gy_Ey_By = vexSet<Shift<ShiftLeft>>();
extern const HandlerSet SARX_Gy_Ey_By = vexSet<Shift<ShiftRightArithmetic>>();
extern const HandlerSet SHRX_Gy_Ey_By = vexSet<Shift<ShiftRight>>();
extern const HandlerSet RORX_Gy_Ey_Ib = vexSet<RotateRight>();

}  // namespace nodevm
