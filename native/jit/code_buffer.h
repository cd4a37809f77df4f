#pragma once
// Executable memory: one object mapped twice, so that no page is ever writable and executable at
// the same address. Linux; elsewhere no buffer can be made and the interpreter serves.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "mmu/huge_pages.h"

namespace nodevm {

class CodeBuffer {
 public:
  // The buffer is used up chunk by chunk: huge pages, where there is room for two, since hot code
  // is spread over megabytes and a host has a few hundred TLB entries for instructions.
  //
  // Rounded up to whole chunks of at least `leastChunk` bytes, two of them or more. Bytes are
  // committed by the host as they are used. ok() is false where the host refuses.
  CodeBuffer(size_t size, size_t leastChunk);
  ~CodeBuffer();
  CodeBuffer(const CodeBuffer&) = delete;
  CodeBuffer& operator=(const CodeBuffer&) = delete;

  bool ok() const { return code_ != nullptr; }
  size_t chunkBytes() const { return chunk_; }
  // The next unused chunk, as it is executed; nullptr: there is none.
  const uint8_t* takeChunk();
  // All chunks are unused again.
  void reset() { taken_ = 0; }
  // Zeroes, for translated code to write to: an operand relative to RIP reaches them.
  uint8_t* nearData() const { return nearData_; }
  size_t nearDataBytes() const { return size_ / kCodePerData; }
  // The writable twin of a place in the buffer. Only the few huge pages to which code is added are
  // in the resident set of the process twice.
  uint8_t* writable(const uint8_t* place) {
    const auto offset = static_cast<size_t>(place - code_);
    if (!open_[offset / kHugePage]) open(offset / kHugePage);
    return data_ + offset;
  }
  // For a few bytes anywhere: what is not written to otherwise does not become resident.
  void patch(const uint8_t* place, const void* bytes, size_t count) {
    const auto offset = static_cast<size_t>(place - code_);
    if (open_[offset / kHugePage] || !writeFile(offset, bytes, count))
      std::memcpy(writable(place), bytes, count);
  }
  // The place whose twin this is.
  const uint8_t* executable(const uint8_t* twin) const { return code_ + (twin - data_); }

 private:
  static constexpr size_t kCodePerData = 8;

  void open(size_t hugePage);
  bool writeFile(size_t offset, const void* bytes, size_t count) const;

  size_t chunk_, size_;
  int file_ = -1;
  // Which huge pages of the writable view may be resident, and how many.
  std::vector<uint8_t> open_;
  unsigned openCount_ = 0;
  size_t taken_ = 0;
  uint8_t *data_ = nullptr, *nearData_ = nullptr;
  const uint8_t* code_ = nullptr;
};

}  // namespace nodevm
