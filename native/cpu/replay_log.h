#pragma once
// Accesses of one instruction that TypeScript has performed. Such an access leaves the instruction
// like a fault, nothing committed; the instruction then restarts, and each access that is in the
// log takes its result from there. The log is emptied when the instruction (or one REP iteration)
// is done.

#include <array>
#include <cstdint>

namespace nodevm {

class ReplayLog {
 public:
  enum class Kind : uint8_t { kPortRead, kMmioRead, kMmioWrite };
  struct Access {
    Kind kind;
    uint8_t size;
    uint64_t address;
    uint64_t value;
  };

  bool empty() const { return count_ == 0; }
  // The next recorded access, or nullptr when this one has to be performed.
  const Access* next(Kind kind, uint64_t address, uint8_t size) {
    if (position_ == count_) return nullptr;
    const Access& access = accesses_[position_];
    if (access.kind != kind || access.address != address || access.size != size) return nullptr;
    ++position_;
    return &access;
  }
  void add(Access access) {
    if (count_ < accesses_.size()) accesses_[count_++] = access;
  }
  void rewind() { position_ = 0; }
  void clear() { count_ = position_ = 0; }

 private:
  // FXSAVE of 512 bytes to MMIO in 8-byte pieces is the longest, read and write.
  std::array<Access, 136> accesses_{};
  uint32_t count_ = 0, position_ = 0;
};

}  // namespace nodevm
