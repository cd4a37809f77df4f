#include "jit/code_buffer.h"

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace nodevm {

#if defined(__linux__) && defined(__x86_64__)

CodeBuffer::CodeBuffer(size_t size) : size_(size) {
  const int file = memfd_create("nodevm-jit", MFD_CLOEXEC);
  if (file < 0) return;
  if (ftruncate(file, static_cast<off_t>(size)) == 0) {
    void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    void* code = mmap(nullptr, size, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
    if (data != MAP_FAILED && code != MAP_FAILED) {
      data_ = static_cast<uint8_t*>(data);
      code_ = static_cast<const uint8_t*>(code);
    } else {
      if (data != MAP_FAILED) munmap(data, size);
      if (code != MAP_FAILED) munmap(code, size);
    }
  }
  close(file);
}

CodeBuffer::~CodeBuffer() {
  if (!ok()) return;
  munmap(data_, size_);
  munmap(const_cast<uint8_t*>(code_), size_);
}

#else

CodeBuffer::CodeBuffer(size_t size) : size_(size) {}
CodeBuffer::~CodeBuffer() = default;

#endif

}  // namespace nodevm
