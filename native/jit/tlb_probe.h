#pragma once
// The look into the TLB as host code: in line, and as thunks for accesses that are rarely made.

#include "jit/emitter.h"
#include "jit/page_cells.h"
#include "jit/thunks.h"

namespace nodevm {

// The page of an address.
void emitPageOf(Emitter& e, uint8_t to, const HostMemory& address);
// Falls through with the addend of the bytes from `first` to `last` in R10; else jumps to the
// fixup with NZ. Clobbers R11, and R10 before it reads `last`.
Emitter::Fixup emitTlbProbe(Emitter& e, const Layout& layout, const HostMemory& first,
                            const HostMemory& last, bool write);
// The same for bytes of one page, whose linear address `page` holds.
Emitter::Fixup emitPageProbe(Emitter& e, const Layout& layout, uint8_t page, bool write);
// The same for `span` bytes, by the stack window alone.
Emitter::Fixup emitWindowCheck(Emitter& e, const Layout& layout, const HostMemory& first,
                               unsigned span);
// The same by a cell alone.
Emitter::Fixup emitCellCheck(Emitter& e, const PageCell& cell, const HostMemory& first);
// Jumps to the fixup when the cells are not of the generation of the TLB in use. Clobbers R11.
Emitter::Fixup emitGenerationCheck(Emitter& e, const Layout& layout, const PathCells& cells);
void emitProbeThunks(Emitter& e, const Layout& layout, Thunks& thunks);

}  // namespace nodevm
