// SHLD and SHRD. SDM volume 1, "Double-Shift Instructions".

#include "interpreter/logic_shift.h"

namespace nodevm {

namespace {

// A 16-bit operand may be shifted by up to 31, which the SDM leaves undefined; Zen goes on with the
// source's bits from their other end, and has no carry left to give.
struct DoubleShiftLeft {
  template <class T>
  static Result<T> apply(T destination, T source, unsigned count, const Flags& flags) {
    if (count == 0) return {destination, flags};
    if (count > kBits<T>) {
      const T value = RotateLeft::apply<T>(source, static_cast<T>(count - kBits<T>), flags).value;
      return {value, flagsOfShift<T>(value, false, false)};
    }
    if (count == kBits<T>) {
      const bool carry = destination & 1;
      return {source, flagsOfShift<T>(source, carry, carry)};
    }
    const T value = static_cast<T>((destination << count) | (source >> (kBits<T> - count)));
    const bool carry = (destination >> (kBits<T> - count)) & 1;
    return {value, flagsOfShift<T>(value, carry, carry != topBit(value))};
  }
};

struct DoubleShiftRight {
  template <class T>
  static Result<T> apply(T destination, T source, unsigned count, const Flags& flags) {
    if (count == 0) return {destination, flags};
    if (count > kBits<T>) {
      const T value = RotateRight::apply<T>(source, static_cast<T>(count - kBits<T>), flags).value;
      return {value, flagsOfShift<T>(value, false, topBitsDiffer(value))};
    }
    const bool carry = (destination >> (count - 1)) & 1;
    const T value = count == kBits<T>
                        ? source
                        : static_cast<T>((destination >> count) | (source << (kBits<T> - count)));
    return {value, flagsOfShift<T>(value, carry, topBitsDiffer(value))};
  }
};

template <class Shift, class Count>
struct DoubleShift {
  template <class T>
  static Result<T> modify(Cpu& cpu, const Instruction* i, T destination) {
    const unsigned count = shiftCount<T>(Count::template get<uint8_t>(cpu, i));
    return Shift::template apply<T>(destination, cpu.reg<T>(i->reg), count, cpu.flags);
  }
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    const Result<T> result = modify<T>(cpu, i, cpu.reg<T>(i->rm));
    cpu.setReg<T>(i->rm, result.value);
    setFlags(cpu, result.flags);
    return next(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    return modifyOperand<T, AnyAddress, &modify<T>>(cpu, i);
  }
};

}  // namespace

extern const HandlerSet SHLD_Ev_Gv_Ib = wideSet<DoubleShift<DoubleShiftLeft, FromImmediate>>();
extern const HandlerSet SHLD_Ev_Gv_CL = wideSet<DoubleShift<DoubleShiftLeft, FromCl>>();
extern const HandlerSet SHRD_Ev_Gv_Ib = wideSet<DoubleShift<DoubleShiftRight, FromImmediate>>();
extern const HandlerSet SHRD_Ev_Gv_CL = wideSet<DoubleShift<DoubleShiftRight, FromCl>>();

}  // namespace nodevm
