#pragma once
// A row of the opcode table as a template argument, for those who have the host execute the guest's
// own instruction (avx_host.h, evex_host.h), and what VEX and EVEX encode alike.

#include <cstdint>
#include <string_view>

#include "decoder/row.h"
#include "interpreter/sse_control.h"

namespace nodevm {

// The field that stands for the mandatory prefix.
constexpr unsigned ppOf(const Form& form) {
  return form.prefix == Mandatory::k66   ? 1
         : form.prefix == Mandatory::kF3 ? 2
         : form.prefix == Mandatory::kF2 ? 3
                                         : 0;
}

// With register 0, or the opcode's extension, and register 6 or [RSI].
constexpr unsigned modRmOf(const Form& form) {
  const unsigned reg = form.modrm.reg < 0 ? 0 : static_cast<unsigned>(form.modrm.reg);
  return (form.modrm.form == 1 ? 0x06 : 0xc6) | reg << 3;
}

// Which lanes of the result may be tiny, by the type that the mnemonic ends with.
constexpr Tiny tinyOf(const Form& form, std::string_view mnemonic) {
  if (!form.has(kTiny)) return Tiny::kNever;
  if (mnemonic.ends_with("ph")) return Tiny::kHalves;
  if (mnemonic.ends_with("ps")) return Tiny::kFloats;
  if (mnemonic.ends_with("pd")) return Tiny::kDoubles;
  return mnemonic.ends_with("ss") ? Tiny::kLowFloat : Tiny::kLowDouble;
}

// Code that is entered by an executeOnHost() alone, with an immediate in R10.
using HostCode = void (*)();

}  // namespace nodevm
