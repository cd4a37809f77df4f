#pragma once
// Finds the rows of an opcode: built once from the table, read-only afterwards.

#include <cstdint>
#include <vector>

#include "decoder/row.h"

namespace nodevm {

// Whether the row's instruction has a ModRM byte.
bool rowHasModRm(const Row& row);

class RowIndex {
 public:
  struct Candidates {
    const uint16_t* first;
    const uint16_t* last;
    bool hasModRm;
    const uint16_t* begin() const { return first; }
    const uint16_t* end() const { return last; }
  };

  RowIndex();
  // evex: behind an EVEX prefix, which has rows of its own.
  Candidates candidates(OpcodeMap map, uint8_t opcode, bool evex) const {
    const unsigned slot = slotOf(map, opcode, evex);
    return {&rows_[starts_[slot]], &rows_[starts_[slot + 1]], modrm_[slot] != 0};
  }
  // rowHasModRm() of the row of this number.
  bool hasModRm(unsigned row) const { return rowModrm_[row] != 0; }

 private:
  static constexpr unsigned kSlots = 2 * 4 * 256;
  static unsigned slotOf(OpcodeMap map, unsigned opcode, bool evex) {
    return (static_cast<unsigned>(map) + (evex ? 4 : 0)) * 256 + opcode;
  }

  std::vector<uint16_t> rows_;
  std::vector<uint32_t> starts_;
  std::vector<uint8_t> modrm_, rowModrm_;  // by slot, by row
};

const RowIndex& rowIndex();

}  // namespace nodevm
