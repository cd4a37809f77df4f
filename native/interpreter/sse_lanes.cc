// Single lanes of XMM and MMX registers to and from general registers and memory.

#include "interpreter/sse_handlers.h"

namespace nodevm {

using namespace simd;

namespace {

enum class File : uint8_t { kXmm, kMm };

template <Path kPath, File kFile>
inline bool fileAvailable(Cpu& cpu) {
  return available<kPath, kFile == File::kXmm, kFile == File::kMm>(cpu);
}

// Address, within the register file, of the lane that imm8 selects; higher bits of imm8 are
// ignored.
template <class Lane, File kFile>
inline uint8_t* laneOf(Cpu& cpu, uint8_t number, uint64_t imm) {
  if constexpr (kFile == File::kXmm) {
    return cpu.vector[number].bytes + (imm & (16 / sizeof(Lane) - 1)) * sizeof(Lane);
  } else {
    return reinterpret_cast<uint8_t*>(&cpu.x87.registers[number].mantissa) +
           (imm & (8 / sizeof(Lane) - 1)) * sizeof(Lane);
  }
}

// PEXTRB and its kin, MOVD and MOVQ from a vector register: a lane of ModRM.reg to ModRM.rm,
// registers zero-extended.
template <Path kPath, bool kMemory, class Lane, File kFile>
[[gnu::noinline]] void extract(Cpu& cpu, const Instruction* i) {
  constexpr Handler kOtherwise =
      kPath == Path::kFast ? extract<Path::kSlow, kMemory, Lane, kFile> : fault;
  if (!fileAvailable<kPath, kFile>(cpu)) [[unlikely]]
    return kOtherwise(cpu, i);
  Lane value;
  std::memcpy(&value, laneOf<Lane, kFile>(cpu, i->reg, i->immediate), sizeof value);
  if constexpr (kMemory) {
    if (!storeLow<kPath, Lane>(cpu, i, value)) [[unlikely]]
      return kOtherwise(cpu, i);
  } else {
    cpu.setReg<uint64_t>(i->rm, value);
  }
  if constexpr (kFile == File::kMm) enterMmx(cpu);
  return next(cpu, i);
}

// PINSRB and its kin: ModRM.rm to a lane of ModRM.reg.
template <Path kPath, bool kMemory, class Lane, File kFile>
[[gnu::noinline]] void insert(Cpu& cpu, const Instruction* i) {
  constexpr Handler kOtherwise =
      kPath == Path::kFast ? insert<Path::kSlow, kMemory, Lane, kFile> : fault;
  if (!fileAvailable<kPath, kFile>(cpu)) [[unlikely]]
    return kOtherwise(cpu, i);
  auto value = static_cast<Lane>(kMemory ? 0 : cpu.reg<uint64_t>(i->rm));
  if constexpr (kMemory) {
    if (!loadLow<kPath, Lane>(cpu, i, value)) [[unlikely]]
      return kOtherwise(cpu, i);
  }
  std::memcpy(laneOf<Lane, kFile>(cpu, i->reg, i->immediate), &value, sizeof value);
  if constexpr (kFile == File::kMm) {
    enterMmx(cpu);
    cpu.x87.registers[i->reg].signExponent = 0xffff;
  }
  return next(cpu, i);
}

template <class Lane, File kFile = File::kXmm>
constexpr HandlerSet extracting() {
  return forms(extract<Path::kFast, false, Lane, kFile>, extract<Path::kFast, true, Lane, kFile>);
}
template <class Lane, File kFile = File::kXmm>
constexpr HandlerSet inserting() {
  return forms(insert<Path::kFast, false, Lane, kFile>, insert<Path::kFast, true, Lane, kFile>);
}

}  // namespace

// MOVD and, with REX.W, MOVQ
extern const HandlerSet MOVD_Vx_Ey =
    byWidth(vector<copy, Source::kGpr32>(), vector<copy, Source::kGpr64>());
extern const HandlerSet MOVD_Pq_Ey =
    byWidth(mmx<copy, Source::kGpr32>(), mmx<copy, Source::kGpr64>());
extern const HandlerSet MOVD_Ey_Vx = byWidth(extracting<uint32_t>(), extracting<uint64_t>());
extern const HandlerSet MOVD_Ey_Pq =
    byWidth(extracting<uint32_t, File::kMm>(), extracting<uint64_t, File::kMm>());

// Extracts
extern const HandlerSet PEXTRW_Gd_Ux_Ib = vector<pextrw, Source::kXmm, Target::kGpr32>();
extern const HandlerSet PEXTRW_Gd_Nq_Ib = vector<pextrwMm, Source::kMm, Target::kGpr32>();
extern const HandlerSet PEXTRB_Rd_Vx_Ib = extracting<uint8_t>();
extern const HandlerSet PEXTRB_Mb_Vx_Ib = extracting<uint8_t>();
extern const HandlerSet PEXTRW_Rd_Vx_Ib = extracting<uint16_t>();
extern const HandlerSet PEXTRW_Mw_Vx_Ib = extracting<uint16_t>();
extern const HandlerSet PEXTRD_Ey_Vx_Ib = byWidth(extracting<uint32_t>(), extracting<uint64_t>());
extern const HandlerSet EXTRACTPS_Ed_Vx_Ib = extracting<uint32_t>();

// Inserts
extern const HandlerSet PINSRB_Vx_Rd_Ib = inserting<uint8_t>();
extern const HandlerSet PINSRB_Vx_Mb_Ib = inserting<uint8_t>();
extern const HandlerSet PINSRW_Vx_Rd_Ib = inserting<uint16_t>();
extern const HandlerSet PINSRW_Vx_Mw_Ib = inserting<uint16_t>();
extern const HandlerSet PINSRW_Pq_Rd_Ib = inserting<uint16_t, File::kMm>();
extern const HandlerSet PINSRW_Pq_Mw_Ib = inserting<uint16_t, File::kMm>();
extern const HandlerSet PINSRD_Vx_Ey_Ib = byWidth(inserting<uint32_t>(), inserting<uint64_t>());
extern const HandlerSet INSERTPS_Vx_Wd_Ib =
    forms(execute<Path::kFast, false, Source::kXmm32, Target::kXmm, insertps>,
          execute<Path::kFast, true, Source::kXmm32, Target::kXmm, insertpsFromMemory>);

}  // namespace nodevm
