#pragma once
// The second engine: blocks that are run often become host code. A translated block keeps the
// boundaries and the instruction count of the block it was made from, and is entered through its
// first instruction's handler, so that dispatcher, jump cache and invalidation know nothing of it.

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "debug/host_profile.h"
#include "interpreter/block_cache.h"
#include "jit/block_table.h"
#include "jit/code_buffer.h"
#include "jit/emitter.h"
#include "jit/link_sites.h"
#include "jit/page_cells.h"
#include "jit/page_links.h"
#include "jit/path.h"
#include "jit/profile.h"
#include "jit/thunks.h"
#include "jit/volatile_pages.h"

namespace nodevm {

class Cpu;
struct TranslatorScratch;

struct JitOptions {
  size_t bufferBytes = size_t{64} << 20;
  unsigned threshold = 12;  // visits after which a block is translated; 0: at once
  bool link = true;         // jumps within a page go from block to block
  // Visits after which a translated block becomes the beginning of a path; 0: never.
  unsigned pathThreshold = 8000;
  // Of a block, interpreted or not; fewer for tests.
  unsigned mostInstructions = BlockCache::kNoLimit;
  bool profile = false;  // host time as well
};

struct JitStatistics {
  uint64_t blocks = 0, paths = 0, guestBytes = 0, codeBytes = 0, left = 0, drops = 0;
};

class Jit {
 public:
  // nullptr where this host gives no executable memory.
  static std::unique_ptr<Jit> create(Cpu& cpu, const JitOptions& options);

  // A block has been decoded: counts its visits from now on.
  void watch(Block& block);
  // The block dies: nothing enters it any more; where it runs, it is left before its next
  // instruction.
  void forget(Block& block);
  // The buffer is used up: translates no more until everything is dropped.
  bool full() const { return full_; }
  // All translations are gone. Blocks do not know it yet.
  void dropAll();
  // Tells a block that all translations are gone. Its visits are counted from the beginning, so
  // that of more code than the buffer has room for, what is hottest is translated.
  void watchAgain(Block& block);
  unsigned mostInstructions() const { return options_.mostInstructions; }

  const JitStatistics& statistics() const { return statistics_; }
  JitProfile profile;
  std::unique_ptr<HostProfile> hostProfile;  // nullptr: not asked for

  ~Jit();

  // For the translator.
  const Layout& layout() const { return layout_; }
  const Thunks& thunks() const { return thunks_; }
  // Blocks count their visits, also those that lead nowhere on their page: a path may end there.
  bool makesPaths() const { return options_.pathThreshold != 0 && options_.link; }
  // The block, which counts its visits, has had enough of them.
  void beginPath(const Block& block);
  const BlockTable& table() const { return table_; }
  CellPool& cells() { return cells_; }
  // A rel32 in the code of `from` that leads to the block at gpa when there is a translation of it,
  // else to where it is looked up.
  void link(const Block& from, Emitter::Fixup site, uint64_t gpa);
  bool links() const { return options_.link; }
  // Which of two blocks is going to be translated first, as it seems.
  bool isSooner(uint64_t gpa, uint64_t than) const;
  // Its number. It leads nowhere yet.
  uint32_t addFarLink(const FarLink& link) { return farLinks_.add(link); }
  FarLink& farLink(uint32_t number) { return farLinks_[number]; }
  // From the block's page to the one at that distance. What is compared before a branch there.
  uint32_t pageLink(const Block& from, int64_t distance) {
    return pageLinks_.find(from.gpa & kPageMask, distance, checks_);
  }
  const PageCheck& pageCheck(uint32_t link) { return *pageLinks_[link].check; }
  // As link(), behind such a comparison, to an offset on that page.
  void linkPage(const Block& from, Emitter::Fixup site, uint64_t offset, uint32_t link);
  PageCheck* takeCheck() { return checks_.take(); }

  // Translated code has been left at `rip`, perhaps because the jump cache knows the block there
  // from the time before it was translated.
  void noteTranslation(uint64_t rip);

  // For translated code, at a branch to `rip`: the translation there, as the running code may enter
  // it; nullptr: none is at hand, the interpreter executes the branch.
  const uint8_t* lookUp(uint64_t rip);
  // As lookUp(), by a link, which leads there from then on.
  const uint8_t* lookUpLink(uint64_t rip, uint32_t link);
  // The same for a return whose address is not that of the newest call.
  const uint8_t* lookUpReturn(uint64_t rip);
  // Whether the page of the link is where its branches lead, now that they do.
  bool lookUpPage(uint32_t link);
  // The same of all pages of the path of this number, which finds itself elsewhere or in another
  // context.
  bool lookUpPath(uint32_t number);

 private:
  Jit(Cpu& cpu, const JitOptions& options);

  void countVisits(Block& block);
  static void countVisit(Cpu& cpu, const Instruction* i);
  static void interpretLeft(Cpu& cpu, const Instruction* i);
  void leave(Block& block);
  void translate(Block& block);
  void noteJump(const Block& block);
  void noteJump(uint64_t rip, uint64_t gpa);
  void enterAt(Block& block, const uint8_t* translation);
  void retarget(PageLink& pageLink, uint64_t page);
  // What is derived from it is gone when the page is elsewhere.
  bool isPageAt(uint64_t pageRip, uint64_t page);
  bool isTailMapped(const Block& block, uint64_t pageRip);
  bool isMapped(const Path& path);
  void endPath(Path& path);
  void leaveSlots();
  void forgetReturnsTo(const uint8_t* code);
  void countForPath(const Block& block);
  bool isSeldomRun(const Block& block);

  // Where code goes: what is run each time apart from what is rarely run, so that caches and TLBs
  // of the host hold more of the former.
  struct Area {
    const uint8_t* free = nullptr;
    const uint8_t* end = nullptr;
  };
  std::optional<uint64_t> translateRip(uint64_t rip);
  const Block* findTranslated(uint64_t rip, uint64_t gpa);
  // Room for one more translation; false: something is used up.
  bool makeRoom();
  bool makeRoom(Area& area);
  void keepCode(const uint8_t* end, const uint8_t* coldEnd);

  Cpu& cpu_;
  const JitOptions options_;
  CodeBuffer buffer_;
  BlockTable table_;
  CheckPool checks_;
  CellPool cells_;
  const Layout layout_;
  const std::unique_ptr<TranslatorScratch> scratch_;
  Thunks thunks_;
  Area hot_, cold_;
  bool full_ = false;
  LinkSites sites_;
  VolatilePages volatilePages_;
  FarLinks farLinks_;
  PageLinks pageLinks_;
  // Of each block, the paths that it lies on, dead ones among them.
  std::unordered_map<const Block*, std::vector<std::shared_ptr<Path>>> paths_;
  std::vector<std::shared_ptr<Path>> farPaths_;  // of several pages, by number
  JitStatistics statistics_;
};

}  // namespace nodevm
