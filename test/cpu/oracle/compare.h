#pragma once
// What differs between two outcomes, in words; empty where they agree.

#include <string>

#include "decoder/row.h"
#include "state.h"

namespace nodevm::oracle {

std::string compare(const Row& row, const State& host, const State& engine);
std::string hex(const Code& code);

}  // namespace nodevm::oracle
