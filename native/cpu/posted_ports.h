#pragma once
// Accesses to ports that need not leave run() one by one. A guest that prints by polling reads a
// status that is the same each time, and writes bytes that have no effect but to be printed: as
// long as the device says so, reads are answered here, and writes wait for the next exit. (KVM's
// coalesced PIO is the same idea.)

#include <cstdint>

namespace nodevm {

// Accesses of one byte.
struct PolledPorts {
  static constexpr uint32_t kNone = ~uint32_t{0};

  uint32_t write = kNone, read = kNone;
  uint32_t value = 0;  // of a read
  // Until the device sees one again: it may want to know that the guest waits.
  uint32_t readsLeft = 0;
};

class PostedPorts {
 public:
  static constexpr unsigned kPolled = 4;
  static constexpr uint32_t kMostReads = 8;  // between two writes
  static constexpr unsigned kMostWrites = 256;

  struct Write {
    uint32_t port, value;
    double instructions;  // retired since power-on
  };

  // nullptr: the device has to be asked.
  const uint32_t* read(uint32_t port) {
    PolledPorts* polled = find(port, &PolledPorts::read);
    if (!polled || polled->readsLeft == 0) return nullptr;
    --polled->readsLeft;
    return &polled->value;
  }
  // Whether the write is posted.
  bool write(uint32_t port, uint32_t value, uint64_t instructions) {
    PolledPorts* polled = find(port, &PolledPorts::write);
    if (!polled || count == kMostWrites) return false;
    polled->readsLeft = kMostReads;
    writes[count++] = {port, value, static_cast<double>(instructions)};
    return true;
  }

  uint32_t allowed = 0;  // by TypeScript; 0: somebody wants to see each access as it happens
  uint32_t count = 0;    // of writes; set back by TypeScript
  PolledPorts polled[kPolled];
  Write writes[kMostWrites];

 private:
  PolledPorts* find(uint32_t port, uint32_t PolledPorts::*which) {
    if (allowed == 0) return nullptr;
    for (PolledPorts& candidate : polled)
      if (candidate.*which == port) return &candidate;
    return nullptr;
  }
};

}  // namespace nodevm
