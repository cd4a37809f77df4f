#include "cpu/stack_cursor.h"

namespace nodevm {

namespace {

bool storeCurrent(Cpu& cpu, uint64_t ea, uint64_t value, SizeCode size) {
  switch (size) {
    case 1:
      return cpu.store<uint16_t>(kSs, ea, static_cast<uint16_t>(value));
    case 2:
      return cpu.store<uint32_t>(kSs, ea, static_cast<uint32_t>(value));
    default:
      return cpu.store<uint64_t>(kSs, ea, value);
  }
}

template <class T>
bool loadCurrent(Cpu& cpu, uint64_t ea, uint64_t& value) {
  const Loaded<T> loaded = cpu.load<T>(kSs, ea);
  value = loaded.value;
  return loaded.ok;
}

bool withinLimit(const SegmentRegister& stack, uint64_t ea, unsigned bytes) {
  const uint64_t last = ea + bytes - 1;
  return stack.isExpandDown() ? ea > stack.limit && last <= (stack.big() ? 0xffffffff : 0xffff)
                              : last <= stack.limit;
}

}  // namespace

bool StackCursor::storeInner(Cpu& cpu, uint64_t ea, uint64_t value, unsigned bytes) const {
  const bool flat64 = mask_ == ~uint64_t{0};
  const bool inside =
      flat64 ? isCanonical(ea) && isCanonical(ea + bytes - 1) : withinLimit(segment_, ea, bytes);
  if (!inside) return cpu.raise(kSsFault, flat64 ? 0 : selectorError(segment_.selector));
  return cpu.storeSystem(flat64 ? ea : segment_.base + ea, value, bytes);
}

bool StackCursor::push(Cpu& cpu, uint64_t value, SizeCode size) {
  const unsigned bytes = 1u << size;
  const uint64_t rsp = merge(rsp_ - bytes);
  const uint64_t ea = rsp & mask_;
  if (!(inner_ ? storeInner(cpu, ea, value, bytes) : storeCurrent(cpu, ea, value, size)))
    return false;
  rsp_ = rsp;
  return true;
}

bool StackCursor::pop(Cpu& cpu, SizeCode size, uint64_t& value) {
  const uint64_t ea = rsp_ & mask_;
  const bool ok = size == 1   ? loadCurrent<uint16_t>(cpu, ea, value)
                  : size == 2 ? loadCurrent<uint32_t>(cpu, ea, value)
                              : loadCurrent<uint64_t>(cpu, ea, value);
  if (ok) skip(uint64_t{1} << size);
  return ok;
}

bool readInnerStack(Cpu& cpu, unsigned level, uint16_t& selector, uint64_t& rsp) {
  const bool wide = cpu.tr.type() & 8;
  const unsigned offset = wide ? 4 + 8 * level : 2 + 4 * level;
  const unsigned pointerBytes = wide ? 4 : 2;
  if (offset + pointerBytes + 1 > cpu.tr.limit)
    return cpu.raise(kTs, selectorError(cpu.tr.selector));
  const Loaded<uint64_t> pointer = cpu.loadSystem(cpu.tr.base + offset, pointerBytes);
  if (!pointer.ok) return false;
  const Loaded<uint64_t> stack = cpu.loadSystem(cpu.tr.base + offset + pointerBytes, 2);
  if (!stack.ok) return false;
  rsp = pointer.value;
  selector = static_cast<uint16_t>(stack.value);
  return true;
}

bool readLongModeStack(Cpu& cpu, unsigned index, uint64_t& rsp) {
  const unsigned offset = 4 + 8 * index;
  if (offset + 7 > cpu.tr.limit) return cpu.raise(kTs, selectorError(cpu.tr.selector));
  const Loaded<uint64_t> pointer = cpu.loadSystem(cpu.tr.base + offset, 8);
  if (!pointer.ok) return false;
  if (!isCanonical(pointer.value)) return cpu.raise(kSsFault, 0);
  rsp = pointer.value;
  return true;
}

}  // namespace nodevm
