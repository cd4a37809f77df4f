// SDM volume 1, "Binary Arithmetic Instructions" without multiplication and division.

#include "interpreter/arithmetic.h"

namespace nodevm {

extern const HandlerSet ADD_Eb_Gb = byteSet<ToRm<Add, FromReg>>();
extern const HandlerSet ADD_Ev_Gv = wideSet<ToRm<Add, FromReg>>();
extern const HandlerSet ADD_Gb_Eb = byteSet<ToReg<Add>>();
extern const HandlerSet ADD_Gv_Ev = wideSet<ToReg<Add>>();
extern const HandlerSet ADD_AL_Ib = byteOnly<ToImplied<Add, Accumulator, FromImmediate>>();
extern const HandlerSet ADD_rAX_Iz = wideOnly<ToImplied<Add, Accumulator, FromImmediate>>();
extern const HandlerSet ADD_Eb_Ib = byteSet<ToRm<Add, FromImmediate>>();
extern const HandlerSet ADD_Eb_Ib_82 = ADD_Eb_Ib;
extern const HandlerSet ADD_Ev_Iz = wideSet<ToRm<Add, FromImmediate>>();
extern const HandlerSet ADD_Ev_Is = ADD_Ev_Iz;

extern const HandlerSet ADC_Eb_Gb = byteSet<ToRm<AddCarry, FromReg>>();
extern const HandlerSet ADC_Ev_Gv = wideSet<ToRm<AddCarry, FromReg>>();
extern const HandlerSet ADC_Gb_Eb = byteSet<ToReg<AddCarry>>();
extern const HandlerSet ADC_Gv_Ev = wideSet<ToReg<AddCarry>>();
extern const HandlerSet ADC_AL_Ib = byteOnly<ToImplied<AddCarry, Accumulator, FromImmediate>>();
extern const HandlerSet ADC_rAX_Iz = wideOnly<ToImplied<AddCarry, Accumulator, FromImmediate>>();
extern const HandlerSet ADC_Eb_Ib = byteSet<ToRm<AddCarry, FromImmediate>>();
extern const HandlerSet ADC_Eb_Ib_82 = ADC_Eb_Ib;
extern const HandlerSet ADC_Ev_Iz = wideSet<ToRm<AddCarry, FromImmediate>>();
extern const HandlerSet ADC_Ev_Is = ADC_Ev_Iz;

extern const HandlerSet ADCX_Gy_Ey = wideSet<ToReg<AddWithCf>>();
extern const HandlerSet ADOX_Gy_Ey = wideSet<ToReg<AddWithOf>>();

extern const HandlerSet SUB_Eb_Gb = byteSet<ToRm<Subtract, FromReg>>();
extern const HandlerSet SUB_Ev_Gv = wideSet<ToRm<Subtract, FromReg>>();
extern const HandlerSet SUB_Gb_Eb = byteSet<ToReg<Subtract>>();
extern const HandlerSet SUB_Gv_Ev = wideSet<ToReg<Subtract>>();
extern const HandlerSet SUB_AL_Ib = byteOnly<ToImplied<Subtract, Accumulator, FromImmediate>>();
extern const HandlerSet SUB_rAX_Iz = wideOnly<ToImplied<Subtract, Accumulator, FromImmediate>>();
extern const HandlerSet SUB_Eb_Ib = byteSet<ToRm<Subtract, FromImmediate>>();
extern const HandlerSet SUB_Eb_Ib_82 = SUB_Eb_Ib;
extern const HandlerSet SUB_Ev_Iz = wideSet<ToRm<Subtract, FromImmediate>>();
extern const HandlerSet SUB_Ev_Is = SUB_Ev_Iz;

extern const HandlerSet SBB_Eb_Gb = byteSet<ToRm<SubtractBorrow, FromReg>>();
extern const HandlerSet SBB_Ev_Gv = wideSet<ToRm<SubtractBorrow, FromReg>>();
extern const HandlerSet SBB_Gb_Eb = byteSet<ToReg<SubtractBorrow>>();
extern const HandlerSet SBB_Gv_Ev = wideSet<ToReg<SubtractBorrow>>();
extern const HandlerSet SBB_AL_Ib =
    byteOnly<ToImplied<SubtractBorrow, Accumulator, FromImmediate>>();
extern const HandlerSet SBB_rAX_Iz =
    wideOnly<ToImplied<SubtractBorrow, Accumulator, FromImmediate>>();
extern const HandlerSet SBB_Eb_Ib = byteSet<ToRm<SubtractBorrow, FromImmediate>>();
extern const HandlerSet SBB_Eb_Ib_82 = SBB_Eb_Ib;
extern const HandlerSet SBB_Ev_Iz = wideSet<ToRm<SubtractBorrow, FromImmediate>>();
extern const HandlerSet SBB_Ev_Is = SBB_Ev_Iz;

extern const HandlerSet CMP_Eb_Gb = byteSet<ToRm<Compare, FromReg>>();
extern const HandlerSet CMP_Ev_Gv = wideSet<ToRm<Compare, FromReg>>();
extern const HandlerSet CMP_Gb_Eb = byteSet<ToReg<Compare>>();
extern const HandlerSet CMP_Gv_Ev = wideSet<ToReg<Compare>>();
extern const HandlerSet CMP_AL_Ib = byteOnly<ToImplied<Compare, Accumulator, FromImmediate>>();
extern const HandlerSet CMP_rAX_Iz = wideOnly<ToImplied<Compare, Accumulator, FromImmediate>>();
extern const HandlerSet CMP_Eb_Ib = byteSet<ToRm<Compare, FromImmediate>>();
extern const HandlerSet CMP_Eb_Ib_82 = CMP_Eb_Ib;
extern const HandlerSet CMP_Ev_Iz = wideSet<ToRm<Compare, FromImmediate>>();
extern const HandlerSet CMP_Ev_Is = CMP_Ev_Iz;

extern const HandlerSet INC_Eb = byteSet<ToRm<Increment, FromOne>>();
extern const HandlerSet INC_Ev = wideSet<ToRm<Increment, FromOne>>();
extern const HandlerSet INC_Zv = wideOnly<ToImplied<Increment, RegOperand, FromOne>>();
extern const HandlerSet DEC_Eb = byteSet<ToRm<Decrement, FromOne>>();
extern const HandlerSet DEC_Ev = wideSet<ToRm<Decrement, FromOne>>();
extern const HandlerSet DEC_Zv = wideOnly<ToImplied<Decrement, RegOperand, FromOne>>();
extern const HandlerSet NEG_Eb = byteSet<ToRm<Negate, FromOne>>();
extern const HandlerSet NEG_Ev = wideSet<ToRm<Negate, FromOne>>();

}  // namespace nodevm
