#include "debug/trace.h"

#include <algorithm>
#include <utility>

namespace nodevm {

void Trace::configure(TraceOptions options) {
  options_ = std::move(options);
  everyAccess_ = wants(RecordKind::kLoad) || wants(RecordKind::kStore);
  shownAt_ = kNever;
  everyBlock_ = wants(RecordKind::kBlock) || options_.stops || everyAccess_;
}

bool Trace::covers(uint64_t linear) const {
  const auto inside = [&](const TraceRange& r) { return linear >= r.first && linear <= r.last; };
  return options_.ranges.empty() || std::ranges::any_of(options_.ranges, inside);
}

TraceBuffer& Trace::buffer() {
  if (!buffer_) buffer_ = std::make_unique<TraceBuffer>();
  return *buffer_;
}

void Trace::add(const Record& record) {
  TraceBuffer& to = buffer();
  if (to.count < TraceBuffer::kCapacity) {
    to.records[to.count++] = record;
  } else {
    ++to.lost;
  }
}

void Trace::addDecoded(const Record& record) {
  if (!covers(record.linear)) return;
  add(record);
  decoded_ = true;
}

bool Trace::addBlock(const Record& record) {
  if (shownLinear_ == record.linear && shownAt_ == record.instructions) return decoded_ = false;
  const bool covered = covers(record.linear);
  const bool leaves = std::exchange(decoded_, false) || (options_.stops && covered);
  if (covered && wants(RecordKind::kBlock)) add(record);
  if (!leaves) return false;
  shownLinear_ = record.linear;
  shownAt_ = record.instructions;
  return true;
}

}  // namespace nodevm
