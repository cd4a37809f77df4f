#pragma once
// Accesses across the edge of a page, by a copy of both sides in one piece. The interpreter does
// the same where one of the pages is not at hand.

#include "jit/thunks.h"

namespace nodevm {

// Emits Thunks::splitWrite and writeSplit. Returns what is to be jumped to where a look for the
// bytes at R9 to read has missed, with the page of the last one in R11: a way on for probeRead.
const uint8_t* emitSplitThunks(Emitter& emitter, const Layout& layout, Thunks& thunks);

}  // namespace nodevm
