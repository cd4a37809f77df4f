#pragma once
// Trace channels, native side: records of the kinds that were asked for, in a buffer that run()
// leaves for TypeScript to read when it fills up. Off, it is a comparison in the dispatcher.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "debug/record.h"

namespace nodevm {

struct TraceBuffer {
  // Between two visits to the dispatcher a repeated string instruction adds 8192.
  static constexpr size_t kCapacity = 32768, kFull = kCapacity - 12288;

  uint32_t count = 0;  // set to 0 by TypeScript
  uint32_t lost = 0;
  uint64_t reserved[3] = {};
  Record records[kCapacity];
};

// Linear addresses, both ends included.
struct TraceRange {
  uint64_t first, last;
};

struct TraceOptions {
  uint32_t kinds = 0;  // a bit for each RecordKind
  // Leave before every block, not only before those just decoded, for a look at the registers.
  bool stops = false;
  // Of kBlock and kDecode only those in here; all when empty.
  std::vector<TraceRange> ranges;
};

class Trace {
 public:
  void configure(TraceOptions options);

  bool wants(RecordKind kind) const { return options_.kinds >> static_cast<unsigned>(kind) & 1; }
  // Whether blocks are of interest at all, and whether they are to be entered by the dispatcher one
  // by one, by the interpreter.
  bool blocks() const { return everyBlock_ || wants(RecordKind::kDecode); }
  bool everyBlock() const { return everyBlock_; }
  bool everyAccess() const { return everyAccess_; }
  bool covers(uint64_t linear) const;
  bool full() const { return buffer_ && buffer_->count >= TraceBuffer::kFull; }

  void add(const Record& record);
  void addDecoded(const Record& record);
  // `record` is of a block that is about to run. True: TypeScript has to see guest and records
  // first, and the same block comes again.
  bool addBlock(const Record& record);

  // Allocated when first asked for.
  TraceBuffer& buffer();

 private:
  TraceOptions options_;
  bool everyBlock_ = false, everyAccess_ = false;
  bool decoded_ = false;  // the block that comes next
  // The block that run() was left for.
  static constexpr uint64_t kNever = ~uint64_t{0};
  uint64_t shownLinear_ = 0, shownAt_ = kNever;
  std::unique_ptr<TraceBuffer> buffer_;
};

}  // namespace nodevm
