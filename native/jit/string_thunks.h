#pragma once
// REP MOVS and STOS by the host's own instruction, from page to page.

#include "jit/thunks.h"

namespace nodevm {

// Emits Thunks::repeatMove and repeatStore.
void emitStringThunks(Emitter& emitter, const Layout& layout, Thunks& thunks);

}  // namespace nodevm
