// BT, BTS, BTR, BTC, BSF, BSR, TZCNT, LZCNT, POPCNT, CRC32. SDM volume 1, "Bit and Byte
// Instructions". Flags that the SDM leaves undefined are those of the AMD Zen family.

#include <array>
#include <bit>
#include <type_traits>

#include "interpreter/handlers_common.h"

namespace nodevm {

namespace {

template <class T>
inline constexpr unsigned kBits = sizeof(T) * 8;

// What becomes of the operand whose bit went to CF.
struct KeepBit {
  template <class T>
  static T apply(T value, T) {
    return value;
  }
};
struct SetBit {
  template <class T>
  static T apply(T value, T bit) {
    return value | bit;
  }
};
struct ResetBit {
  template <class T>
  static T apply(T value, T bit) {
    return value & static_cast<T>(~bit);
  }
};
struct ComplementBit {
  template <class T>
  static T apply(T value, T bit) {
    return value ^ bit;
  }
};

// A bit offset in a register reaches beyond a memory operand, signed; one in an immediate does not
// (SDM volume 2, BT).
template <class Operation, class Source>
struct BitOperation {
  static constexpr bool kWrites = !std::is_same_v<Operation, KeepBit>;

  template <class T>
  static T bitOf(T offset) {
    return static_cast<T>(T{1} << (offset & (kBits<T> - 1)));
  }
  template <class T>
  static uint64_t addressOf(const Cpu& cpu, const Instruction* i, T offset) {
    const uint64_t ea = effectiveAddress(cpu, i);
    if constexpr (std::is_same_v<Source, FromImmediate>) return ea;
    const int64_t element =
        static_cast<int64_t>(signExtend(offset)) >> std::bit_width(kBits<T> - 1);
    return (ea + static_cast<uint64_t>(element) * sizeof(T)) & addressMask(i);
  }
  static void setCarry(Cpu& cpu, bool carry) { setFlags(cpu, cpu.flags.withCarry(carry)); }

  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    const T bit = bitOf<T>(Source::template get<T>(cpu, i)), value = cpu.reg<T>(i->rm);
    if constexpr (kWrites) cpu.setReg<T>(i->rm, Operation::template apply<T>(value, bit));
    setCarry(cpu, (value & bit) != 0);
    return next(cpu, i);
  }
  template <class T>
  static Loaded<T> access(Cpu& cpu, const Instruction* i, T offset, T bit) {
    const uint64_t ea = addressOf<T>(cpu, i, offset);
    if constexpr (!kWrites) return cpu.load<T>(i->segment, ea);
    return exchangeMemory<T>(cpu, i->segment, ea,
                             [bit](T value) { return Operation::template apply<T>(value, bit); });
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    const T offset = Source::template get<T>(cpu, i), bit = bitOf<T>(offset);
    const Loaded<T> old = access<T>(cpu, i, offset, bit);
    if (!old.ok) return fault(cpu, i);
    setCarry(cpu, (old.value & bit) != 0);
    return next(cpu, i);
  }
};

// A source of 0 sets ZF and leaves the whole destination alone. PF is that of the index.
struct ScanForward {
  template <class T>
  static T index(T value) {
    return static_cast<T>(std::countr_zero(value));
  }
};
struct ScanReverse {
  template <class T>
  static T index(T value) {
    return static_cast<T>(kBits<T> - 1 - std::countl_zero(value));
  }
};
template <class Direction>
struct Scan {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    if (value == 0) return setFlags(cpu, flagsOfLogic<T>(0));
    const T index = Direction::template index<T>(value);
    cpu.setReg<T>(i->reg, index);
    // Index 0 is not a zero result: a bit that only ZF looks at.
    setFlags(cpu, {uint64_t{index} | 0x100, 0});
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

// All flags but ZF are cleared.
struct PopulationCount {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    cpu.setReg<T>(i->reg, static_cast<T>(std::popcount(value)));
    setFlags(cpu, Flags::unpack(value == 0 ? eflags::kZf : 0));
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

// The width for a source of 0, which sets CF; ZF says whether the count is 0. OF stays as it was.
struct TrailingZeros {
  template <class T>
  static T count(T value) {
    return static_cast<T>(std::countr_zero(value));
  }
};
struct LeadingZeros {
  template <class T>
  static T count(T value) {
    return static_cast<T>(std::countl_zero(value));
  }
};
template <class Direction>
struct CountZeros {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    const T count = Direction::template count<T>(value);
    cpu.setReg<T>(i->reg, count);
    setFlags(
        cpu,
        Flags::unpack(count == 0 ? eflags::kZf : 0).withCarryOverflow(value == 0, cpu.flags.of()));
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

// CRC-32C (SDM volume 2, CRC32), with bits reflected, a byte at a time.
constexpr uint32_t kCastagnoliReflected = 0x82f63b78;
constexpr std::array<uint32_t, 256> makeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < table.size(); ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kCastagnoliReflected : 0);
    table[byte] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = makeCrcTable();

struct AccumulateCrc {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T value) {
    uint32_t crc = cpu.reg<uint32_t>(i->reg);
    uint64_t rest = value;
    for (unsigned n = 0; n < sizeof(T); ++n, rest >>= 8)
      crc = (crc >> 8) ^ kCrcTable[(crc ^ rest) & 0xff];
    cpu.setReg<uint32_t>(i->reg, crc);
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

}  // namespace

extern const HandlerSet BT_Ev_Gv = wideSet<BitOperation<KeepBit, FromReg>>();
extern const HandlerSet BTS_Ev_Gv = wideSet<BitOperation<SetBit, FromReg>>();
extern const HandlerSet BTR_Ev_Gv = wideSet<BitOperation<ResetBit, FromReg>>();
extern const HandlerSet BTC_Ev_Gv = wideSet<BitOperation<ComplementBit, FromReg>>();
extern const HandlerSet BT_Ev_Ib = wideSet<BitOperation<KeepBit, FromImmediate>>();
extern const HandlerSet BTS_Ev_Ib = wideSet<BitOperation<SetBit, FromImmediate>>();
extern const HandlerSet BTR_Ev_Ib = wideSet<BitOperation<ResetBit, FromImmediate>>();
extern const HandlerSet BTC_Ev_Ib = wideSet<BitOperation<ComplementBit, FromImmediate>>();
extern const HandlerSet BSF_Gv_Ev = wideSet<Scan<ScanForward>>();
extern const HandlerSet BSR_Gv_Ev = wideSet<Scan<ScanReverse>>();
extern const HandlerSet TZCNT_Gv_Ev = wideSet<CountZeros<TrailingZeros>>();
extern const HandlerSet LZCNT_Gv_Ev = wideSet<CountZeros<LeadingZeros>>();
extern const HandlerSet POPCNT_Gv_Ev = wideSet<PopulationCount>();
// The operand size is the source's; the destination is 32 bits, zero-extended with REX.W.
extern const HandlerSet CRC32_Gy_Eb =
    alwaysSet(AccumulateCrc::reg<uint8_t>, AccumulateCrc::mem<uint8_t>);
extern const HandlerSet CRC32_Gy_Ev = wideSet<AccumulateCrc>();

}  // namespace nodevm
