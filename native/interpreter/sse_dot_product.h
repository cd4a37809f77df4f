#pragma once
// DPPS, DPPD and their VEX forms with some exception unmasked: they are a multiplication and sums
// of neighbours, each step with its own exceptions (SDM volume 2, DPPS).

#include "interpreter/sse_control.h"

namespace nodevm {

// Goes through the steps for their exceptions alone. False: #XM is recorded.
bool dotProductOfFloatsRaisesNothing(Cpu& cpu, const FloatSources& sources);
bool dotProductOfDoublesRaisesNothing(Cpu& cpu, const FloatSources& sources);

}  // namespace nodevm
