#include "decoder/row.h"

namespace nodevm {

namespace {
using enum Operand;
using enum OpcodeMap;
using enum Mandatory;
using enum Feature;
}  // namespace

const Row kRows[] = {
#define ROW(id, map, opcode, prefix, modrm, mnemonic, attributes, ...) \
  {{map, opcode, prefix, modrm, attributes, {__VA_ARGS__}}, #id, mnemonic},
#include "decoder/opcodes/opcodes.inc"
#undef ROW
};
const unsigned kRowCount = sizeof(kRows) / sizeof(kRows[0]);

}  // namespace nodevm
