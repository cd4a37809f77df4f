#include "cpu/debug_registers.h"

namespace nodevm {

namespace {

constexpr uint64_t kDr6Writable = 0x0000e00f, kDr6Fixed = 0xffff0ff0;
constexpr uint64_t kDr7Writable = 0xffff23ff, kDr7Fixed = 0x400;
constexpr uint64_t kGeneralDetect = 1 << 13;  // DR7.GD, and DR6.BD that reports it

// DR4 and DR5 are other names of DR6 and DR7 unless CR4.DE is set.
bool checkAccess(Cpu& cpu, unsigned& number) {
  const bool alias = number == 4 || number == 5;
  if (number > 7 || (alias && (cpu.cr4 & cr4::kDe))) return cpu.raise(kUd);
  if (alias) number += 2;
  if (cpu.cpl != 0) return cpu.raise(kGp, 0);
  return !(cpu.dr7 & kGeneralDetect) || cpu.raiseDebug(kGeneralDetect);
}

}  // namespace

bool readDebugRegister(Cpu& cpu, unsigned number, uint64_t& value) {
  if (!checkAccess(cpu, number)) return false;
  value = number == 6 ? cpu.dr6 : number == 7 ? cpu.dr7 : cpu.dr[number];
  return true;
}

bool writeDebugRegister(Cpu& cpu, unsigned number, uint64_t value) {
  if (!checkAccess(cpu, number)) return false;
  if (number < 4) {
    cpu.dr[number] = value;
    return true;
  }
  if (value >> 32) return cpu.raise(kGp, 0);
  if (number == 6) {
    cpu.dr6 = (value & kDr6Writable) | kDr6Fixed;
  } else {
    cpu.dr7 = (value & kDr7Writable) | kDr7Fixed;
    cpu.updateMode();
  }
  return true;
}

}  // namespace nodevm
