#include "interpreter/block_cache.h"

#include <algorithm>
#include <cstring>

#include "interpreter/binding.h"
#include "interpreter/dispatch.h"
#include "jit/jit.h"

namespace nodevm {

namespace {

constexpr unsigned kMaxBytes = 224;  // offsets fit a byte, the longest instruction included
constexpr size_t kBuckets = 1 << 18;

CodeMode codeModeOf(const Cpu& cpu) {
  if (cpu.code64()) return CodeMode::k64;
  return cpu.segment[kCs].big() ? CodeMode::k32 : CodeMode::k16;
}

bool endsBlock(const Instruction& i) {
  const Row& row = kRows[i.row];
  return row.has(kEndsBlock) || (row.has(kRepPrefix) && i.hasRep());
}

}  // namespace

// A block under construction.
struct BlockCache::Draft {
  Instruction* code = nullptr;
  unsigned slots = 0, count = 0, bytes = 0;
  uint64_t secondPage = Block::kNoPage;
  bool checked = false;  // begins with a check for breakpoints
  uint8_t window[kMaxInstructionLength + 1] = {};

  Instruction& add(const Instruction& i, Handler handler) {
    Instruction& slot = code[slots++];
    slot = i;
    slot.handler = handler;
    slot.ordinal = static_cast<uint8_t>(count);
    return slot;
  }
  void addPseudo(Handler handler) {
    Instruction i{};
    i.base = i.index = gpr::kZero;
    i.offset = static_cast<uint8_t>(bytes);
    add(i, handler);
  }
};

// The bytes of a block that lie on a page.
struct BlockCache::Extent {
  uint64_t first = 0, end = 0;

