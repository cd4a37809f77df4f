#pragma once
// Which forms of a row have been executed and compared: register and memory operands, operand
// sizes, LOCK and REP. What a row can have follows from its operands and attributes.

#include <cstdint>
#include <vector>

#include "decoder/row.h"
#include "state.h"

namespace nodevm::oracle {

class Coverage {
 public:
  Coverage();

  // The first instruction of `code` was compared; `row` is its row.
  void note(const Row& row, const Code& code);
  // Whether each form that the row can have was seen.
  bool complete(const Row& row) const;
  // A line a row: cases, and the forms seen of those wanted. Rows that user mode cannot compare are
  // listed with the reason. False: some row lacks a form.
  bool report() const;

 private:
  struct Seen {
    uint32_t cases = 0;
    uint32_t forms = 0;
  };
  Seen& of(const Row& row) { return seen_[static_cast<size_t>(&row - kRows)]; }
  const Seen& of(const Row& row) const { return seen_[static_cast<size_t>(&row - kRows)]; }

  std::vector<Seen> seen_;
};

}  // namespace nodevm::oracle
