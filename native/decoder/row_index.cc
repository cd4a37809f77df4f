#include "decoder/row_index.h"

#include <algorithm>

namespace nodevm {

namespace {

bool impliesModRm(Operand operand) {
  using enum Operand;
  switch (operand) {
    case kAbsent:
    case Zb:
    case Zv:
    case Zq:
    case AL:
    case AX:
    case EAX:
    case rAX:
    case CL:
    case DX:
    case One:
    case rDX:
    case ES:
    case CS:
    case SS:
    case DS:
    case FS:
    case GS:
    case Xb:
    case Xv:
    case Yb:
    case Yv:
    case ST0:
    case Hx:
    case Lx:
    case By:
    case Kh:
      return false;
    default:
      return operand < Ib || operand > Ov;
  }
}

unsigned opcodesOf(const Row& row) { return row.has(kPlusReg) ? 8 : row.has(kPlusCond) ? 16 : 1; }

}  // namespace

bool rowHasModRm(const Row& row) {
  if (row.has(kNoModRm)) return false;
  if (row.has(kModRm) || row.modrm.reg >= 0 || row.modrm.form != 0 || row.modrm.exact >= 0)
    return true;
  return std::any_of(std::begin(row.operands), std::end(row.operands), impliesModRm);
}

RowIndex::RowIndex() : starts_(kSlots + 1), modrm_(kSlots), rowModrm_(kRowCount) {
  std::vector<std::vector<uint16_t>> slots(kSlots);
  // Rows with a mandatory prefix come before those that any prefix fits.
  for (const bool any : {false, true}) {
    for (unsigned number = 0; number < kRowCount; ++number) {
      const Row& row = kRows[number];
      if ((row.prefix == Mandatory::kAny) != any) continue;
      rowModrm_[number] = rowHasModRm(row);
      for (unsigned n = 0; n < opcodesOf(row); ++n) {
        const unsigned slot = slotOf(row.map, row.opcode + n, row.has(kEvex));
        slots[slot].push_back(static_cast<uint16_t>(number));
        modrm_[slot] |= rowModrm_[number];
      }
    }
  }
  for (size_t slot = 0; slot < slots.size(); ++slot) {
    starts_[slot] = static_cast<uint32_t>(rows_.size());
    rows_.insert(rows_.end(), slots[slot].begin(), slots[slot].end());
  }
  starts_.back() = static_cast<uint32_t>(rows_.size());
  rows_.push_back(0);  // so that &rows_[size] of an empty tail is a valid address
}

const RowIndex& rowIndex() {
  static const RowIndex index;
  return index;
}

}  // namespace nodevm
