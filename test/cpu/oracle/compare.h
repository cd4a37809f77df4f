#pragma once
// What differs between two outcomes, in words; empty where they agree.

#include <cstddef>
#include <cstdint>
#include <string>

#include "decoder/row.h"
#include "state.h"

namespace nodevm::oracle {

std::string compare(const Row& row, const State& host, const State& engine);
std::string hex(const Code& code);

// FNV-1a, 32 bits, going on from `hash` (0: from the start).
uint32_t fold(uint32_t hash, const void* bytes, size_t size);
// Of all that compare() looks at.
uint32_t digest(const State& outcome);

}  // namespace nodevm::oracle
