#pragma once
// The architectural state of one processor, and the derived state that makes the common path short.
// Plain data: a JIT addresses it by offset, a snapshot copies it.

#include <cstddef>
#include <cstdint>

#include "cpu/flags.h"
#include "decoder/instruction.h"

namespace nodevm {

// Hidden part of a segment register. SDM volume 3, "Segment Registers".
struct SegmentRegister {
  uint16_t selector = 0;
  // Bits 8..23 of the descriptor's second doubleword, shifted down by 8: type 0..3, S 4, DPL 5..6,
  // P 7, AVL 12, L 13, D/B 14, G 15.
  uint16_t access = 0;
  uint32_t limit = 0;  // in bytes, granularity applied
  uint64_t base = 0;

  unsigned type() const { return access & 15; }
  bool isCodeOrData() const { return access & 0x10; }
  unsigned dpl() const { return (access >> 5) & 3; }
  bool present() const { return access & 0x80; }
  bool longCode() const { return access & 0x2000; }
  bool big() const { return access & 0x4000; }
  bool isCode() const { return (access & 0x18) == 0x18; }
  bool isExpandDown() const { return (access & 0x1c) == 0x14; }
};

struct DescriptorTableRegister {
  uint64_t base = 0;
  uint16_t limit = 0xffff;
};

// x87 registers as memory images of 80-bit values (SDM volume 1, "x87 FPU Data Types").
struct alignas(16) Float80 {
  uint64_t mantissa = 0;
  uint16_t signExponent = 0;
};

struct X87State {
  Float80 registers[8];  // physical registers R0..R7; ST(i) is R[(TOP + i) & 7]
  uint16_t control = 0x037f;
  uint16_t status = 0;      // TOP lives in bits 11..13
  uint8_t validTags = 0;    // bit n: R[n] is not empty (the abridged tag word of FXSAVE)
  uint16_t lastOpcode = 0;  // FOP, 11 bits
  uint16_t instructionSegment = 0, dataSegment = 0;
  uint64_t instructionPointer = 0, dataPointer = 0;

  unsigned top() const { return (status >> 11) & 7; }
};

// An XMM register with its YMM half.
struct alignas(32) VectorRegister {
  uint8_t bytes[32] = {};
};
// A ZMM register.
struct alignas(64) ZmmRegister {
  uint8_t bytes[64] = {};
};

// What AVX-512 adds, apart from the registers that everybody uses. cpu/avx512.h has the access.
struct Avx512State {
  uint64_t mask[8] = {};     // k0..k7
  VectorRegister upper[16];  // upper halves of ZMM0..ZMM15
  ZmmRegister high[16];      // ZMM16..ZMM31
  uint16_t upperInUse = 0;   // bit n: upper[n] is not zero
};

// Model-specific registers that are plain state. Their rules are in msr.cc.
struct MsrState {
  uint64_t efer = 0;
  uint64_t star = 0, lstar = 0, cstar = 0, sfmask = 0;
  uint64_t kernelGsBase = 0;
  uint64_t sysenterCs = 0, sysenterEsp = 0, sysenterEip = 0;
  uint64_t pat = 0x0007040600070406;
  uint64_t apicBase = 0xfee00900;  // enabled, bootstrap processor
  uint64_t tscAdjust = 0, tscAux = 0;
  uint64_t miscEnable = 1;  // fast strings
  uint64_t debugCtl = 0;
  uint64_t xss = 0;
  uint64_t mtrrDefType = 0;
  uint64_t mtrrFixed[11] = {};
  uint64_t mtrrVariable[16] = {};  // base, mask pairs
};

namespace efer {
inline constexpr uint64_t kSce = 1, kLme = 1 << 8, kLma = 1 << 10, kNxe = 1 << 11;
}
namespace apic_base {
inline constexpr uint64_t kX2apic = 1 << 10, kEnable = 1 << 11;
}
namespace cr0 {
inline constexpr uint64_t kPe = 1, kMp = 2, kEm = 4, kTs = 8, kEt = 16, kNe = 32, kWp = 1 << 16,
                          kAm = 1 << 18, kNw = 1 << 29, kCd = 1 << 30, kPg = uint64_t{1} << 31;
}
namespace cr4 {
inline constexpr uint64_t kVme = 1, kPvi = 2, kTsd = 4, kDe = 8, kPse = 16, kPae = 32, kMce = 64,
                          kPge = 128, kPce = 256, kOsfxsr = 512, kOsxmmexcpt = 1 << 10,
                          kUmip = 1 << 11, kLa57 = 1 << 12, kFsgsbase = 1 << 16, kPcide = 1 << 17,
                          kOsxsave = 1 << 18, kSmep = 1 << 20, kSmap = 1 << 21;
}

// RAX..R15 and the pseudo slots of decoder/instruction.h.
struct GeneralRegisters {
  uint64_t gpr[gpr::kSlots] = {};
};

struct CpuState {
  Flags flags;                           // the six arithmetic flags
  uint64_t eflagsRest = eflags::kFixed;  // every other bit of RFLAGS
  // RIP. While a block runs it is the block's first instruction; exact whenever the dispatcher has
  // it.
  uint64_t rip = 0xfff0;

  // Derived from the segment registers and the mode by updateMode().
  uint64_t segmentBase[kSegmentCount] = {};  // 0 for ES, CS, SS, DS in 64-bit mode
  uint64_t linearMask = 0xffffffff;          // all ones in 64-bit mode
  uint64_t ripMask = 0xffff;
  uint64_t stackMask = 0xffff;  // by SS.B; all ones in 64-bit mode

  SegmentRegister segment[kSegmentCount];
  SegmentRegister ldtr, tr;
  DescriptorTableRegister gdtr, idtr;
  uint64_t cr0 = cr0::kEt | cr0::kNw | cr0::kCd, cr2 = 0, cr3 = 0, cr4 = 0;
  uint64_t pdpte[4] = {};  // PAE: loaded and checked when CR3 is
  uint64_t dr[4] = {}, dr6 = 0xffff0ff0, dr7 = 0x400;
  uint64_t xcr0 = 1;
  MsrState msr;
  uint8_t cpl = 0;

  X87State x87;
  uint32_t mxcsr = 0x1f80;
  VectorRegister vector[16];
  Avx512State avx512;
};

}  // namespace nodevm
