#pragma once
// Executable memory: one object mapped twice, so that no page is ever writable and executable at
// the same address. Linux; elsewhere no buffer can be made and the interpreter serves.

#include <cstddef>
#include <cstdint>

namespace nodevm {

class CodeBuffer {
 public:
  // Bytes are committed by the host as they are used. ok() is false where the host refuses.
  explicit CodeBuffer(size_t size);
  ~CodeBuffer();
  CodeBuffer(const CodeBuffer&) = delete;
  CodeBuffer& operator=(const CodeBuffer&) = delete;

  bool ok() const { return code_ != nullptr; }
  size_t size() const { return size_; }
  const uint8_t* code() const { return code_; }  // as it is executed
  // The writable twin of a place in the buffer.
  uint8_t* writable(const uint8_t* place) const { return data_ + (place - code_); }

 private:
  size_t size_;
  uint8_t* data_ = nullptr;
  const uint8_t* code_ = nullptr;
};

}  // namespace nodevm
