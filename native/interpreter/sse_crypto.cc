// AES-NI, PCLMULQDQ, SHA-NI and GFNI on XMM registers.

#include "interpreter/sse_handlers.h"
#include "interpreter/sse_host_crypto.h"

namespace nodevm {

using namespace simd;

extern const HandlerSet AESENC_Vx_Wx = vector<aesenc>();
extern const HandlerSet AESENCLAST_Vx_Wx = vector<aesenclast>();
extern const HandlerSet AESDEC_Vx_Wx = vector<aesdec>();
extern const HandlerSet AESDECLAST_Vx_Wx = vector<aesdeclast>();
extern const HandlerSet AESIMC_Vx_Wx = vector<aesimc>();
extern const HandlerSet AESKEYGENASSIST_Vx_Wx_Ib = vector<aeskeygenassist>();
extern const HandlerSet PCLMULQDQ_Vx_Wx_Ib = vector<pclmulqdq>();

extern const HandlerSet SHA1NEXTE_Vx_Wx = vector<sha1nexte>();
extern const HandlerSet SHA1MSG1_Vx_Wx = vector<sha1msg1>();
extern const HandlerSet SHA1MSG2_Vx_Wx = vector<sha1msg2>();
extern const HandlerSet SHA1RNDS4_Vx_Wx_Ib = vector<sha1rnds4>();
extern const HandlerSet SHA256RNDS2_Vx_Wx = withXmm0<sha256rnds2>();
extern const HandlerSet SHA256MSG1_Vx_Wx = vector<sha256msg1>();
extern const HandlerSet SHA256MSG2_Vx_Wx = vector<sha256msg2>();

extern const HandlerSet GF2P8MULB_Vx_Wx = vector<gf2p8mulb>();
extern const HandlerSet GF2P8AFFINEQB_Vx_Wx_Ib = vector<gf2p8affineqb>();
extern const HandlerSet GF2P8AFFINEINVQB_Vx_Wx_Ib = vector<gf2p8affineinvqb>();

}  // namespace nodevm
