#include "vectors.h"

#include <cpuid.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <string_view>

#include "compare.h"
#include "cpu/features.h"
#include "engine.h"
#include "generator.h"
#include "host.h"

namespace nodevm::oracle {

namespace {

constexpr char kMagic[8] = {'N', 'D', 'V', 'M', 'V', 'E', 'C', '1'};

struct FileHeader {
  char magic[8] = {};
  char vendor[12] = {};  // whose answers these are
  uint16_t cases = 0, rows = 0;
};
static_assert(sizeof(FileHeader) == 24);

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

std::string hostVendor() {
  unsigned eax, words[3];
  __get_cpuid(0, &eax, &words[0], &words[2], &words[1]);
  return std::string(reinterpret_cast<const char*>(words), sizeof words);
}

// Mnemonics whose exact results the manuals leave to the processor.
bool isVendorSpecific(const Row& row) {
  static constexpr std::string_view kNames[] = {
      "rcpps",   "rcpss", "rsqrtps", "rsqrtss", "vrcpps", "vrcpss",  "f2xm1",    "fyl2x",
      "fyl2xp1", "fptan", "fpatan",  "fsin",    "fcos",   "fsincos", "vrsqrtps", "vrsqrtss"};
  return std::find(std::begin(kNames), std::end(kNames), row.mnemonic) != std::end(kNames);
}

// FNV-1a over the name: the same cases wherever the row stands in the table.
uint64_t seedOf(const Row& row) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char* c = row.name; *c; ++c) hash = (hash ^ static_cast<uint8_t>(*c)) * 0x100000001b3;
  return hash;
}

struct Case {
  State before;
  Code code;
};
void makeCase(Generator& generator, const Row& row, Case& made) {
  made.code = {};
  generator.randomState(made.before);
  generator.append(row, made.code, made.before);
}

uint32_t inputsOf(const Case& made, uint32_t hash) {
  hash = fold(hash, made.code.bytes, made.code.length);
  return fold(hash, made.before.gpr, sizeof made.before.gpr);
}

}  // namespace

int recordVectors(const std::string& path, const std::vector<const Row*>& rows, unsigned cases) {
  const File file(std::fopen(path.c_str(), "wb"));
  if (!file) return std::perror(path.c_str()), 1;
  FileHeader header{.cases = static_cast<uint16_t>(cases),
                    .rows = static_cast<uint16_t>(rows.size())};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  std::memcpy(header.vendor, hostVendor().data(), sizeof header.vendor);
  std::fwrite(&header, sizeof header, 1, file.get());
  Host host;
  Engine engine(false);
  Case made;
  State onHost, inEngine;
  std::vector<uint32_t> digests(cases);
  for (const Row* row : rows) {
    Generator generator(seedOf(*row));
    uint32_t inputs = 0;
    for (uint32_t& outcome : digests) {
      makeCase(generator, *row, made);
      inputs = inputsOf(made, inputs);
      onHost = made.before;
      host.run(made.code, made.before, onHost);
      engine.run(made.code, made.before, inEngine);
      if (const std::string difference = compare(*row, onHost, inEngine); !difference.empty()) {
        std::printf("%s [%s]: %s\n", row->name, hex(made.code).c_str(), difference.c_str());
        return 1;
      }
      outcome = digest(inEngine);
    }
    const auto length = static_cast<uint8_t>(std::strlen(row->name));
    std::fwrite(&length, 1, 1, file.get());
    std::fwrite(row->name, 1, length, file.get());
    std::fwrite(&inputs, sizeof inputs, 1, file.get());
    std::fwrite(digests.data(), sizeof(uint32_t), cases, file.get());
  }
  std::printf("rows %zu, cases %zu\n", rows.size(), rows.size() * cases);
  return 0;
}

namespace {

const Row* rowByName(std::string_view name) {
  for (unsigned n = 0; n < kRowCount; ++n)
    if (name == kRows[n].name) return &kRows[n];
  return nullptr;
}

struct Recorded {
  std::string name;
  uint32_t inputs = 0;
  std::vector<uint32_t> digests;
};
bool read(std::FILE* file, Recorded& row) {
  uint8_t length = 0;
  if (std::fread(&length, 1, 1, file) != 1) return false;
  row.name.resize(length);
  return std::fread(row.name.data(), 1, length, file) == length &&
         std::fread(&row.inputs, sizeof row.inputs, 1, file) == 1 &&
         std::fread(row.digests.data(), sizeof(uint32_t), row.digests.size(), file) ==
             row.digests.size();
}

// Cases that differ; ~0: the inputs are others.
unsigned playRow(Engine& engine, const Row& row, const Recorded& recorded) {
  Generator generator(seedOf(row));
  Case made;
  State after;
  uint32_t inputs = 0;
  unsigned different = 0;
  for (size_t n = 0; n < recorded.digests.size(); ++n) {
    makeCase(generator, row, made);
    inputs = inputsOf(made, inputs);
    engine.run(made.code, made.before, after);
    if (digest(after) == recorded.digests[n]) continue;
    if (++different == 1)
      std::printf("%s case %zu [%s] differs\n", row.name, n, hex(made.code).c_str());
  }
  return inputs == recorded.inputs ? different : ~0u;
}

}  // namespace

int playVectors(const std::string& path, bool jit) {
  const File file(std::fopen(path.c_str(), "rb"));
  if (!file) return std::perror(path.c_str()), 1;
  FileHeader header{};
  if (std::fread(&header, sizeof header, 1, file.get()) != 1 ||
      std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
    return std::fprintf(stderr, "oracle: %s is no file of vectors\n", path.c_str()), 1;
  const bool sameVendor = hostVendor() == std::string(header.vendor, sizeof header.vendor);
  Engine engine(jit);
  unsigned long long cases = 0, differences = 0, skipped = 0, stale = 0;
  Recorded recorded;
  recorded.digests.resize(header.cases);
  for (unsigned n = 0; n < header.rows && read(file.get(), recorded); ++n) {
    const Row* row = rowByName(recorded.name);
    if (row && (!has(hostFeatures(), row->feature()) || (isVendorSpecific(*row) && !sameVendor))) {
      ++skipped;
      continue;
    }
    const unsigned different = row ? playRow(engine, *row, recorded) : ~0u;
    if (different == ~0u) {
      ++stale;
      std::printf("%s: other inputs than recorded; record the file again\n", recorded.name.c_str());
      continue;
    }
    cases += header.cases;
    differences += different;
  }
  std::printf("rows %u, cases %llu, skipped %llu, stale %llu, differences %llu\n", header.rows,
              cases, skipped, stale, differences);
  return differences || stale ? 1 : 0;
}

}  // namespace nodevm::oracle
