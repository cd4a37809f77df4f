#pragma once
// Recorded vectors: answers that hardware has confirmed as a small file, for hosts whose own
// processor is another vendor's. A case is made anew from its row's name and number; the file has a
// digest of the row's inputs, and one of each outcome.

#include <string>
#include <vector>

#include "decoder/row.h"

namespace nodevm::oracle {

// Runs `cases` of each row on this processor and in the engine, and writes the digests of what they
// agree on (compare.h). 0, or 1 where they do not, or the file cannot be written.
int recordVectors(const std::string& path, const std::vector<const Row*>& rows, unsigned cases);

// Runs the recorded cases in the engine. Prints a line a row that differs, and totals; 1 where an
// outcome differs, where inputs are not those that were recorded, or where the file cannot be read.
// Rows whose results are a vendor's own (approximations, transcendental functions) are compared on
// that vendor's processors only.
int playVectors(const std::string& path, bool jit);

}  // namespace nodevm::oracle
