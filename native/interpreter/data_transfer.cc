// MOV, MOVZX, MOVSX, CMOVcc, LEA, XLAT, BSWAP and the sign extensions of the accumulator.
// SDM volume 1, "Data Transfer Instructions".

#include "interpreter/data_transfer.h"

namespace nodevm {

namespace {

// mov AL/rAX, moffs and back: the address is the immediate.
struct LoadAbsolute {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    const Loaded<T> loaded = cpu.load<T>(i->segment, i->immediate);
    if (!loaded.ok) return fault(cpu, i);
    cpu.setReg<T>(gpr::kRax, loaded.value);
    return next(cpu, i);
  }
};
struct StoreAbsolute {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    if (!cpu.store<T>(i->segment, i->immediate, cpu.reg<T>(gpr::kRax))) return fault(cpu, i);
    return next(cpu, i);
  }
};

struct MoveImmediate {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    cpu.setReg<T>(i->reg, static_cast<T>(i->immediate));
    return next(cpu, i);
  }
};

// With a 16-bit operand MOVSXD is a plain move of 16 bits.
struct MoveSignExtendedDoubleword {
  template <class T>
  using Form = MoveExtended<std::conditional_t<sizeof(T) == 2, int16_t, int32_t>>;
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    return Form<T>::template reg<T>(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    return Form<T>::template mem<T>(cpu, i);
  }
};

// Memory is read, and a 32-bit destination's upper half cleared, whether or not the condition
// holds.
template <unsigned kCondition>
struct ConditionalMove {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    cpu.setReg<T>(i->reg, cpu.flags.condition(kCondition) ? value : cpu.reg<T>(i->reg));
  }
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    use<T>(cpu, i, cpu.reg<T>(i->rm));
    return next(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    return loadOperand<T, AnyAddress, &use<T>>(cpu, i);
  }
};

struct ByteSwap {
  template <class T>
  static T swapped(T value) {
    // Undefined for 16 bits; processors clear them.
    if constexpr (sizeof(T) == 2) return 0;
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
  }
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    cpu.setReg<T>(i->reg, swapped<T>(cpu.reg<T>(i->reg)));
    return next(cpu, i);
  }
};

// MOVBE. Its opcode with a REP prefix is no instruction.
template <class T>
T bytesReversed(T value) {
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}
struct LoadReversed {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    cpu.setReg<T>(i->reg, bytesReversed<T>(value));
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    if (i->hasRep()) return raise(cpu, i, kUd);
    return loadOperand<T, AnyAddress, &use<T>>(cpu, i);
  }
};
struct StoreReversed {
  template <class T>
  static T value(const Cpu& cpu, const Instruction* i) {
    return bytesReversed<T>(cpu.reg<T>(i->reg));
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    if (i->hasRep()) return raise(cpu, i, kUd);
    return storeOperand<T, AnyAddress, &value<T>>(cpu, i);
  }
};

template <class T>
T signExtendHalf(T value) {
  constexpr unsigned half = sizeof(T) * 4;
  return static_cast<T>(static_cast<std::make_signed_t<T>>(static_cast<T>(value << half)) >> half);
}

// CBW, CWDE, CDQE.
struct ExtendAccumulator {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    cpu.setReg<T>(gpr::kRax, signExtendHalf<T>(cpu.reg<T>(gpr::kRax)));
    return next(cpu, i);
  }
};
// CWD, CDQ, CQO.
struct ExtendIntoRdx {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    const auto value = static_cast<std::make_signed_t<T>>(cpu.reg<T>(gpr::kRax));
    cpu.setReg<T>(gpr::kRdx, value < 0 ? static_cast<T>(~T{0}) : T{0});
    return next(cpu, i);
  }
};

void translate(Cpu& cpu, const Instruction* i) {
  const uint64_t ea = (cpu.reg<uint64_t>(gpr::kRbx) + cpu.reg<uint8_t>(gpr::kRax)) & addressMask(i);
  const Loaded<uint8_t> loaded = cpu.load<uint8_t>(i->segment, ea);
  if (!loaded.ok) return fault(cpu, i);
  cpu.setReg<uint8_t>(gpr::kRax, loaded.value);
  return next(cpu, i);
}

}  // namespace

