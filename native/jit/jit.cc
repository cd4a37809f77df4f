#include "jit/jit.h"

#include <algorithm>

#include "cpu/cpu.h"
#include "interpreter/binding.h"
#include "interpreter/dispatch.h"
#include "jit/translator.h"

namespace nodevm {

namespace {

// One block and the thunks.
constexpr size_t kLeastChunk = Translator::kMostBytes + Thunks::kMostBytes;
constexpr uint64_t kNoContext = 0;  // equals no Cpu::context

}  // namespace

std::unique_ptr<Jit> Jit::create(Cpu& cpu, const JitOptions& options) {
  if (!kTailCalls) return nullptr;
  std::unique_ptr<Jit> jit(new Jit(cpu, options));
  return jit->buffer_.ok() ? std::move(jit) : nullptr;
}

Jit::Jit(Cpu& cpu, const JitOptions& options)
    : cpu_(cpu),
      options_(options),
      buffer_(options.bufferBytes, kLeastChunk),
      table_(reinterpret_cast<int32_t*>(buffer_.nearData()),
             buffer_.nearDataBytes() / 4 / sizeof(int32_t)),
      checks_(buffer_.nearData() + buffer_.nearDataBytes() / 4, buffer_.nearDataBytes() / 4),
      cells_(buffer_.nearData() + buffer_.nearDataBytes() / 2, buffer_.nearDataBytes() / 2),
      layout_(cpu),
      scratch_(std::make_unique<TranslatorScratch>()) {
  // A block has some 200 bytes of code and three jumps.
  sites_.reserve(options.bufferBytes / 64);
  if (buffer_.ok()) dropAll();
  if (options.profile) hostProfile = std::make_unique<HostProfile>(cpu.activity, kRowCount);
}

Jit::~Jit() = default;

void Jit::dropAll() {
  ++statistics_.drops;
  table_.clear();
  checks_.clear();
  cells_.clear();
  sites_.clear();
  farLinks_.clear();
  pageLinks_.clear();
  paths_.clear();
  farPaths_.clear();
  full_ = false;
  cpu_.jitState.jumpCache = cpu_.blocks->jumpCacheTable();
  buffer_.reset();
  hot_ = cold_ = {};
  makeRoom(hot_);
  makeRoom(cold_);
  Emitter emitter(buffer_, hot_.free);
  thunks_ = emitThunks(emitter, layout_);
  hot_.free = emitter.here();
  cpu_.blocks->setDispatcherCode(thunks_.exit);
  for (ReturnRing& ring : cpu_.returnRings) {
    ring.leave = thunks_.exit;
    ring.clear();
  }
}

bool Jit::makeRoom() {
  return makeRoom(hot_) && makeRoom(cold_) && !table_.full() && !checks_.full();
}

bool Jit::makeRoom(Area& area) {
  if (area.end - area.free >= static_cast<ptrdiff_t>(Translator::kMostBytes)) return true;
  const uint8_t* chunk = buffer_.takeChunk();
  if (chunk) area = {chunk, chunk + buffer_.chunkBytes()};
  return chunk != nullptr;
}

// What has been written ends there.
void Jit::keepCode(const uint8_t* end, const uint8_t* coldEnd) {
  statistics_.codeBytes +=
      static_cast<uint64_t>(end - hot_.free) + static_cast<uint64_t>(coldEnd - cold_.free);
  hot_.free = end;
  cold_.free = coldEnd;
}

void Jit::watch(Block& block) {
  // Translated code is for 64-bit mode: no segment limits, no masks. Nobody says when what is not
  // RAM changes.
  const bool inRam = block.secondPage == Block::kNoPage || cpu_.ram.page(block.secondPage);
  if (!cpu_.code64() || !inRam || cpu_.trace.everyBlock()) return;
  block.first = block.code[0].handler;
  countVisits(block);
}

void Jit::watchAgain(Block& block) {
  if (!block.translation && block.code[0].handler != countVisit) return;
  block.translation = block.counting = block.plain = nullptr;
  block.loops = false;
  block.pathRank = 0;
  countVisits(block);
}

void Jit::countVisits(Block& block) {
  constexpr unsigned kMostVisits = 0xffff;
  const unsigned visits = volatilePages_.raise(options_.threshold, block.gpa, cpu_.retired());
  block.visitsLeft = static_cast<uint16_t>(std::min(visits, kMostVisits));
  block.code[0].handler = countVisit;
}

void Jit::countVisit(Cpu& cpu, const Instruction* i) {
  cpu.activity.set(Phase::kInterpreter);
  const Block& block = *cpu.block;
  if (block.visitsLeft > 0) {
    --block.visitsLeft;
    return block.first(cpu, i);
  }
  cpu.jit->translate(*cpu.blocks->find(block.gpa, block.key));
  return block.code[0].handler(cpu, i);
}

// Only a profile has to know that a block without translation begins.
void Jit::interpretLeft(Cpu& cpu, const Instruction* i) {
  cpu.activity.set(Phase::kInterpreter);
  return cpu.block->first(cpu, i);
}

void Jit::leave(Block& block) { block.code[0].handler = hostProfile ? interpretLeft : block.first; }

void Jit::translate(Block& block) {
  const ActivityScope scope(cpu_.activity, Phase::kTranslation);
  if (!makeRoom()) {
    full_ = true;
    block.visitsLeft = 1;  // asks again
    return;
  }
  block.number = table_.add(block);
  Emitter emitter(buffer_, hot_.free);
  const Path::Step only{&block};
  const auto number = static_cast<uint32_t>(farPaths_.size());
  const std::optional<TranslatedBlock> translation =
      Translator(cpu_, *this, {&only, 1}, 0, emitter, *scratch_).translateBlock(cold_.free, number);
  if (!translation) {
    table_.remove(block.number);
    leave(block);
    ++statistics_.left;
    return;
  }
  ++statistics_.blocks;
  statistics_.guestBytes += block.bytes;
  keepCode(translation->end, translation->coldEnd);
  block.hot = true;
  if (translation->check)
    farPaths_.push_back(std::make_shared<Path>(Path{.steps = {only}, .check = translation->check}));
  block.counting = translation->counting;
  block.plain = translation->linked;
  countForPath(block);
  table_.setFarLink(block.number, translation->farLink.value_or(BlockTable::kNoFarLink));
  block.code[0].handler = reinterpret_cast<Handler>(reinterpret_cast<uintptr_t>(thunks_.enter));
  enterAt(block, block.counting);
}

// The dispatcher is about to enter the block from this RIP.
void Jit::noteJump(const Block& block) {
  JumpCacheEntry& entry = cpu_.blocks->jumpCache(cpu_.rip);
  if (entry.block == &block) entry.code = block.translation;
}

void Jit::noteTranslation(uint64_t rip) {
  JumpCacheEntry& entry = cpu_.blocks->jumpCache(rip);
  // In another context it may have no block, or one that is dead.
  if (!entry.isFor(rip, cpu_.context)) return;
  if (entry.block->translation) entry.code = entry.block->translation;
}

// Leads everything that knows the block there.
void Jit::enterAt(Block& block, const uint8_t* translation) {
  block.translation = translation;
  noteJump(block);
  sites_.each(block.gpa, [&](const LinkSites::Site& site) {
    Emitter::patchJump(buffer_, site.fixup, block.translation);
  });
  farLinks_.each(block.gpa, [&](const FarLink& link) {
    Emitter::patch(buffer_, link.code, block.translation);
  });
}

// Visits before the block becomes the beginning of a path.
void Jit::countForPath(const Block& block) {
  const unsigned visits = volatilePages_.raise(options_.pathThreshold, block.gpa, cpu_.retired());
  table_.countVisits(block.number, static_cast<int32_t>(visits), cpu_.retired());
}

// It had its visits, but took so long that a path would not pay in the life of most programs: to
// make one takes as long as thousands of visits, and code that is not needed takes room in the
// host's caches. The next time it is asked after some more.
bool Jit::isSeldomRun(const Block& block) {
  constexpr uint64_t kLongest = uint64_t{1} << 29;  // instructions for `enough` visits
  constexpr int32_t kMore = 8;
  const auto enough = static_cast<int32_t>(options_.pathThreshold);
  const auto times = static_cast<uint64_t>(table_.countedVisits(block.number) / enough);
  if (cpu_.retired() - table_.countedSince(block.number) < times * kLongest) return false;
  table_.countVisits(block.number, kMore * enough, cpu_.retired(), enough / 2);
  return true;
}

void Jit::beginPath(const Block& known) {
  Block& first = *cpu_.blocks->find(known.gpa, known.key);
  table_.visitsLeft(first.number) = 0;
  if (first.translation != first.counting) return noteJump(first);  // a jump that was not told
  if (isSeldomRun(first)) return;
  const FindBlock elsewhere = [&](int64_t place) {
    const uint64_t rip = cpu_.jitState.pageRip + static_cast<uint64_t>(place);
    const std::optional<uint64_t> gpa = translateRip(rip);
    return gpa ? findTranslated(rip, *gpa) : nullptr;
  };
  const FindTarget target = [&](const Block& block) -> std::optional<int64_t> {
    const uint32_t link = table_.farLink(block.number);
    if (link == BlockTable::kNoFarLink || farLinks_[link].changes != 1) return std::nullopt;
    return static_cast<int64_t>(farLinks_[link].check->rip);
  };
  const auto path = std::make_shared<Path>(
      choosePath(*cpu_.blocks, table_, elsewhere, target, first, options_.pathThreshold));
  if (!makeRoom()) full_ = true;
  if (full_ || (path->steps.size() == 1 && path->turns == 0)) return enterAt(first, first.plain);
  Emitter emitter(buffer_, hot_.free);
  const auto number = static_cast<uint32_t>(farPaths_.size());
  const TranslatedPath translation =
      Translator(cpu_, *this, path->steps, path->turns, emitter, *scratch_)
          .translatePath(cold_.free, number);
  ++statistics_.paths;
  keepCode(translation.end, translation.coldEnd);
  first.loops = path->turns != 0;
  first.trips = static_cast<uint8_t>(path->trips);
  path->code = translation.linked;
  path->check = translation.check;
  if (path->check) farPaths_.push_back(path);
  for (const Path::Step& step : path->steps) {
    paths_[step.block].push_back(path);
    Block& block = *cpu_.blocks->find(step.block->gpa, step.block->key);
    if (block.pathRank == 0) block.pathRank = static_cast<uint32_t>(statistics_.paths);
    if (&block == &first || block.translation != block.counting) continue;
    // From now on it counts those who come another way.
    countForPath(block);
  }
  enterAt(first, translation.linked);
}

// A block of the path dies: nothing enters it any more; where it runs, it is left before its next
// instruction.
void Jit::endPath(Path& path) {
  if (path.dead) return;
  path.dead = true;
  if (std::any_of(path.steps.begin(), path.steps.end(),
                  [&](const Path::Step& step) { return step.block == cpu_.block; }))
    leaveSlots();
  forgetReturnsTo(path.code);
  const Block* known = path.steps[0].block;
  Block* first = cpu_.blocks->find(known->gpa, known->key);
  if (first != known || !first->translation) return;
  first->loops = false;
  countForPath(*first);
  enterAt(*first, first->counting);
  cpu_.blocks->updateJumpsTo(cpu_, *first);
}

void Jit::leaveSlots() {
  for (Instruction& slot : cpu_.jitSlots.slots) slot.handler = leaveDeadBlock;
}

void Jit::link(const Block& from, Emitter::Fixup site, uint64_t gpa) {
  const uint8_t* target = thunks_.unlinked(gpa);
  if (options_.link) {
    sites_.add(gpa, {site, &from});
    const Block* block = cpu_.blocks->find(gpa, cpu_.blockKey);
    if (block && block->translation) target = block->translation;
  }
  Emitter::patchJump(buffer_, site, target);
}

bool Jit::isSooner(uint64_t gpa, uint64_t than) const {
  constexpr unsigned kNever = ~0u;
  const auto visitsLeft = [&](uint64_t at) {
    const Block* block = cpu_.blocks->find(at, cpu_.blockKey);
    return block && !block->translation ? block->visitsLeft : kNever;
  };
  return visitsLeft(gpa) < visitsLeft(than);
}

// Before the page has been looked for, nothing comes by there.
void Jit::linkPage(const Block& from, Emitter::Fixup site, uint64_t offset, uint32_t number) {
  PageLink& pageLink = pageLinks_[number];
  pageLink.sites.push_back({site, &from, offset});
  if (pageLink.target != PageLink::kNone) link(from, site, pageLink.target | offset);
}

void Jit::retarget(PageLink& pageLink, uint64_t page) {
  std::erase_if(pageLink.sites, [](const auto& site) { return !site.from->translation; });
  for (const auto& [site, from, offset] : pageLink.sites) {
    if (pageLink.target != PageLink::kNone) sites_.remove(pageLink.target | offset, site);
    link(*from, site, page | offset);
  }
  pageLink.target = page;
  ++pageLink.changes;
}

bool Jit::lookUpPage(uint32_t number) {
  PageLink& pageLink = pageLinks_[number];
  const uint64_t rip = cpu_.jitState.pageRip + static_cast<uint64_t>(pageLink.distance);
  const std::optional<uint64_t> gpa = translateRip(rip);
  if (!gpa || pageLink.changes == PageLink::kMostChanges) return false;
  if (pageLink.target != *gpa) retarget(pageLink, *gpa);
  noteJump(rip, *gpa);
  *pageLink.check = {cpu_.jitState.pageRip, cpu_.context};
  return true;
}

void Jit::forget(Block& block) {
  if (cpu_.block == &block) leaveSlots();
  if (!block.translation) return;
  if (const auto found = paths_.find(&block); found != paths_.end()) {
    for (const std::shared_ptr<Path>& path : found->second) endPath(*path);
    paths_.erase(found);
  }
  block.translation = nullptr;
  table_.remove(block.number);
  volatilePages_.noteDeath(block.gpa, cpu_.retired());
  sites_.each(block.gpa, [&](const LinkSites::Site& site) {
    Emitter::patchJump(buffer_, site.fixup, thunks_.unlinked(block.gpa));
  });
  forgetReturnsTo(block.counting);
  forgetReturnsTo(block.plain);
  farLinks_.each(block.gpa, [&](const FarLink& link) { link.check->context = kNoContext; });
}

void Jit::forgetReturnsTo(const uint8_t* code) {
  for (ReturnRing& ring : cpu_.returnRings) ring.forget(code);
}

void Jit::noteJump(uint64_t rip, uint64_t gpa) { cpu_.tlbs.noteJump(cpu_.cpl == 3, rip, gpa); }

// Where the dispatcher would look, as long as the guest could not tell that somebody has. Whoever
// remembers it has to note the jump.
std::optional<uint64_t> Jit::translateRip(uint64_t rip) {
  if (const uint64_t* known = cpu_.tlbs.jumpPage(cpu_.cpl == 3, rip))
    return *known | (rip & kPageOffset);
  uint64_t page = 0;
  if (!cpu_.peekFetchPage(rip, page)) return std::nullopt;
  return page | (rip & kPageOffset);
}

const Block* Jit::findTranslated(uint64_t rip, uint64_t gpa) {
  const Block* block = cpu_.blocks->find(rip, gpa, cpu_.blockKey);
  if (!block || !isTailMapped(*block, rip & kPageMask)) return nullptr;
  noteJump(rip, gpa);
  if (block->translation) return block;
  // The dispatcher is about to look for it.
  cpu_.blocks->cacheJump(rip, cpu_.context, *block);
  return nullptr;
}

const uint8_t* Jit::lookUp(uint64_t rip) {
  const JumpCacheEntry& known = cpu_.blocks->jumpCache(rip);
  if (known.isFor(rip, cpu_.context)) return known.block->translation;
  const std::optional<uint64_t> gpa = translateRip(rip);
  const Block* block = gpa ? findTranslated(rip, *gpa) : nullptr;
  if (!block) return nullptr;
  cpu_.blocks->cacheJump(rip, cpu_.context, *block);
  return block->translation;
}

const uint8_t* Jit::lookUpLink(uint64_t rip, uint32_t number) {
  const JumpCacheEntry& known = cpu_.blocks->jumpCache(rip);
  const bool isKnown = known.isFor(rip, cpu_.context);
  if (isKnown && !known.block->translation) return nullptr;
  // Data may keep the page out of the TLB.
  const std::optional<uint64_t> gpa = isKnown ? known.block->gpa : translateRip(rip);
  if (!gpa) return nullptr;
  FarLink& link = farLinks_[number];
  const uint64_t distance = rip - cpu_.jitState.pageRip;
  const bool same = link.check->rip == distance;
  const uint8_t* code = nullptr;
  if (same && link.target == *gpa && link.check->context != kNoContext) {
    // Another context, that of a new process, is all that differs.
    noteJump(rip, *gpa);
    code = Emitter::target(link.code);
  } else {
    const Block* block = findTranslated(rip, *gpa);
    if (!block) return nullptr;
    farLinks_.retarget(number, *gpa);
    code = block->translation;
    Emitter::patch(buffer_, link.code, code);
  }
  if (!same) ++link.changes;
  if (link.changes >= FarLink::kMostChanges) {
    Emitter::replaceByJump(buffer_, link.start, link.giveUp);
    return code;
  }
  *link.check = {distance, cpu_.context};
  return code;
}

// Calls or returns of the interpreter's do not move the ring: the point may be further down.
const uint8_t* Jit::lookUpReturn(uint64_t rip) {
  ReturnRing& ring = cpu_.returnRingInUse();
  const auto newest = static_cast<unsigned>(cpu_.jitState.newestReturn - ring.rips);
  for (unsigned n = 0; n < ReturnRing::kPoints; ++n) {
    const unsigned number = (newest - n) % ReturnRing::kPoints;
    if (ring.rips[number] != rip) continue;
    cpu_.jitState.newestReturn = ring.rips + (number - 1) % ReturnRing::kPoints;
    return ring.code[number];
  }
  return lookUp(rip);
}

// Where its last instruction crosses into, seen from its page.
bool Jit::isTailMapped(const Block& block, uint64_t pageRip) {
  if (block.secondPage == Block::kNoPage) return true;
  // The dispatcher has looked at both pages.
  const uint64_t rip = pageRip | (block.gpa & kPageOffset);
  const JumpCacheEntry& known = cpu_.blocks->jumpCache(rip);
  if (known.isFor(rip, cpu_.context) && known.block == &block) return true;
  return isPageAt(pageRip + kPageSize, block.secondPage);
}

bool Jit::isPageAt(uint64_t pageRip, uint64_t page) {
  if (translateRip(pageRip) != page) return false;
  noteJump(pageRip, page);
  return true;
}

// From where the first page is now.
bool Jit::isMapped(const Path& path) {
  for (const auto& [block, distance, call] : path.steps) {
    const uint64_t rip = cpu_.jitState.pageRip + static_cast<uint64_t>(distance);
    if (!isTailMapped(*block, rip)) return false;
    if (distance != 0 && !isPageAt(rip, block->gpa & kPageMask)) return false;
  }
  return true;
}

bool Jit::lookUpPath(uint32_t number) {
  Path& path = *farPaths_[number];
  if (isMapped(path)) {
    *path.check = {cpu_.jitState.pageRip, cpu_.context};
    return true;
  }
  if (++path.failures == Path::kMostFailures && path.code) endPath(path);
  return false;
}

}  // namespace nodevm
