/**
 * A thousand commands in one guest, with input, output and errors of random length and contents, and one
 * of 100 MB at the end: no byte may be lost, mixed up or added. `npm run test:soak -- 50 1` does 50, and 1 MB.
 */
import { createHash } from 'node:crypto';
import process from 'node:process';

import { bootLinux, defaultImages, type Vm } from '../../src/index.js';

const [commands = 1000, megabytes = 100] = process.argv.slice(2).map(Number);
const MB = 1_000_000;

/** The same "random" bytes in each run: SHA-256 in counter mode. */
function bytesOf(seed: string, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++) {
    blocks.push(createHash('sha256').update(`${seed}:${i}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}

const lengthOf = (seed: string, most: number): number =>
  bytesOf(seed, 4).readUInt32LE() % (most + 1);

function demand(what: string, found: unknown, expected: unknown): void {
  if (found !== expected)
    throw new Error(`${what} is ${String(found)}, expected ${String(expected)}`);
}

async function oneCommand(vm: Vm, n: number): Promise<void> {
  const input = bytesOf(`in${n}`, lengthOf(`size${n}`, n % 10 === 0 ? 20_000 : 500));
  const cut = lengthOf(`cut${n}`, input.length);
  const status = n % 256;
  // The first part comes back as output, the rest as error.
  const command = `{ dd bs=1 count=${cut} 2>/dev/null; cat >&2; }; echo c${n}; exit ${status}`;
  const result = await vm.sh(cut > 2000 ? `cat; echo c${n}; exit ${status}` : command, {
    input,
    encoding: 'bytes',
  });
  const [out, err] =
    cut > 2000 ? [input, Buffer.alloc(0)] : [input.subarray(0, cut), input.subarray(cut)];
  demand(`status of ${n}`, result.status, status);
  const expected = Buffer.concat([out, Buffer.from(`c${n}\n`)]);
  demand(`stdout of ${n} right`, expected.equals(result.stdout), true);
  demand(`stderr of ${n} right`, err.equals(result.stderr), true);
}

async function largeOutput(vm: Vm, length: number): Promise<void> {
  const hash = createHash('sha256');
  let received = 0;
  const { stdout, status } = await vm.sh(
    `yes 0123456789abcdefghijklmnopqrstuvwxyz | head -c ${length}`,
    {
      maxOutput: 2 * length,
      keepOutput: false,
      onStdout: (bytes) => {
        received += bytes.length;
        hash.update(bytes);
      },
    },
  );
  demand('kept output', stdout, '');
  demand('status', status, 0);
  demand('length', received, length);
  const line = '0123456789abcdefghijklmnopqrstuvwxyz\n';
  const expected = createHash('sha256');
  for (let left = length; left > 0; left -= line.length) expected.update(line.slice(0, left));
  demand('contents', hash.digest('hex'), expected.digest('hex'));
}

const started = performance.now();
const note = (text: string): void => {
  console.log(`${((performance.now() - started) / 1000).toFixed(1)} s: ${text}`);
};
await using vm = await bootLinux({ ...(await defaultImages()), clock: 'icount' });
await vm.booted();
note('booted');
for (let n = 1; n <= commands; n++) {
  await oneCommand(vm, n);
  if (n % 100 === 0) note(`${n} commands`);
}
await largeOutput(vm, megabytes * MB);
note(`${megabytes} MB of output`);