extern const HandlerSet MOV_Eb_Gb = byteSet<MoveToRm<FromReg>>();
extern const HandlerSet MOV_Ev_Gv = wideSet<MoveToRm<FromReg>>();
extern const HandlerSet MOV_Gb_Eb = byteSet<MoveToReg<>>();
extern const HandlerSet MOV_Gv_Ev = wideSet<MoveToReg<>>();
extern const HandlerSet MOV_Eb_Ib = byteSet<MoveToRm<FromImmediate>>();
extern const HandlerSet MOV_Ev_Iz = wideSet<MoveToRm<FromImmediate>>();
extern const HandlerSet MOV_AL_Ob = byteOnly<LoadAbsolute>();
extern const HandlerSet MOV_rAX_Ov = wideOnly<LoadAbsolute>();
extern const HandlerSet MOV_Ob_AL = byteOnly<StoreAbsolute>();
extern const HandlerSet MOV_Ov_rAX = wideOnly<StoreAbsolute>();
extern const HandlerSet MOV_Zb_Ib = byteOnly<MoveImmediate>();
extern const HandlerSet MOV_Zv_Iv = wideOnly<MoveImmediate>();
// Non-temporal only as a hint: SDM volume 1, "Cacheability Control Instructions".
extern const HandlerSet MOVNTI_My_Gy = wideMemorySet<MoveToRm<FromReg>>();
extern const HandlerSet MOVBE_Gv_Mv = wideMemorySet<LoadReversed>();
extern const HandlerSet MOVBE_Mv_Gv = wideMemorySet<StoreReversed>();

extern const HandlerSet MOVZX_Gv_Eb = wideSet<MoveExtended<uint8_t>>();
extern const HandlerSet MOVZX_Gv_Ew = wideSet<MoveExtended<uint16_t>>();
extern const HandlerSet MOVSX_Gv_Eb = wideSet<MoveExtended<int8_t>>();
extern const HandlerSet MOVSX_Gv_Ew = wideSet<MoveExtended<int16_t>>();
extern const HandlerSet MOVSXD_Gv_Ed = wideSet<MoveSignExtendedDoubleword>();

extern const HandlerSet CMOVO_Gv_Ev = wideSet<ConditionalMove<0>>();
extern const HandlerSet CMOVNO_Gv_Ev = wideSet<ConditionalMove<1>>();
extern const HandlerSet CMOVB_Gv_Ev = wideSet<ConditionalMove<2>>();
extern const HandlerSet CMOVAE_Gv_Ev = wideSet<ConditionalMove<3>>();
extern const HandlerSet CMOVE_Gv_Ev = wideSet<ConditionalMove<4>>();
extern const HandlerSet CMOVNE_Gv_Ev = wideSet<ConditionalMove<5>>();
extern const HandlerSet CMOVBE_Gv_Ev = wideSet<ConditionalMove<6>>();
extern const HandlerSet CMOVA_Gv_Ev = wideSet<ConditionalMove<7>>();
extern const HandlerSet CMOVS_Gv_Ev = wideSet<ConditionalMove<8>>();
extern const HandlerSet CMOVNS_Gv_Ev = wideSet<ConditionalMove<9>>();
extern const HandlerSet CMOVP_Gv_Ev = wideSet<ConditionalMove<10>>();
extern const HandlerSet CMOVNP_Gv_Ev = wideSet<ConditionalMove<11>>();
extern const HandlerSet CMOVL_Gv_Ev = wideSet<ConditionalMove<12>>();
extern const HandlerSet CMOVGE_Gv_Ev = wideSet<ConditionalMove<13>>();
extern const HandlerSet CMOVLE_Gv_Ev = wideSet<ConditionalMove<14>>();
extern const HandlerSet CMOVG_Gv_Ev = wideSet<ConditionalMove<15>>();

extern const HandlerSet LEA_Gv_M = wideMemorySet<LoadEffectiveAddress<>>();
extern const HandlerSet XLAT = alwaysSet(translate);
extern const HandlerSet BSWAP_Zv = wideOnly<ByteSwap>();
extern const HandlerSet CBW = wideOnly<ExtendAccumulator>();
extern const HandlerSet CWD = wideOnly<ExtendIntoRdx>();

}  // namespace nodevm
