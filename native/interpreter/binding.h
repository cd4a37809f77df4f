#pragma once
// From a decoded instruction to its handler.

#include "interpreter/dispatch.h"

namespace nodevm {

// The handler for an instruction of row i.row.
Handler bind(const Instruction& i);

// Pseudo-instructions that the block builder adds.
void computeAddress(Cpu& cpu,
                    const Instruction* i);  // kAddress = address of the next one's operand
void fallThrough(Cpu& cpu,
                 const Instruction* i);  // the block goes on in another block at this offset
void raiseUndefined(Cpu& cpu, const Instruction* i);   // #UD
void raiseTooLong(Cpu& cpu, const Instruction* i);     // #GP(0)
void leaveDeadBlock(Cpu& cpu, const Instruction* i);   // the block was overwritten while it ran
void checkBreakpoint(Cpu& cpu, const Instruction* i);  // the debugger may want to stop here

}  // namespace nodevm
