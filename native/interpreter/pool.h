#pragma once
// Memory for many small arrays that are freed together, or moved together.

#include <cstddef>
#include <memory>
#include <type_traits>
#include <vector>

#include "mmu/huge_pages.h"

namespace nodevm {

template <class T>
class Pool {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  static constexpr size_t kChunk = kHugePage / sizeof(T);

  // `count` elements in a row, kChunk at most, not initialised.
  T* take(size_t count) {
    if (used_ + count > kChunk) {
      if (++current_ > chunks_.size()) chunks_.emplace_back(new Chunk);
      used_ = 0;
    }
    T* first = chunks_[current_ - 1]->at(used_);
    used_ += count;
    return first;
  }
  // Whether so many elements are taken, with what was lost at the ends of chunks.
  bool holds(size_t count) const { return current_ * kChunk >= count; }

  void clear() {
    restart();
    trim();
  }
  // As if nothing was taken. What is taken again in the same order lies where it was or before, so
  // that arrays that are to stay can be moved one by one.
  void restart() {
    current_ = 0;
    used_ = kChunk;
  }
  // Gives back what is not taken.
  void trim() { chunks_.resize(current_); }
  // Each element that is taken, of a pool of single ones.
  template <class Function>
  void each(const Function& function) {
    upTo(current_, used_, function);
  }
  // The same, restarted before.
  template <class Function>
  void refill(const Function& function) {
    const size_t last = current_, used = used_;
    restart();
    upTo(last, used, function);
  }

 private:
  template <class Function>
  void upTo(size_t last, size_t used, const Function& function) {
    for (size_t c = 1; c <= last; ++c)
      for (size_t n = 0; n < (c == last ? used : kChunk); ++n) function(*chunks_[c - 1]->at(n));
  }

  struct Chunk : OnHugePages {
    T* at(size_t n) { return reinterpret_cast<T*>(memory) + n; }
    alignas(T) std::byte memory[kChunk * sizeof(T)];
  };

  std::vector<std::unique_ptr<Chunk>> chunks_;
  size_t current_ = 0;    // number of the chunk in use, from 1; 0: none
  size_t used_ = kChunk;  // elements of it
};

}  // namespace nodevm
