// SDM volume 1, "Logical Instructions" and the single-operand shifts and rotates.

#include "interpreter/logic_shift.h"

namespace nodevm {

extern const HandlerSet AND_Eb_Gb = byteSet<ToRm<And, FromReg>>();
extern const HandlerSet AND_Ev_Gv = wideSet<ToRm<And, FromReg>>();
extern const HandlerSet AND_Gb_Eb = byteSet<ToReg<And>>();
extern const HandlerSet AND_Gv_Ev = wideSet<ToReg<And>>();
extern const HandlerSet AND_AL_Ib = byteOnly<ToImplied<And, Accumulator, FromImmediate>>();
extern const HandlerSet AND_rAX_Iz = wideOnly<ToImplied<And, Accumulator, FromImmediate>>();
extern const HandlerSet AND_Eb_Ib = byteSet<ToRm<And, FromImmediate>>();
extern const HandlerSet AND_Eb_Ib_82 = AND_Eb_Ib;
extern const HandlerSet AND_Ev_Iz = wideSet<ToRm<And, FromImmediate>>();
extern const HandlerSet AND_Ev_Is = AND_Ev_Iz;

extern const HandlerSet OR_Eb_Gb = byteSet<ToRm<Or, FromReg>>();
extern const HandlerSet OR_Ev_Gv = wideSet<ToRm<Or, FromReg>>();
extern const HandlerSet OR_Gb_Eb = byteSet<ToReg<Or>>();
extern const HandlerSet OR_Gv_Ev = wideSet<ToReg<Or>>();
extern const HandlerSet OR_AL_Ib = byteOnly<ToImplied<Or, Accumulator, FromImmediate>>();
extern const HandlerSet OR_rAX_Iz = wideOnly<ToImplied<Or, Accumulator, FromImmediate>>();
extern const HandlerSet OR_Eb_Ib = byteSet<ToRm<Or, FromImmediate>>();
extern const HandlerSet OR_Eb_Ib_82 = OR_Eb_Ib;
extern const HandlerSet OR_Ev_Iz = wideSet<ToRm<Or, FromImmediate>>();
extern const HandlerSet OR_Ev_Is = OR_Ev_Iz;

extern const HandlerSet XOR_Eb_Gb = byteSet<ToRm<Xor, FromReg>>();
extern const HandlerSet XOR_Ev_Gv = wideSet<ToRm<Xor, FromReg>>();
extern const HandlerSet XOR_Gb_Eb = byteSet<ToReg<Xor>>();
extern const HandlerSet XOR_Gv_Ev = wideSet<ToReg<Xor>>();
extern const HandlerSet XOR_AL_Ib = byteOnly<ToImplied<Xor, Accumulator, FromImmediate>>();
extern const HandlerSet XOR_rAX_Iz = wideOnly<ToImplied<Xor, Accumulator, FromImmediate>>();
extern const HandlerSet XOR_Eb_Ib = byteSet<ToRm<Xor, FromImmediate>>();
extern const HandlerSet XOR_Eb_Ib_82 = XOR_Eb_Ib;
extern const HandlerSet XOR_Ev_Iz = wideSet<ToRm<Xor, FromImmediate>>();
extern const HandlerSet XOR_Ev_Is = XOR_Ev_Iz;

extern const HandlerSet TEST_Eb_Gb = byteSet<ToRm<Test, FromReg>>();
extern const HandlerSet TEST_Ev_Gv = wideSet<ToRm<Test, FromReg>>();
extern const HandlerSet TEST_AL_Ib = byteOnly<ToImplied<Test, Accumulator, FromImmediate>>();
extern const HandlerSet TEST_rAX_Iz = wideOnly<ToImplied<Test, Accumulator, FromImmediate>>();
extern const HandlerSet TEST_Eb_Ib = byteSet<ToRm<Test, FromImmediate>>();
extern const HandlerSet TEST_Eb_Ib_1 = TEST_Eb_Ib;
extern const HandlerSet TEST_Ev_Iz = wideSet<ToRm<Test, FromImmediate>>();
extern const HandlerSet TEST_Ev_Iz_1 = TEST_Ev_Iz;
extern const HandlerSet NOT_Eb = byteSet<ToRm<Not, FromOne>>();
extern const HandlerSet NOT_Ev = wideSet<ToRm<Not, FromOne>>();

extern const HandlerSet ROL_Eb_Ib = byteSet<ToRm<RotateLeft, FromImmediate>>();
extern const HandlerSet ROL_Ev_Ib = wideSet<ToRm<RotateLeft, FromImmediate>>();
extern const HandlerSet ROL_Eb_1 = byteSet<ToRm<RotateLeft, FromOne>>();
extern const HandlerSet ROL_Ev_1 = wideSet<ToRm<RotateLeft, FromOne>>();
extern const HandlerSet ROL_Eb_CL = byteSet<ToRm<RotateLeft, FromCl>>();
extern const HandlerSet ROL_Ev_CL = wideSet<ToRm<RotateLeft, FromCl>>();

extern const HandlerSet ROR_Eb_Ib = byteSet<ToRm<RotateRight, FromImmediate>>();
extern const HandlerSet ROR_Ev_Ib = wideSet<ToRm<RotateRight, FromImmediate>>();
extern const HandlerSet ROR_Eb_1 = byteSet<ToRm<RotateRight, FromOne>>();
extern const HandlerSet ROR_Ev_1 = wideSet<ToRm<RotateRight, FromOne>>();
extern const HandlerSet ROR_Eb_CL = byteSet<ToRm<RotateRight, FromCl>>();
extern const HandlerSet ROR_Ev_CL = wideSet<ToRm<RotateRight, FromCl>>();

extern const HandlerSet RCL_Eb_Ib = byteSet<ToRm<RotateCarryLeft, FromImmediate>>();
extern const HandlerSet RCL_Ev_Ib = wideSet<ToRm<RotateCarryLeft, FromImmediate>>();
extern const HandlerSet RCL_Eb_1 = byteSet<ToRm<RotateCarryLeft, FromOne>>();
extern const HandlerSet RCL_Ev_1 = wideSet<ToRm<RotateCarryLeft, FromOne>>();
extern const HandlerSet RCL_Eb_CL = byteSet<ToRm<RotateCarryLeft, FromCl>>();
extern const HandlerSet RCL_Ev_CL = wideSet<ToRm<RotateCarryLeft, FromCl>>();

extern const HandlerSet RCR_Eb_Ib = byteSet<ToRm<RotateCarryRight, FromImmediate>>();
extern const HandlerSet RCR_Ev_Ib = wideSet<ToRm<RotateCarryRight, FromImmediate>>();
extern const HandlerSet RCR_Eb_1 = byteSet<ToRm<RotateCarryRight, FromOne>>();
extern const HandlerSet RCR_Ev_1 = wideSet<ToRm<RotateCarryRight, FromOne>>();
extern const HandlerSet RCR_Eb_CL = byteSet<ToRm<RotateCarryRight, FromCl>>();
extern const HandlerSet RCR_Ev_CL = wideSet<ToRm<RotateCarryRight, FromCl>>();

extern const HandlerSet SHL_Eb_Ib = byteSet<ToRm<ShiftLeft, FromImmediate>>();
extern const HandlerSet SHL_Ev_Ib = wideSet<ToRm<ShiftLeft, FromImmediate>>();
extern const HandlerSet SHL_Eb_1 = byteSet<ToRm<ShiftLeft, FromOne>>();
extern const HandlerSet SHL_Ev_1 = wideSet<ToRm<ShiftLeft, FromOne>>();
extern const HandlerSet SHL_Eb_CL = byteSet<ToRm<ShiftLeft, FromCl>>();
extern const HandlerSet SHL_Ev_CL = wideSet<ToRm<ShiftLeft, FromCl>>();
// /6 is an alias of /4 that no assembler emits.
extern const HandlerSet SAL_Eb_Ib = SHL_Eb_Ib;
extern const HandlerSet SAL_Ev_Ib = SHL_Ev_Ib;
extern const HandlerSet SAL_Eb_1 = SHL_Eb_1;
extern const HandlerSet SAL_Ev_1 = SHL_Ev_1;
extern const HandlerSet SAL_Eb_CL = SHL_Eb_CL;
extern const HandlerSet SAL_Ev_CL = SHL_Ev_CL;

extern const HandlerSet SHR_Eb_Ib = byteSet<ToRm<ShiftRight, FromImmediate>>();
extern const HandlerSet SHR_Ev_Ib = wideSet<ToRm<ShiftRight, FromImmediate>>();
extern const HandlerSet SHR_Eb_1 = byteSet<ToRm<ShiftRight, FromOne>>();
extern const HandlerSet SHR_Ev_1 = wideSet<ToRm<ShiftRight, FromOne>>();
extern const HandlerSet SHR_Eb_CL = byteSet<ToRm<ShiftRight, FromCl>>();
extern const HandlerSet SHR_Ev_CL = wideSet<ToRm<ShiftRight, FromCl>>();

extern const HandlerSet SAR_Eb_Ib = byteSet<ToRm<ShiftArithmeticRight, FromImmediate>>();
extern const HandlerSet SAR_Ev_Ib = wideSet<ToRm<ShiftArithmeticRight, FromImmediate>>();
extern const HandlerSet SAR_Eb_1 = byteSet<ToRm<ShiftArithmeticRight, FromOne>>();
extern const HandlerSet SAR_Ev_1 = wideSet<ToRm<ShiftArithmeticRight, FromOne>>();
extern const HandlerSet SAR_Eb_CL = byteSet<ToRm<ShiftArithmeticRight, FromCl>>();
extern const HandlerSet SAR_Ev_CL = wideSet<ToRm<ShiftArithmeticRight, FromCl>>();

}  // namespace nodevm
