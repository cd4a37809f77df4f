#include "mmu/guest_ram.h"

#include <sys/mman.h>

#include "mmu/huge_pages.h"

namespace nodevm {

GuestRam::GuestRam(uint64_t lowBytes, uint64_t highBytes)
    : low_(lowBytes), high_(highBytes), code_((lowBytes + highBytes) >> 12) {
  // Not reserved: pages that the guest never touches cost nothing.
  void* mapping = mmap(nullptr, low_ + high_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return;
  data_ = static_cast<uint8_t*>(mapping);
  // Fewer misses in the host's TLB, fewer page faults.
  askForHugePages(mapping, low_ + high_);
}

GuestRam::~GuestRam() {
  if (data_) munmap(data_, low_ + high_);
}

}  // namespace nodevm
