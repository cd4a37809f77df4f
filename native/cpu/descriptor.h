#pragma once
// Segment descriptors and gates in the GDT, LDT and IDT. SDM volume 3, "Segment Descriptors",
// "System Descriptor Types", "Gate Descriptors in IA-32e Mode".

#include <cstdint>

#include "cpu/cpu.h"

namespace nodevm {

// SDM volume 3, "Segment Selectors".
constexpr unsigned rplOf(uint16_t selector) { return selector & 3; }
constexpr bool isNull(uint16_t selector) { return (selector & 0xfffc) == 0; }
constexpr bool isLocal(uint16_t selector) { return (selector & 4) != 0; }
// The error code that names a selector; EXT is added where an event is delivered.
constexpr uint32_t selectorError(uint16_t selector) { return selector & 0xfffc; }

// 48-bit linear addresses: SDM volume 1, "Canonical Addressing".
constexpr bool isCanonical(uint64_t linear) {
  return static_cast<uint64_t>(static_cast<int64_t>(linear << 16) >> 16) == linear;
}

// Types of system descriptors; the 64-bit ones have the numbers of the 32-bit ones.
enum SystemType : uint8_t {
  kTss16Available = 1,
  kLdtType = 2,
  kTss16Busy = 3,
  kCallGate16 = 4,
  kTaskGate = 5,
  kInterruptGate16 = 6,
  kTrapGate16 = 7,
  kTssAvailable = 9,
  kTssBusy = 11,
  kCallGate = 12,
  kInterruptGate = 14,
  kTrapGate = 15,
};

// Bits of SegmentRegister::access.
namespace access {
inline constexpr uint16_t kAccessed = 1, kCodeOrData = 0x10, kPresent = 0x80, kMask = 0xf0ff;
inline constexpr unsigned kDplShift = 5;
}  // namespace access

struct Descriptor {
  uint64_t low = 0;
  uint64_t high = 0;    // second half of the 16-byte ones of IA-32e mode, else 0
  uint64_t linear = 0;  // where it was read

  uint16_t access() const { return static_cast<uint16_t>(low >> 40) & access::kMask; }
  unsigned type() const { return access() & 15; }
  unsigned dpl() const { return (access() >> access::kDplShift) & 3; }
  bool present() const { return access() & access::kPresent; }
  bool isCodeOrData() const { return access() & access::kCodeOrData; }
  bool isCode() const { return (access() & 0x18) == 0x18; }
  bool isData() const { return (access() & 0x18) == 0x10; }
  bool isConforming() const { return (access() & 0x1c) == 0x1c; }
  bool isReadable() const { return isData() || (isCode() && (access() & 2)); }
  bool isWritableData() const { return isData() && (access() & 2); }
  bool longCode() const { return access() & 0x2000; }
  bool big() const { return access() & 0x4000; }

  uint64_t base() const {
    return ((low >> 16) & 0xffffff) | ((low >> 32) & 0xff000000) | high << 32;
  }
  uint32_t limit() const {
    const auto raw = static_cast<uint32_t>((low & 0xffff) | ((low >> 32) & 0xf0000));
    return (access() & 0x8000) ? raw << 12 | 0xfff : raw;
  }

  uint16_t gateSelector() const { return static_cast<uint16_t>(low >> 16); }
  uint64_t gateOffset() const { return (low & 0xffff) | ((low >> 32) & 0xffff0000) | high << 32; }
  unsigned gateParameters() const { return (low >> 32) & 31; }
  unsigned gateStackTable() const { return (low >> 32) & 7; }  // IST index
};

// What a segment register holds after loading the descriptor.
SegmentRegister segmentOf(const Descriptor& descriptor, uint16_t selector);

enum class Lookup : uint8_t { kFound, kOutside, kFaulted };

// Reads the descriptor that a selector names; kOutside when its table has none, kFaulted when
// reading faulted (recorded). System descriptors of IA-32e mode are read in full.
Lookup lookUpDescriptor(Cpu& cpu, uint16_t selector, Descriptor& descriptor);

// The same for instructions that fault: `vector` with the selector's error code.
[[nodiscard]] bool fetchDescriptor(Cpu& cpu, uint16_t selector, Vector vector,
                                   Descriptor& descriptor);

// Sets the accessed bit of a code or data descriptor in its table.
[[nodiscard]] bool markAccessed(Cpu& cpu, Descriptor& descriptor);

// Sets the type field of a descriptor in its table (busy bit of a TSS).
[[nodiscard]] bool storeType(Cpu& cpu, const Descriptor& descriptor, unsigned type);

}  // namespace nodevm
