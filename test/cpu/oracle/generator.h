#pragma once
// Cases from the opcode table: a row becomes bytes with random prefixes, operands and state.

#include <cstdint>
#include <random>

#include "decoder/row.h"
#include "state.h"

namespace nodevm::oracle {

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  // Rows that user mode can execute and whose outcome is a function of the compared state.
  static bool covers(const Row& row) { return whyNot(row) == nullptr; }
  // Why a row is not among them and what tests it then, nullptr when it is.
  static const char* whyNot(const Row& row);

  unsigned pick(size_t count) { return below(static_cast<unsigned>(count)); }
  // A random starting state: registers and memory full of corner values, in fitting ranges.
  void randomState(State& state);
  // Appends one instruction of the row; sets registers of `state` so that memory operands mostly
  // hit the data pages, and so that strings and shifts stay short.
  void append(const Row& row, Code& code, State& state);

 private:
  uint64_t number() { return random_(); }
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  bool oneIn(unsigned n) { return below(n) == 0; }
  uint64_t corner();
  void put(Code& code, uint64_t value, unsigned size);
  uint8_t putVex(const Row& row, Code& code);
  void putModRm(const Row& row, Code& code, State& state, uint8_t rex, bool address32);
  void putVectorSib(const Row& row, Code& code, State& state, uint8_t rex);
  // generator_evex.cc
  void appendEvex(const Row& row, Code& code, State& state, bool address32);
  void putEvexPrefix(const Row& row, Code& code, bool memory, uint8_t& rex, bool& vvvvHigh);
  void putEvexVectorSib(Code& code, State& state, uint8_t rex, bool vvvvHigh, bool quadwords);
  void placeEvexOperand(const Row& row, const Code& code, State& state);
  void randomUppers(State& state);
  void putImmediates(const Row& row, Code& code, bool word, bool wide);
  uint64_t dataAddress();
  uint64_t stateAddress(State& state);
  unsigned baseRegister(const Row& row, uint8_t rex);
  void randomFpuState(State& state);
  void resetComponents(State& state);
  void setImplicitRegisters(const Row& row, State& state);

  std::mt19937_64 random_;
};

}  // namespace nodevm::oracle
