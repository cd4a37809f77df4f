#pragma once
// Memory for what is looked at all over, as TLBs are: few of the host's own TLB entries reach it.

#include <cstddef>
#include <cstdlib>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace nodevm {

inline constexpr size_t kHugePage = size_t{2} << 20;

// A hint: a host that has none, or no room for them, takes small pages.
inline void askForHugePages([[maybe_unused]] void* memory, [[maybe_unused]] size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(memory, bytes, MADV_HUGEPAGE);
#endif
}

// Base of a class whose objects are made by `new` on huge pages, where the host has them.
struct OnHugePages {
  static void* operator new(size_t bytes) {
    const size_t rounded = (bytes + kHugePage - 1) & ~(kHugePage - 1);
    void* memory = std::aligned_alloc(kHugePage, rounded);
    if (!memory) std::abort();
    askForHugePages(memory, rounded);
    return memory;
  }
  static void operator delete(void* memory) { std::free(memory); }
};

}  // namespace nodevm
