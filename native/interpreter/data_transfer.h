#pragma once
// MOV and its relatives as forms, shared with specialized.cc. SDM volume 1, "Data Transfer
// Instructions".

#include <type_traits>

#include "interpreter/handlers_common.h"

namespace nodevm {

// mov r/m, source
template <class Source, class Address = AnyAddress>
struct MoveToRm {
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    cpu.setReg<T>(i->rm, Source::template get<T>(cpu, i));
    return next(cpu, i);
  }
  template <class T>
  static T value(const Cpu& cpu, const Instruction* i) {
    return Source::template get<T>(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    return storeOperand<T, Address, &value<T>>(cpu, i);
  }
};

// mov r, r/m
template <class Address = AnyAddress>
struct MoveToReg {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    cpu.setReg<T>(i->reg, value);
  }
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    use<T>(cpu, i, cpu.reg<T>(i->rm));
    return next(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    return loadOperand<T, Address, &use<T>>(cpu, i);
  }
};

// MOVZX (Narrow unsigned), MOVSX and MOVSXD (Narrow signed).
template <class Narrow, class Address = AnyAddress>
struct MoveExtended {
  using Bits = std::make_unsigned_t<Narrow>;
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, Bits value) {
    cpu.setReg<T>(i->reg, static_cast<T>(static_cast<Narrow>(value)));
  }
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    use<T>(cpu, i, cpu.reg<Bits>(i->rm));
    return next(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    return loadOperand<Bits, Address, &use<T>>(cpu, i);
  }
};

template <class Address = AnyAddress>
struct LoadEffectiveAddress {
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    cpu.setReg<T>(i->reg, static_cast<T>(Address::of(cpu, i)));
    return next(cpu, i);
  }
};

}  // namespace nodevm
