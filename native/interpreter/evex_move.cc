// Handlers of decoder/opcodes/evex_move.inc.

#include "interpreter/evex_operation.h"

namespace nodevm {

using namespace evex;

namespace {

using enum Operand;
using enum OpcodeMap;
using enum Mandatory;
using enum Feature;

}  // namespace

#define ROW(id, map, opcode, prefix, modrm, mnemonic, attributes, ...)      \
  extern const HandlerSet id =                                              \
      handlers<Form{map, opcode, prefix, modrm, attributes, {__VA_ARGS__}}, \
               tinyOf(Form{map, opcode, prefix, modrm, attributes, {}}, mnemonic)>();
#include "decoder/opcodes/evex_move.inc"
#undef ROW

}  // namespace nodevm
