#pragma once
// The flight recorder: what happened last, always on. It costs a store where something rare happens
// and one for each block that is entered from the dispatcher.

#include <cstddef>
#include <cstdint>

#include "debug/record.h"

namespace nodevm {

struct Recorder {
  static constexpr size_t kEvents = 4096, kEntries = 64;

  // How many were ever written; the newest is at (count - 1) % capacity.
  uint64_t eventCount = 0;
  uint64_t entryCount = 0;
  Record events[kEvents];
  // RIPs of the blocks that the dispatcher entered. What follows a block directly, by a chained or
  // translated branch, is not among them.
  uint64_t entries[kEntries] = {};

  void add(const Record& record) { events[eventCount++ % kEvents] = record; }
  void enter(uint64_t rip) { entries[entryCount++ % kEntries] = rip; }
};

}  // namespace nodevm
