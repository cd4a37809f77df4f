/**
 * The programs of the suite: kernels of our own in C, linked statically, and the host's tools with all
 * that they load, so that guest and host run the same bytes.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { GuestImages } from '../../src/images.js';
import { InitramfsBuilder } from './archive.js';

/** Where the programs and their inputs are in the guest. */
export const GUEST_DIRECTORY = 'bench';

const SOURCES = fileURLToPath(new URL('programs/', import.meta.url));

/** One row of the table. */
export interface Program {
  readonly name: string;
  /** Shell words; what it prints is compared across engines. */
  readonly command: string;
}

/** A program that cannot run on this host, and why. */
export interface Skipped {
  readonly name: string;
  readonly reason: string;
}

interface Kernel {
  readonly name: string;
  readonly words: string;
  /** Without .c; default the name. */
  readonly source?: string;
}

/** programs/NAME.c; arguments that keep a present-day processor busy for about a tenth of a second. */
const KERNELS: readonly Kernel[] = [
  { name: 'nbody', words: '1000000' },
  { name: 'sort', words: '800000' },
  { name: 'chase', words: '2000000' },
  { name: 'sha256', words: '150000' },
  { name: 'memcpy', words: '150' },
  { name: 'syscalls', words: '500000' },
  { name: 'fork', words: '100' },
];

/** The same, run only where they are named: no programs that anybody has, but the worst for a translator. */
const SELF_MODIFYING: readonly Kernel[] = [
  { name: 'smc-patch', words: 'patch 200000 4' },
  { name: 'smc-patch-loop', words: 'patch 50000 40' },
  { name: 'smc-generate', words: 'generate 50000 40' },
  { name: 'smc-generate-hot', words: 'generate 1000 4000' },
  { name: 'smc-count', words: 'count 5000 1000' },
].map((kernel) => ({ ...kernel, source: 'selfmod' }));

interface Tool {
  readonly name: string;
  /** Name or path of the executable. */
  readonly executable: () => string;
  readonly words: string;
  /** Files that it opens by itself. */
  readonly files?: (executable: string) => readonly string[];
}

/** Run in the directory of the inputs. */
const TOOLS: readonly Tool[] = [
  { name: 'gzip', executable: () => 'gzip', words: '-6 -n -c text.txt' },
  { name: 'xz', executable: () => 'xz', words: '-1 -T1 -c part.txt' },
  // Bit 29 of CPUID.7.EBX: the guest's processor has no SHA instructions, so the host's does without.
  {
    name: 'openssl',
    executable: () => 'openssl',
    words: 'dgst -sha256 digest.bin',
    files: (executable) => {
      const said = execFileSync(executable, ['version', '-d'], { encoding: 'utf8' });
      const directory = /"(.*)"/.exec(said)?.[1];
      const config = join(directory ?? '/', 'openssl.cnf');
      return existsSync(config) ? [config] : [];
    },
  },
  { name: 'sqlite3', executable: () => 'sqlite3', words: ':memory: <queries.sql' },
  { name: 'python3', executable: pythonExecutable, words: '-I -S script.py', files: pythonFiles },
  { name: 'awk', executable: () => 'awk', words: '-f words.awk text.txt' },
  { name: 'gcc', executable: compilerProper, words: '-quiet -ffreestanding -O2 compiled.c -o -' },
];

function pythonExecutable(): string {
  const script = 'import sys; print(sys.executable)';
  return spawnSync('python3', ['-c', script], { encoding: 'utf8' }).stdout.trim();
}

function pythonFiles(executable: string): readonly string[] {
  const script = [
    'import sys, os, encodings.ascii, encodings.latin_1, encodings.utf_8',
    'print("\\n".join(m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)))',
  ].join('\n');
  const listed = execFileSync(executable, ['-I', '-S', '-c', script], { encoding: 'utf8' });
  return listed.split('\n').filter((path) => path.startsWith('/'));
}

function compilerProper(): string {
  return spawnSync('gcc', ['-print-prog-name=cc1'], { encoding: 'utf8' }).stdout.trim();
}

/** The suite, made in `directory`, where it runs on the host, and in an archive for guests. */
export interface Suite {
  readonly programs: readonly Program[];
  readonly skipped: readonly Skipped[];
  /** A newc archive. */
  readonly archive: Uint8Array;
  /** Shell script that runs everything once and marks beginnings and ends, for `directory`. */
  readonly script: string;
}

/**
 * Compiles the kernels, writes the inputs and packs everything.
 * @param wanted names of programs; empty: all
 * @param repeats how often each program runs
 */
