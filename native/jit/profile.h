#pragma once
// How often translated code goes to the interpreter, by opcode-table row. Counted only there, on
// paths that cost a hundred times as much.

#include <cstdint>
#include <vector>

#include "decoder/row.h"

namespace nodevm {

struct JitProfile {
  struct Counts {
    uint64_t untranslated = 0;  // the row has no translation
    uint64_t missed = 0;        // its memory operand was not in the TLB
    uint64_t ended = 0;         // the last of a block: no translated successor known, or a miss
  };
  std::vector<Counts> rows = std::vector<Counts>(kRowCount);
};

}  // namespace nodevm
