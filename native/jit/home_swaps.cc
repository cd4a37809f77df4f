#include "jit/home_swaps.h"

#include <algorithm>

namespace nodevm {

namespace {

constexpr unsigned kRegisters = kHostOf.size();
// A swap is a store and a load on each way into the loop and out of it.
constexpr unsigned kLeastGain = 1;

using Uses = std::array<unsigned, kRegisters>;

Uses usesOf(const std::vector<PlannedInstruction>& instructions) {
  Uses uses{};
  for (const auto& [code, shape, start] : instructions) {
    if (!shape->native()) continue;
    const auto third = static_cast<uint8_t>(shape->vvvv ? code->vvvv() * 8 : gpr::kZero);
    for (const uint8_t slot : {code->reg, code->rm, code->base, code->index, third})
      if (slot / 8u < kRegisters) ++uses[slot / 8u];
  }
  return uses;
}

// Its registers have the same numbers on the host, or it implies more of them than RAX, RCX and
// RDX.
bool keepsNumbers(const Shape& shape) {
  return shape.bytes.high || shape.way == Way::kMoveHighByte || shape.way == Way::kLeave ||
         shape.way == Way::kCompareExchangeWide || shape.way == Way::kRepeatString;
}

// RAX, RCX and RDX are implied operands.
bool mayMove(uint8_t slot, bool numbersStay) {
  constexpr uint8_t kR8 = 8 * 8;
  if (slot <= gpr::kRdx || slot == gpr::kRsp || kHostOf[slot / 8u] == host::kNone) return false;
  return slot >= kR8 || !numbersStay;
}

}  // namespace

HomeSwaps::HomeSwaps(const std::vector<PlannedInstruction>& instructions) {
  const Uses uses = usesOf(instructions);
  const bool numbersStay =
      std::any_of(instructions.begin(), instructions.end(),
                  [](const PlannedInstruction& planned) { return keepsNumbers(*planned.shape); });
  std::vector<uint8_t> in, out;
  for (unsigned number = 0; number < kRegisters; ++number) {
    const auto slot = static_cast<uint8_t>(number * 8);
    if (kHostOf[number] == host::kNone) in.push_back(slot);
    if (mayMove(slot, numbersStay)) out.push_back(slot);
  }
  const auto usesMore = [&](uint8_t a, uint8_t b) { return uses[a / 8u] > uses[b / 8u]; };
  std::stable_sort(in.begin(), in.end(), usesMore);
  std::stable_sort(out.rbegin(), out.rend(), usesMore);
  for (size_t n = 0; n < std::min(in.size(), out.size()); ++n) {
    if (uses[in[n] / 8u] < uses[out[n] / 8u] + kLeastGain) return;
    swaps_[count_++] = {in[n], out[n]};
    std::swap(homes_[in[n] / 8u], homes_[out[n] / 8u]);
  }
}

}  // namespace nodevm