export function makeSuite(directory: string, wanted: readonly string[], repeats: number): Suite {
  const programs: Program[] = [];
  const skipped: Skipped[] = [];
  const builder = new InitramfsBuilder();
  const chosen = (name: string) => wanted.length === 0 || wanted.includes(name);
  mkdirSync(directory, { recursive: true });
  const kernels = [
    ...KERNELS.filter(({ name }) => chosen(name)),
    ...SELF_MODIFYING.filter(({ name }) => wanted.includes(name)),
  ];
  for (const { name, words, source = name } of kernels) {
    const output = join(directory, name);
    const compiler = ['-O2', '-static', '-o', output, join(SOURCES, `${source}.c`), '-lm'];
    const compiled = spawnSync('gcc', compiler, { encoding: 'utf8' });
    if (compiled.status === 0) {
      programs.push({ name, command: `./${name} ${words}` });
      builder.addFile(`${GUEST_DIRECTORY}/${name}`, readFileSync(output), 0o755);
    } else {
      skipped.push({ name, reason: 'no gcc that links statically' });
    }
  }
  for (const tool of TOOLS.filter(({ name }) => chosen(name))) {
    const path = which(tool.executable());
    if (path === undefined) {
      skipped.push({ name: tool.name, reason: 'not installed' });
      continue;
    }
    programs.push({ name: tool.name, command: `${path} ${tool.words}` });
    builder.addExecutable(path);
    for (const file of tool.files?.(path) ?? []) builder.addHostFile(file);
  }
  for (const [name, data] of inputs()) {
    writeFileSync(join(directory, name), data);
    builder.addFile(`${GUEST_DIRECTORY}/${name}`, data, 0o644);
  }
  const script = suiteScript(programs, repeats);
  const init = ['#!/bin/busybox sh', '/bin/busybox --install -s', 'mount -t proc proc /proc'];
  init.push(`cd /${GUEST_DIRECTORY}`, script, 'poweroff -f', '');
  builder.addFile(`${GUEST_DIRECTORY}/init`, Buffer.from(init.join('\n')), 0o755);
  return { programs, skipped, archive: builder.pack(), script };
}

/** Writes the guest's archive with the suite's behind it into `directory`; returns its path. */
export function writeSuiteInitrd(directory: string, images: GuestImages, suite: Suite): string {
  const path = join(directory, 'initrd');
  const base = readFileSync(images.initrd);
  // The kernel looks for the next archive on a multiple of four bytes.
  const padding = Buffer.alloc(-base.length & 3);
  writeFileSync(path, Buffer.concat([base, padding, suite.archive]));
  return path;
}

function which(executable: string): string | undefined {
  if (executable === '') return undefined;
  const said = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', executable], { encoding: 'utf8' });
  return said.status === 0 ? realpathSync(said.stdout.trim()) : undefined;
}

function suiteScript(programs: readonly Program[], repeats: number): string {
  const lines = ['export OPENSSL_ia32cap=:~0x20000000 LC_ALL=C'];
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const { name, command } of programs) {
      lines.push(`echo "@begin ${name}"`, `sum=$(${command} 2>/dev/null | md5sum)`);
      lines.push(`echo "@end ${name} $sum"`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Names and contents of what the programs read; the same bytes each time. */
function inputs(): readonly (readonly [string, Uint8Array])[] {
  const text = sampleText(3 << 20);
  const own = (name: string) => [name, readFileSync(join(SOURCES, name))] as const;
  return [
    ['text.txt', text],
    ['part.txt', text.subarray(0, 1 << 20)],
    ['digest.bin', Buffer.concat(Array<Uint8Array>(8).fill(text))],
    own('compiled.c'),
    own('script.py'),
    own('words.awk'),
    own('queries.sql'),
  ];
}

/** Words of a made-up language, as often as Zipf's law has it, in lines. */
function sampleText(length: number): Uint8Array {
  let random = 1;
  const next = (limit: number) => {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    return Math.floor((random / 2 ** 32) * limit);
  };
  const syllables = ['ka', 'lo', 'mi', 'ren', 'sta', 'tu', 'vel', 'wo', 'xi', 'nor', 'da', 'pe'];
  const words = Array.from({ length: 4000 }, () =>
    Array.from({ length: 1 + next(4) }, () => syllables[next(syllables.length)]).join(''),
  );
  const lines: string[] = [];
  for (let bytes = 0; bytes < length;) {
    const count = 4 + next(10);
    // The exponential of a uniform number favours the first words.
    const pick = () => words[Math.floor(Math.exp((next(1000) / 1000) * Math.log(words.length)))];
    const line = Array.from({ length: count }, pick).join(' ');
    lines.push(line);
    bytes += line.length + 1;
  }
  return Buffer.from(`${lines.join('\n')}\n`).subarray(0, length);
}
