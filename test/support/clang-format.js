// Runs clang-format over the C++ sources: checks by default, rewrites with --fix. The opcode tables
// (*.inc) are left alone: one row a line. Where clang-format is not
// installed it says so and passes, so that `npm run lint` works on machines without LLVM; CI has it.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import process from 'node:process';

const sources = ['native', 'test/cpu/oracle']
  .filter((folder) => existsSync(folder))
  .flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((file) => `${folder}/${String(file)}`),
  )
  .filter((file) => /\.(cc|h)$/.test(file))
  .sort();
const mode = process.argv.includes('--fix') ? ['-i'] : ['--dry-run', '-Werror'];

if (spawnSync('clang-format', ['--version']).error !== undefined) {
  process.stderr.write('lint: clang-format is not installed, the C++ format is not checked\n');
} else if (sources.length > 0) {
  const { status } = spawnSync('clang-format', [...mode, ...sources], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
