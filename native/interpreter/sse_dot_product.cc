#include "interpreter/sse_dot_product.h"

#include "interpreter/sse_host_float.h"

namespace nodevm {

using namespace simd;

namespace {

struct Vector {
  Xmm halves[2];  // the upper one is zero in 128-bit forms
};

struct Step {
  Xmm (*operation)(Xmm, Xmm);
  std::string_view mnemonic;
  Tiny tiny;
};

struct DotProduct {
  Step multiply, addNeighbours;
  unsigned sums;
  Xmm selected;
};

// False: #XM is recorded.
bool perform(Cpu& cpu, const Step& step, Vector& a, const Vector& b, unsigned bytes) {
  const Vector first = a, second = b;
  const uint32_t guest = beginUnmasked(cpu);
  bool tiny = false;
  for (unsigned n = 0; n < bytes / sizeof(Xmm); ++n) {
    a.halves[n] = step.operation(first.halves[n], second.halves[n]);
    tiny |= hasTiny(step.tiny, a.halves[n]);
  }
  const auto* from = reinterpret_cast<const uint8_t*>(&first);
  const auto* with = reinterpret_cast<const uint8_t*>(&second);
  return endUnmasked(cpu, guest, tiny, step.mnemonic, {from, from, with, bytes, 0});
}

Vector select(const uint8_t* from, unsigned bytes, Xmm selected) {
  Vector vector{{zeroXmm(), zeroXmm()}};
  for (unsigned n = 0; n < bytes / sizeof(Xmm); ++n)
    vector.halves[n] = _mm_and_si128(loadXmm(from + n * sizeof(Xmm)), selected);
  return vector;
}

bool raisesNothing(Cpu& cpu, const DotProduct& product, const FloatSources& sources) {
  Vector sum = select(sources.first, sources.bytes, product.selected);
  const Vector second = select(sources.second, sources.bytes, product.selected);
  if (!perform(cpu, product.multiply, sum, second, sources.bytes)) return false;
  for (unsigned n = 0; n < product.sums; ++n)
    if (!perform(cpu, product.addNeighbours, sum, sum, sources.bytes)) return false;
  return true;
}

}  // namespace

bool dotProductOfFloatsRaisesNothing(Cpu& cpu, const FloatSources& sources) {
  return raisesNothing(cpu,
                       {{mulps, "mulps", Tiny::kFloats},
                        {haddps, "haddps", Tiny::kFloats},
                        2,
                        dwordMask(sources.immediate >> 4)},
                       sources);
}

bool dotProductOfDoublesRaisesNothing(Cpu& cpu, const FloatSources& sources) {
  return raisesNothing(cpu,
                       {{mulpd, "mulpd", Tiny::kDoubles},
                        {haddpd, "haddpd", Tiny::kDoubles},
                        1,
                        qwordMask(sources.immediate >> 4)},
                       sources);
}

}  // namespace nodevm