  Extent(const Block& block, uint64_t page) : first(block.gpa), end(block.gpa + block.bytes) {
    if (block.secondPage == Block::kNoPage) return;
    const uint64_t inFirst = kPageSize - (block.gpa & kPageOffset);
    end = block.gpa + inFirst;
    if (page == end - kPageSize) return;
    first = block.secondPage;
    end = block.secondPage + block.bytes - inFirst;
  }
  uint64_t lines() const { return linesOf(first & kPageOffset, end - first); }
};

// A bit for each 64 bytes of a page.
uint64_t BlockCache::linesOf(uint64_t offset, uint64_t length) {
  const uint64_t first = offset / 64, last = std::min<uint64_t>((offset + length - 1) / 64, 63);
  return ~uint64_t{0} >> (63 - (last - first)) << first;
}

BlockCache::BlockCache() : buckets_(kBuckets) {}

Block* BlockCache::find(uint64_t gpa, uint32_t key) const {
  for (Block* block = buckets_[bucketOf(gpa, key)]; block; block = block->nextInBucket)
    if (block->gpa == gpa && block->key == key) return block;
  return nullptr;
}

// Puts the bytes at gpa + offset into the window. Bytes of the following page are fetched only when
// asked for.
bool BlockCache::fetch(Cpu& cpu, uint64_t gpa, unsigned offset, bool second, Draft& draft,
                       unsigned& available) {
  static constexpr uint8_t kNoMemory = 0xff;
  const uint64_t start = gpa + offset;
  const unsigned room = static_cast<unsigned>(kPageSize - (start & kPageOffset));
  available = std::min<unsigned>(kMaxInstructionLength, room);
  if (const uint8_t* page = cpu.ram.page(start)) {
    std::memcpy(draft.window, page + (start & kPageOffset), available);
  } else {
    std::memset(draft.window, kNoMemory, available);
  }
  if (!second || available == kMaxInstructionLength) return true;

  const uint64_t linear = (cpu.rip + offset + available + cpu.segmentBase[kCs]) & cpu.linearMask;
  uint64_t next = 0;
  if (!cpu.fetchPage(linear, next)) return false;
  draft.secondPage = next & kPageMask;
  const unsigned rest = kMaxInstructionLength - available;
  if (const uint8_t* page = cpu.ram.page(next)) {
    std::memcpy(draft.window + available, page, rest);
  } else {
    std::memset(draft.window + available, kNoMemory, rest);
  }
  available = kMaxInstructionLength;
  return true;
}

bool BlockCache::decodeInto(Cpu& cpu, uint64_t gpa, unsigned limit, Draft& draft) {
  const CodeMode mode = codeModeOf(cpu);
  const Breakpoints& breakpoints = cpu.debug.breakpoints;
  draft.checked = breakpoints.mayStopAt(gpa);
  if (draft.checked) draft.addPseudo(checkBreakpoint);
  for (;;) {
    if (draft.count == limit || (draft.count > 0 && breakpoints.mayStopAt(gpa + draft.bytes)) ||
        draft.bytes > kMaxBytes || (draft.bytes > 0 && ((gpa + draft.bytes) & kPageOffset) == 0)) {
      draft.addPseudo(fallThrough);
      return true;
    }
    unsigned available = 0;
    if (!fetch(cpu, gpa, draft.bytes, false, draft, available)) return false;
    const auto offset = static_cast<uint8_t>(draft.bytes);
    Decoded decoded;
    DecodeStatus status = decode(draft.window, available, mode, cpu.features, offset, decoded);
    if (status == DecodeStatus::kTruncated) {
      // Crosses into the next page: such an instruction has a block of its own.
      if (draft.count > 0) {
        draft.addPseudo(fallThrough);
        return true;
      }
      if (!fetch(cpu, gpa, 0, true, draft, available)) return false;
      status = decode(draft.window, available, mode, cpu.features, 0, decoded);
      limit = 1;
    }
    if (status != DecodeStatus::kOk) {
      draft.addPseudo(status == DecodeStatus::kTooLong ? raiseTooLong : raiseUndefined);
      ++draft.count;
      draft.bytes += 1;
      return true;
    }
    Instruction& i = decoded.instruction;
    if (decoded.needsAddress) {
      draft.add(i, computeAddress).immediate = static_cast<uint64_t>(decoded.wideDisplacement);
      draft.code[draft.slots - 1].length = 0;
      i.base = gpr::kAddress;
      i.index = gpr::kZero;
      i.scale = 0;
      i.displacement = 0;
    }
    draft.add(i, bind(i));
    ++draft.count;
    draft.bytes += i.length;
    if (endsBlock(i)) return true;
  }
}

const Block* BlockCache::build(Cpu& cpu, uint64_t gpa, unsigned limit) {
  const ActivityScope scope(cpu.activity, Phase::kDecoding);
  Draft draft;
  draft.code = scratchCode_;
  const bool alone = limit == kAloneLimit;
  const unsigned most = cpu.jit ? cpu.jit->mostInstructions() : kNoLimit;
  if (!decodeInto(cpu, gpa, alone ? 1 : std::min(limit, most), draft)) return nullptr;
  ++cpu.blocksDecoded;

  Block block;
  block.gpa = gpa;
  block.key = cpu.blockKey | (alone ? Block::kAlone : 0);
  block.secondPage = draft.secondPage;
  block.bytes = static_cast<uint16_t>(draft.bytes);
  block.count = static_cast<uint16_t>(draft.count);
  block.slots = static_cast<uint16_t>(draft.slots);
  block.code = scratchCode_;
  const bool isKept = alone ? draft.secondPage == Block::kNoPage : limit == kNoLimit;
  if (!isKept || !cpu.ram.page(gpa)) {
    scratch_ = block;
    return &scratch_;
  }
  Block& kept = store(block);
  keep(cpu, kept);
  if (cpu.jit && !draft.checked && !alone) cpu.jit->watch(kept);
  return &kept;
}

void BlockCache::keep(Cpu& cpu, Block& block) {
  Block*& bucket = buckets_[bucketOf(block.gpa, block.key)];
  block.nextInBucket = bucket;
  bucket = &block;
  ++live_;
  liveInstructions_ += block.slots;
  noteOnPage(cpu, block.gpa & kPageMask, &block);
  if (block.secondPage != Block::kNoPage && cpu.ram.page(block.secondPage))
    noteOnPage(cpu, block.secondPage, &block);
}

// The page's first block takes away its fast stores.
void BlockCache::noteOnPage(Cpu& cpu, uint64_t gpa, Block* block) {
  CodePage& code = pages_[gpa];
  code.blocks.push_back(block);
  code.lines |= Extent(*block, gpa).lines();
  if (cpu.ram.hasCode(gpa)) return;
  cpu.ram.setCode(gpa, true);
  cpu.forbidFastStores(gpa);
}

void BlockCache::unlink(Block* block) {
  Block** link = &buckets_[bucketOf(block->gpa, block->key)];
  while (*link && *link != block) link = &(*link)->nextInBucket;
  if (*link) *link = block->nextInBucket;
  for (const uint64_t page : {block->gpa & kPageMask, block->secondPage}) {
    const auto found = pages_.find(page);
    if (found != pages_.end()) std::erase(found->second.blocks, block);
  }
}

void BlockCache::cacheJump(uint64_t rip, uint64_t context, const Block& block) {
  jumpCache(rip) = {rip, context, &block, codeOf(block)};
  block.severalRips |= block.jumpRip != rip && block.jumpRip != Block::kNoRip;
  block.jumpRip = rip;
}

void BlockCache::forgetJumpsTo(Cpu& cpu, const Block& block) {
  if (block.severalRips) return cpu.forgetJumps();
  JumpCacheEntry& entry = jumpCache(block.jumpRip);
  if (entry.block == &block) entry = {};
}

void BlockCache::updateJumpsTo(Cpu& cpu, const Block& block) {
  if (block.severalRips) return cpu.forgetJumps();
  JumpCacheEntry& entry = jumpCache(block.jumpRip);
  if (entry.block == &block) entry.code = codeOf(block);
}

void BlockCache::kill(Cpu& cpu, Block* block) {
  unlink(block);
  forgetJumpsTo(cpu, *block);
  if (cpu.jit) cpu.jit->forget(*block);
  for (unsigned n = 0; n < block->slots; ++n) block->code[n].handler = leaveDeadBlock;
  block->dead = true;
  --live_;
  liveInstructions_ -= block->slots;
}

void BlockCache::invalidate(Cpu& cpu, uint64_t gpa, uint64_t length) {
  if (length == 0) return;
  const ActivityScope scope(cpu.activity, Phase::kCodeWrite);
  const uint64_t end = gpa + length;
  for (uint64_t page = gpa & kPageMask; page < end; page += kPageSize) {
    if (!cpu.ram.page(page) || !cpu.ram.hasCode(page)) continue;
    const uint64_t first = std::max(gpa, page), last = std::min(end, page + kPageSize);
    invalidateOnPage(cpu, page, first, last);
  }
  // A single-instruction block made for the occasion may be running as well; it ends by itself.
}

void BlockCache::invalidateOnPage(Cpu& cpu, uint64_t page, uint64_t first, uint64_t end) {
  const auto found = pages_.find(page);
  if (found == pages_.end()) return;
  CodePage& code = found->second;
  if (code.lines & linesOf(first - page, end - first)) {
    std::vector<Block*> hit;
    for (Block* block : code.blocks) {
      const Extent extent(*block, page);
      if (extent.first < end && first < extent.end) hit.push_back(block);
    }
    for (Block* block : hit) kill(cpu, block);
    code.lines = 0;
    for (const Block* block : code.blocks) code.lines |= Extent(*block, page).lines();
  }
  if (!code.blocks.empty()) return;
  pages_.erase(found);
  cpu.ram.setCode(page, false);
}

void BlockCache::cutAt(Cpu& cpu, const Breakpoints::Offsets& offsets) {
  if (offsets.none()) return;
  std::vector<uint64_t> pages;
  for (const auto& [page, blocks] : pages_) pages.push_back(page);
  for (uint64_t offset = 0; offset < kPageSize; ++offset) {
    if (!offsets[offset]) continue;
    for (const uint64_t page : pages) invalidate(cpu, page + offset, 1);
  }
}

// Its code may be in the way of what is taken.
Block& BlockCache::store(Block block) {
  Instruction* code = code_.take(block.slots);
  std::memmove(code, block.code, block.slots * sizeof(Instruction));
  block.code = code;
  return *storage_.take(1) = block;
}

void BlockCache::forgetAll(Cpu& cpu) {
  if (cpu.jit) cpu.jit->dropAll();
  std::fill(std::begin(jumpCache_), std::end(jumpCache_), JumpCacheEntry{});
  std::fill(buckets_.begin(), buckets_.end(), nullptr);
  pages_.clear();
  live_ = liveInstructions_ = 0;
}

void BlockCache::dropAll(Cpu& cpu) {
  forgetAll(cpu);
  storage_.clear();
  code_.clear();
}

void BlockCache::empty(Cpu& cpu) {
  for (const auto& [page, code] : pages_) cpu.ram.setCode(page, false);
  dropAll(cpu);
}

void BlockCache::collect(Cpu& cpu) {
  if (code_.holds(kMaxInstructions)) {
    sortOut(cpu);
    if (code_.holds(kMaxInstructions / 4 * 3)) empty(cpu);
  } else if (cpu.jit && cpu.jit->full()) {
    dropTranslations(cpu);
  }
}

void BlockCache::dropTranslations(Cpu& cpu) {
  cpu.jit->dropAll();
  std::fill(std::begin(jumpCache_), std::end(jumpCache_), JumpCacheEntry{});
  storage_.each([&](Block& block) {
    if (!block.dead) cpu.jit->watchAgain(block);
  });
}

// Frees the memory of dead blocks. If that is not much, only blocks stay that have been translated
// since the last time; others are decoded again when they are run.
void BlockCache::sortOut(Cpu& cpu) {
  const bool all = liveInstructions_ <= kManyInstructions;
  const std::unordered_map<uint64_t, CodePage> before = std::move(pages_);
  forgetAll(cpu);
  code_.restart();
  storage_.refill([&](const Block& block) {
    if (block.dead || !(all || block.hot)) return;
    Block& kept = store(block);
    if (cpu.jit) cpu.jit->watchAgain(kept);
    kept.hot = false;
    kept.severalRips = false;
    kept.jumpRip = Block::kNoRip;
    keep(cpu, kept);
  });
  storage_.trim();
  code_.trim();
  for (const auto& [page, code] : before)
    if (!pages_.contains(page)) cpu.ram.setCode(page, false);
}

bool BlockCache::checkInvariants(const Cpu& cpu) const {
  for (const auto& [page, code] : pages_) {
    if (code.blocks.empty() || !cpu.ram.hasCode(page)) return false;
    for (const Block* block : code.blocks)
      if (find(block->gpa, block->key) != block) return false;
  }
  return true;
}

}  // namespace nodevm
