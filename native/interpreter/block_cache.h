#pragma once
// Blocks of decoded instructions, keyed by the guest physical address of their first byte and by
// the mode bits that decoding depends on, so that all address spaces share them.

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "debug/breakpoints.h"
#include "decoder/decoder.h"
#include "decoder/instruction.h"
#include "interpreter/pool.h"
#include "mmu/huge_pages.h"

namespace nodevm {

// A cache line of what is looked at when a block is looked up, then the rest.
struct alignas(64) Block {
  static constexpr uint64_t kNoPage = ~uint64_t{0};
  // In `key`: one instruction, for the dispatcher to run alone.
  static constexpr uint32_t kAlone = 1 << 8;

  Instruction* code = nullptr;  // ends with an instruction that ends the block
  uint64_t gpa = 0;
  uint64_t secondPage = kNoPage;  // physical page of the tail of an instruction that crosses pages
  uint32_t key = 0;
  uint16_t bytes = 0;
  uint16_t count = 0;               // architectural instructions
  uint16_t slots = 0;               // entries of code, pseudo-instructions included
  bool dead = false;                // not to be found any more
  bool hot = false;                 // has been translated since blocks were last sorted out
  mutable uint16_t visitsLeft = 0;  // before it is translated
  Block* nextInBucket = nullptr;

  // For translation: what code[0] does when it is interpreted, and how it is entered from
  // translated code.
  Handler first = nullptr;
  const uint8_t* translation = nullptr;  // nullptr: not translated
  // Of its translation alone: that counts further visits, and that does not.
  const uint8_t *counting = nullptr, *plain = nullptr;
  uint32_t number = 0;  // in the translator's table
  bool loops = false;   // its translation is a path that comes back to it
  uint8_t trips = 0;    // how often another path runs that, Path::trips
  // Among the blocks that paths were made of, the first ones first; 0: no path has it.
  uint32_t pathRank = 0;

  // Where the jump cache may know it from: one RIP, or several.
  static constexpr uint64_t kNoRip = uint64_t{1} << 63;  // not canonical
  mutable uint64_t jumpRip = kNoRip;
  mutable bool severalRips = false;
};

struct JumpCacheEntry {
  uint64_t rip = 0;
  uint64_t context = 0;  // Cpu::context at the time of filling; 0 is never a context
  const Block* block = nullptr;
  // Where translated code goes on with RIP in R9: the block's translation, or out to the
  // dispatcher.
  const uint8_t* code = nullptr;

  bool isFor(uint64_t jumpRip, uint64_t jumpContext) const {
    return rip == jumpRip && context == jumpContext;
  }
};

class BlockCache : public OnHugePages {
 public:
  static constexpr unsigned kJumpCacheEntries = 32768;

  BlockCache();

  // Translated code computes the same: the offset of an entry is in one product.
  static constexpr uint32_t kJumpCacheFactor = 0x779b1;
  static constexpr uint32_t kJumpCacheMask = (kJumpCacheEntries - 1) * sizeof(JumpCacheEntry);
  JumpCacheEntry& jumpCache(uint64_t rip) {
    const uint32_t product = static_cast<uint32_t>(rip) * kJumpCacheFactor;
    return jumpCache_[(product & kJumpCacheMask) / sizeof(JumpCacheEntry)];
  }

  // Has jumps to `rip` find the block in this context.
  void cacheJump(uint64_t rip, uint64_t context, const Block& block);

  JumpCacheEntry* jumpCacheTable() { return jumpCache_; }
  // Code of entries whose block has no translation.
  void setDispatcherCode(const uint8_t* code) { dispatcherCode_ = code; }

  // The block at gpa, nullptr when it has not been decoded.
  Block* find(uint64_t gpa, uint32_t key) const;
  // The same at once where the jump cache had it for the RIP in another context.
  const Block* find(uint64_t rip, uint64_t gpa, uint32_t key) {
    const Block* known = jumpCache(rip).block;
    if (known && !known->dead && known->gpa == gpa && known->key == key) return known;
    return find(gpa, key);
  }
  // Decodes at RIP, whose physical address is gpa. At most `limit` instructions; only blocks built
  // with kNoLimit, and with kAloneLimit those of one instruction that runs alone, are kept.
  // nullptr: the fetch of a second page faulted (recorded in cpu.fault).
  static constexpr unsigned kNoLimit = 48, kAloneLimit = 0;
  const Block* build(Cpu& cpu, uint64_t gpa, unsigned limit);

  // The others are gone with the next one.
  bool keeps(const Block& block) const { return &block != &scratch_; }

  // The guest or a device writes [gpa, gpa + length): blocks there die at once, the running one
  // included, whose remaining instructions turn into exits.
  void invalidate(Cpu& cpu, uint64_t gpa, uint64_t length);
  // Kills the blocks that cover one of these offsets of any page.
  void cutAt(Cpu& cpu, const Breakpoints::Offsets& offsets);
  void dropAll(Cpu& cpu);
  // Between blocks only: the same, and the pages take fast stores again.
  void empty(Cpu& cpu);
  // Between blocks only: when there is too much of either, drops translated code, or decoded code
  // that is not in use.
  void collect(Cpu& cpu);

  // Has jumps to the block find its translation of now.
  void updateJumpsTo(Cpu& cpu, const Block& block);

  bool checkInvariants(const Cpu& cpu) const;
  size_t blockCount() const { return live_; }

 private:
  static constexpr unsigned kBucketBytes = 32;                 // of guest code
  static constexpr size_t kMaxInstructions = size_t{2} << 20;  // 64 MiB of decoded code
  static constexpr size_t kManyInstructions = kMaxInstructions / 2;

  struct Draft;
  struct Extent;
  struct CodePage {
    std::vector<Block*> blocks;
    uint64_t lines = 0;  // a bit for each 64 bytes: none of a block where it is clear
  };
  static uint64_t linesOf(uint64_t offset, uint64_t length);
  // The buckets of a page lie together, since its blocks are looked up one after the other.
  size_t bucketOf(uint64_t gpa, uint32_t key) const {
    const uint64_t page = (gpa >> 12) * 0x9e3779b97f4a7c15 >> 32;
    return (page + (gpa & 0xfff) / kBucketBytes + key) & (buckets_.size() - 1);
  }
  bool fetch(Cpu& cpu, uint64_t gpa, unsigned offset, bool second, Draft& draft,
             unsigned& available);
  bool decodeInto(Cpu& cpu, uint64_t gpa, unsigned limit, Draft& draft);
  void keep(Cpu& cpu, Block& block);
  void unlink(Block* block);
  void forgetJumpsTo(Cpu& cpu, const Block& block);
  void noteOnPage(Cpu& cpu, uint64_t gpa, Block* block);
  void kill(Cpu& cpu, Block* block);
  void invalidateOnPage(Cpu& cpu, uint64_t page, uint64_t first, uint64_t end);
  Block& store(Block block);
  void forgetAll(Cpu& cpu);
  void sortOut(Cpu& cpu);
  void dropTranslations(Cpu& cpu);

  const uint8_t* codeOf(const Block& block) const {
    return block.translation ? block.translation : dispatcherCode_;
  }

  JumpCacheEntry jumpCache_[kJumpCacheEntries];
  const uint8_t* dispatcherCode_ = nullptr;
  std::vector<Block*> buckets_;
  std::unordered_map<uint64_t, CodePage> pages_;  // by physical page address
  Pool<Block> storage_;
  Pool<Instruction> code_;
  size_t live_ = 0, liveInstructions_ = 0;
  Block scratch_;
  Instruction scratchCode_[4 * kNoLimit];
};

}  // namespace nodevm
