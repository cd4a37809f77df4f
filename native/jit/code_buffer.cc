#include "jit/code_buffer.h"

#include <algorithm>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace nodevm {

namespace {

constexpr size_t kSmallPage = 4096;

size_t chunkFor(size_t size, size_t least) {
  const size_t chunk = size >= 2 * kHugePage ? kHugePage : size / 2;
  return (std::max(chunk, least) + kSmallPage - 1) & ~(kSmallPage - 1);
}

}  // namespace

#if defined(__linux__) && defined(__x86_64__)

namespace {

constexpr int kMadviseCollapse = 25;  // MADV_COLLAPSE of Linux 6.1, which older headers lack

// The whole file, at an address where its huge pages can be mapped as such, behind `before` bytes
// of zeroes; nullptr: refused.
uint8_t* mapAligned(size_t size, int protection, int file, size_t before) {
  const size_t spare = kHugePage;
  void* place = mmap(nullptr, before + size + spare, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) return nullptr;
  auto* first = static_cast<uint8_t*>(place);
  const size_t unused = -reinterpret_cast<uintptr_t>(first + before) % spare;
  uint8_t* aligned = first + unused + before;
  if (unused != 0) munmap(first, unused);
  munmap(aligned + size, spare - unused);
  if (mmap(aligned, size, protection, MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED)
    return aligned;
  munmap(aligned - before, before + size);
  return nullptr;
}

}  // namespace

CodeBuffer::CodeBuffer(size_t size, size_t leastChunk)
    : chunk_(chunkFor(size, leastChunk)),
      size_(std::max<size_t>(size / chunk_, 2) * chunk_),
      open_(size_ / kHugePage + 1) {
  file_ = memfd_create("nodevm-jit", MFD_CLOEXEC);
  if (file_ < 0 || ftruncate(file_, static_cast<off_t>(size_)) != 0) return;
  uint8_t* data = mapAligned(size_, PROT_READ | PROT_WRITE, file_, 0);
  uint8_t* code = mapAligned(size_, PROT_READ | PROT_EXEC, file_, nearDataBytes());
  if (data && code) {
    data_ = data;
    code_ = code;
    nearData_ = code - nearDataBytes();
  } else {
    if (data) munmap(data, size_);
    if (code) munmap(code - nearDataBytes(), nearDataBytes() + size_);
  }
}

CodeBuffer::~CodeBuffer() {
  if (file_ >= 0) close(file_);
  if (!ok()) return;
  munmap(data_, size_);
  munmap(nearData_, nearDataBytes() + size_);
}

// To touch a page brings its whole huge page back, in some 10 us.
void CodeBuffer::open(size_t hugePage) {
  constexpr unsigned kMostOpen = 2;
  if (openCount_ == kMostOpen) {
    madvise(data_, size_, MADV_DONTNEED);
    std::fill(open_.begin(), open_.end(), 0);
    openCount_ = 0;
  }
  open_[hugePage] = 1;
  ++openCount_;
}

bool CodeBuffer::writeFile(size_t offset, const void* bytes, size_t count) const {
  return pwrite(file_, bytes, count, static_cast<off_t>(offset)) == static_cast<ssize_t>(count);
}

// What the file lacks cannot be collapsed, hence the byte; a host that refuses has small pages.
const uint8_t* CodeBuffer::takeChunk() {
  if (size_ - taken_ < chunk_) return nullptr;
  const uint8_t* chunk = code_ + taken_;
  taken_ += chunk_;
  if (chunk_ == kHugePage) {
    *writable(chunk) = 0;
    madvise(const_cast<uint8_t*>(chunk), kHugePage, kMadviseCollapse);
  }
  return chunk;
}

#else

CodeBuffer::CodeBuffer(size_t size, size_t leastChunk)
    : chunk_(chunkFor(size, leastChunk)), size_(0) {}
CodeBuffer::~CodeBuffer() = default;
void CodeBuffer::open(size_t) {}
bool CodeBuffer::writeFile(size_t, const void*, size_t) const { return false; }
const uint8_t* CodeBuffer::takeChunk() { return nullptr; }

#endif

}  // namespace nodevm
