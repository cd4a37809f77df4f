// Runs clang-format over native/: checks by default, rewrites with --fix. Where clang-format is not
// installed it says so and passes, so that `npm run lint` works on machines without LLVM; CI has it.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import process from 'node:process';

const sources = existsSync('native')
  ? readdirSync('native', { recursive: true })
      .map((file) => `native/${String(file)}`)
      .filter((file) => /\.(cc|h|inc)$/.test(file))
      .sort()
  : [];
const mode = process.argv.includes('--fix') ? ['-i'] : ['--dry-run', '-Werror'];

if (spawnSync('clang-format', ['--version']).error !== undefined) {
  process.stderr.write('lint: clang-format is not installed, the C++ format is not checked\n');
} else if (sources.length > 0) {
  const { status } = spawnSync('clang-format', [...mode, ...sources], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
