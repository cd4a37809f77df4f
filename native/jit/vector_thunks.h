#pragma once
// The guest's vector registers on the host's. They stay there from block to block until C++ is
// called, which finds them in memory, and are loaded again when a block asks for them.

#include "jit/thunks.h"

namespace nodevm {

// Emits Thunks::needVectors, saveVectors and reloadVectors.
void emitVectorThunks(Emitter& emitter, const Layout& layout, Thunks& thunks);

}  // namespace nodevm
