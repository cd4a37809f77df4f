// IN, OUT, INS, OUTS. SDM volume 1, "Input/Output".

#include "interpreter/system_handler.h"

namespace nodevm {

namespace {

constexpr unsigned kIoMapBase = 0x66;  // offset in the TSS

// SDM volume 1, "I/O Permission Bit Map": two bytes are read, so that the map needs one more at its
// end.
[[gnu::noinline]] bool checkPermissionMap(Cpu& cpu, uint16_t port, unsigned size) {
  const bool wideTss = cpu.tr.present() && (cpu.tr.type() & 8);
  if (!wideTss || cpu.tr.limit < kIoMapBase + 1) return cpu.raise(kGp, 0);
  const Loaded<uint64_t> base = cpu.loadSystem(cpu.tr.base + kIoMapBase, 2);
  if (!base.ok) return false;
  const uint64_t offset = base.value + port / 8;
  if (offset + 1 > cpu.tr.limit) return cpu.raise(kGp, 0);
  const Loaded<uint64_t> bits = cpu.loadSystem(cpu.tr.base + offset, 2);
  if (!bits.ok) return false;
  const uint64_t mask = ((uint64_t{1} << size) - 1) << (port & 7);
  return !(bits.value & mask) || cpu.raise(kGp, 0);
}

bool mayAccess(Cpu& cpu, uint16_t port, unsigned size) {
  const bool mapDecides = cpu.protectedMode() && (cpu.cpl > cpu.iopl() || cpu.virtual8086());
  return !mapDecides || checkPermissionMap(cpu, port, size);
}

template <bool kImmediate>
uint16_t portOf(const Cpu& cpu, const Instruction* i) {
  return kImmediate ? static_cast<uint16_t>(i->immediate & 0xff) : cpu.reg<uint16_t>(gpr::kRdx);
}

template <class T, bool kImmediate>
bool input(Cpu& cpu, const Instruction* i) {
  const uint16_t port = portOf<kImmediate>(cpu, i);
  if (!mayAccess(cpu, port, sizeof(T))) return false;
  const Loaded<uint32_t> value = cpu.portIn(port, sizeof(T));
  if (value.ok) cpu.setReg<T>(gpr::kRax, static_cast<T>(value.value));
  return value.ok;
}

template <class T, bool kImmediate>
bool output(Cpu& cpu, const Instruction* i) {
  const uint16_t port = portOf<kImmediate>(cpu, i);
  return mayAccess(cpu, port, sizeof(T)) && cpu.portOut(port, sizeof(T), cpu.reg<T>(gpr::kRax));
}

// --- strings

uint64_t addressRegister(const Cpu& cpu, uint8_t slot, SizeCode size) {
  return size == 1   ? cpu.reg<uint16_t>(slot)
         : size == 2 ? cpu.reg<uint32_t>(slot)
                     : cpu.reg<uint64_t>(slot);
}

// One iteration is done: the index moves by DF, rCX counts under REP, and RIP stays at the
// instruction while there is more to do.
template <class T>
void finishIteration(Cpu& cpu, const Instruction* i, uint8_t indexSlot) {
  const SizeCode size = i->addressSize();
  const uint64_t step = (cpu.eflagsRest & eflags::kDf) ? -uint64_t{sizeof(T)} : sizeof(T);
  setRegister(cpu, indexSlot, size, addressRegister(cpu, indexSlot, size) + step);
  cpu.rip = nextRip(cpu, i);
  if (!i->hasRep()) return;
  const uint64_t left = addressRegister(cpu, gpr::kRcx, size) - 1;
  setRegister(cpu, gpr::kRcx, size, left);
  if (left == 0) {
    cpu.eflagsRest &= ~eflags::kRf;
    return;
  }
  cpu.repeating = true;
  cpu.rip = thisRip(cpu, i);
}

bool nothingToRepeat(Cpu& cpu, const Instruction* i) {
  if (!i->hasRep() || addressRegister(cpu, gpr::kRcx, i->addressSize()) != 0) return false;
  cpu.rip = nextRip(cpu, i);
  return true;
}

// The destination is proven before the port is read, since reading has effects.
template <class T>
bool inputString(Cpu& cpu, const Instruction* i) {
  if (nothingToRepeat(cpu, i)) return true;
  const uint16_t port = cpu.reg<uint16_t>(gpr::kRdx);
  const uint64_t ea = addressRegister(cpu, gpr::kRdi, i->addressSize());
  if (!mayAccess(cpu, port, sizeof(T)) || !cpu.probeWrite(kEs, ea, sizeof(T))) return false;
  const Loaded<uint32_t> value = cpu.portIn(port, sizeof(T));
  if (!value.ok || !cpu.store<T>(kEs, ea, static_cast<T>(value.value))) return false;
  finishIteration<T>(cpu, i, gpr::kRdi);
  return true;
}

template <class T>
bool outputString(Cpu& cpu, const Instruction* i) {
  if (nothingToRepeat(cpu, i)) return true;
  const uint16_t port = cpu.reg<uint16_t>(gpr::kRdx);
  if (!mayAccess(cpu, port, sizeof(T))) return false;
  const uint64_t ea = addressRegister(cpu, gpr::kRsi, i->addressSize());
  const Loaded<T> value = cpu.load<T>(i->segment, ea);
  if (!value.ok || !cpu.portOut(port, sizeof(T), value.value)) return false;
  finishIteration<T>(cpu, i, gpr::kRsi);
  return true;
}

// Ports are at most 32 bits wide, also with REX.W.
constexpr HandlerSet words(Handler word, Handler doubleword) {
  return {{nullptr, word, doubleword, doubleword}, {nullptr, word, doubleword, doubleword}};
}

}  // namespace

extern const HandlerSet IN_AL_Ib = always(thenLeave<input<uint8_t, true>>);
extern const HandlerSet IN_EAX_Ib =
    words(thenLeave<input<uint16_t, true>>, thenLeave<input<uint32_t, true>>);
extern const HandlerSet IN_AL_DX = always(thenLeave<input<uint8_t, false>>);
extern const HandlerSet IN_EAX_DX =
    words(thenLeave<input<uint16_t, false>>, thenLeave<input<uint32_t, false>>);
extern const HandlerSet OUT_Ib_AL = always(thenLeave<output<uint8_t, true>>);
extern const HandlerSet OUT_Ib_EAX =
    words(thenLeave<output<uint16_t, true>>, thenLeave<output<uint32_t, true>>);
extern const HandlerSet OUT_DX_AL = always(thenLeave<output<uint8_t, false>>);
extern const HandlerSet OUT_DX_EAX =
    words(thenLeave<output<uint16_t, false>>, thenLeave<output<uint32_t, false>>);
extern const HandlerSet INS_Yb_DX = always(thenTransfer<inputString<uint8_t>>);
extern const HandlerSet INS_Yv_DX =
    words(thenTransfer<inputString<uint16_t>>, thenTransfer<inputString<uint32_t>>);
extern const HandlerSet OUTS_DX_Xb = always(thenTransfer<outputString<uint8_t>>);
extern const HandlerSet OUTS_DX_Xv =
    words(thenTransfer<outputString<uint16_t>>, thenTransfer<outputString<uint32_t>>);

}  // namespace nodevm
