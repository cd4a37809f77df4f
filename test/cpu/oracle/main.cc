// The user-mode oracle: runs the same bytes on this processor and in the engine and compares
// everything.
//   oracle [--cases N per row] [--seed S] [--row NAME] [--length INSTRUCTIONS]
//     [--engine interpreter|jit] [--verbose]
//     [--coverage]: a line a row, and more cases until each form of it has been compared
//   oracle --record FILE | --play FILE [--engine interpreter|jit]: vectors (vectors.h)
//   oracle --random STREAMS [--seed S] [--engine interpreter|jit]: random bytes in every mode
//   (random.h)
//   oracle --encodings COUNT|0 [--seed S] [--engine interpreter|jit]: which encodings exist
//   (encodings.h), all with 0
// Prints a line a difference (at most a few a row) and "rows R, cases C, differences D"; status 1
// if D > 0.

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "compare.h"
#include "coverage.h"
#include "encodings.h"
#include "engine.h"
#include "generator.h"
#include "host.h"
#include "random.h"
#include "vectors.h"

namespace nodevm::oracle {

namespace {

struct Options {
  unsigned cases = 200, length = 1;
  uint64_t randomStreams = 0;
  bool encodings = false;
  uint64_t encodingCount = 0;
  uint64_t seed = 1;
  std::string row, record, play;
  bool verbose = false, jit = false, coverage = false;
};

uint64_t numberOf(const char* text) {
  uint64_t value = 0;
  std::from_chars(text, text + std::string_view(text).size(), value);
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int n = 1; n < argc; ++n) {
    const std::string_view name = argv[n];
    const bool value = n + 1 < argc;
    if (name == "--verbose")
      options.verbose = true;
    else if (name == "--cases" && value)
      options.cases = static_cast<unsigned>(numberOf(argv[++n]));
    else if (name == "--length" && value)
      options.length = static_cast<unsigned>(numberOf(argv[++n]));
    else if (name == "--seed" && value)
      options.seed = numberOf(argv[++n]);
    else if (name == "--coverage")
      options.coverage = true;
    else if (name == "--record" && value)
      options.record = argv[++n];
    else if (name == "--play" && value)
      options.play = argv[++n];
    else if (name == "--random" && value)
      options.randomStreams = numberOf(argv[++n]);
    else if (name == "--encodings" && value) {
      options.encodings = true;
      options.encodingCount = numberOf(argv[++n]);
    } else if (name == "--row" && value)
      options.row = argv[++n];
    else if (name == "--engine" && value)
      options.jit = std::string_view(argv[++n]) == "jit";
    else {
      std::fprintf(stderr, "oracle: unknown option %s\n", argv[n]);
      std::exit(2);
    }
  }
  return options;
}

// A branch among other instructions could make a loop without an end.
bool isBranch(const Row& row) { return row.has(kEndsBlock) && !row.has(kRepPrefix); }

std::vector<const Row*> coveredRows(const Options& options) {
  std::vector<const Row*> rows;
  for (unsigned n = 0; n < kRowCount; ++n) {
    const bool wanted = options.row.empty() || options.row == kRows[n].name;
    if (!wanted || !Generator::covers(kRows[n])) continue;
    if (options.length == 1 || !isBranch(kRows[n])) rows.push_back(&kRows[n]);
  }
  return rows;
}

int run(const Options& options) {
  constexpr unsigned kShownPerRow = 3;
  Host host;
  Engine engine(options.jit);
  Generator generator(options.seed);
  const std::vector<const Row*> rows = coveredRows(options);
  unsigned long long cases = 0, differences = 0;
  State before, onHost, inEngine;
  Coverage coverage;
  // Cases of a row: as many as asked for, and with --coverage more until it has had every form.
  constexpr unsigned kMostCases = 20'000;
  const auto enough = [&](const Row& row, unsigned n) {
    return n >= options.cases && (!options.coverage || n >= kMostCases || coverage.complete(row));
  };
  for (size_t r = 0; r < rows.size(); ++r) {
    unsigned shown = 0, bad = 0;
    for (unsigned n = 0; !enough(*rows[r], n); ++n, ++cases) {
      Code code;
      generator.randomState(before);
      code.instructions = options.length;
      generator.append(*rows[r], code, before);
      coverage.note(*rows[r], code);
      for (unsigned more = 1; more < options.length && code.length < 40; ++more)
        generator.append(*rows[generator.pick(rows.size())], code, before);
      onHost = before;
      host.run(code, before, onHost);
      engine.run(code, before, inEngine);
      const std::string difference = compare(*rows[r], onHost, inEngine);
      if (difference.empty()) continue;
      ++bad;
      if (++shown <= kShownPerRow || options.verbose)
        std::printf("%s [%s]: %s\n", rows[r]->name, hex(code).c_str(), difference.c_str());
    }
    if (bad) std::printf("%s: %u of %u differ\n", rows[r]->name, bad, options.cases);
    differences += bad;
  }
  const bool complete = !options.coverage || coverage.report();
  std::printf("rows %zu, cases %llu, differences %llu\n", rows.size(), cases, differences);
  return differences || !complete ? 1 : 0;
}

}  // namespace

}  // namespace nodevm::oracle

int main(int argc, char** argv) {
  using namespace nodevm::oracle;
  const Options options = parse(argc, argv);
  if (!options.play.empty()) return playVectors(options.play, options.jit);
  if (!options.record.empty())
    return recordVectors(options.record, coveredRows(options), options.cases);
  if (options.encodings)
    return compareEncodings(
        {.count = options.encodingCount, .seed = options.seed, .jit = options.jit});
  if (options.randomStreams == 0) return run(options);
  return runRandom({.streams = options.randomStreams, .seed = options.seed, .jit = options.jit});
}
