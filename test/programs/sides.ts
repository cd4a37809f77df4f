/** The two sides that run a program: this machine's processor, and ours. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';

import { bootLinux, defaultImages, VmError, type BootOptions, type Vm } from '../../src/index.js';
import { ENVIRONMENT as LOGIN } from '../../src/vm/vm.js';
import { CHROOT, packWorkloads, type ProgramRoot } from './root.js';

/** What a program did on one side. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status, or why there is none. */
  readonly ending: string;
  readonly seconds: number;
}

/** Of both sides. Python's hashes are random otherwise, and so are the orders that come from them. */
const ENVIRONMENT = {
  ...LOGIN,
  LC_ALL: 'C.UTF-8',
  TZ: 'UTC',
  PYTHONHASHSEED: '0',
};

/** Archive and unpacked files are in RAM at the same time, twice 500 MB. */
const GUEST_MEMORY = 3 * 2 ** 30;

/** Mounts and the loopback interface, as an init would have them. */
const SET_UP_GUEST = `
mkdir -p /dev/shm /dev/pts && mount -t tmpfs tmpfs /dev/shm && mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp && ifconfig lo up
cat /proc/cpuinfo
`;

/** The names of CPU features in /proc/cpuinfo. */
export function cpuFlags(cpuinfo: string): ReadonlySet<string> {
  return new Set(/^flags\s*: (.*)$/m.exec(cpuinfo)?.[1]?.split(' '));
}

/** Features by which glibc or numpy choose code that rounds otherwise: the kernel's, glibc's and numpy's name. */
const FEATURES: readonly (readonly [flag: string, glibc: string, numpy: string])[] = [
  ['avx', 'AVX', 'AVX'],
  ['f16c', 'F16C', 'F16C'],
  ['fma', 'FMA', 'FMA3'],
  ['avx2', 'AVX2', 'AVX2'],
  ['avx512f', 'AVX512F', 'AVX512F'],
  ['avx512cd', 'AVX512CD', 'AVX512CD'],
  ['avx512vl', 'AVX512VL', 'AVX512_SKX'],
  ['avx512_vnni', 'AVX512_VNNI', 'AVX512_CLX'],
  ['avx512ifma', 'AVX512_IFMA', 'AVX512_CNL'],
  ['avx512_vbmi2', 'AVX512_VBMI2', 'AVX512_ICL'],
];

/** Variables that make the host's libraries choose the code that they choose in the guest. */
function withoutMissing(guest: ReadonlySet<string>): Record<string, string> {
  const missing = FEATURES.filter(([flag]) => !guest.has(flag));
  return {
    GLIBC_TUNABLES: `glibc.cpu.hwcaps=${missing.map(([, name]) => `-${name}`).join(',')}`,
    NPY_DISABLE_CPU_FEATURES: missing.map(([, , name]) => name).join(' '),
  };
}

/** What tells a workload which instructions both sides have. */
const hint = (guest: ReadonlySet<string>): Record<string, string> =>
  guest.has('avx2') && guest.has('fma') && guest.has('bmi2') ? { JUDGE_V3: '1' } : {};

/** Runs a command on this machine, in the root directory of the programs and on one processor as in the guest. */
export async function runOnHost(
  root: ProgramRoot,
  command: string,
  guest: ReadonlySet<string>,
  timeoutSeconds: number,
): Promise<Outcome> {
  const started = performance.now();
  const words = ['taskset', '-c', '0', ...CHROOT, root.directory, command];
  const env = { ...ENVIRONMENT, ...withoutMissing(guest), ...hint(guest) };
  const child = spawn('timeout', [`${timeoutSeconds}`, ...words], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = [child.stdout, child.stderr].map(async (stream) => {
    let text = '';
    for await (const part of stream.setEncoding('utf8')) text += String(part);
    return text;
  });
  const status = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 128));
  });
  const [stdout = '', stderr = ''] = await Promise.all(texts);
  const ending = `status ${await status}`;
  return { stdout, stderr, ending, seconds: (performance.now() - started) / 1000 };
}

/** A guest with the root directory of the programs as its initramfs; booted anew where a program ended it. */
export class ProgramGuest {
  private vm: Vm | undefined;
  private flags: ReadonlySet<string> = new Set();

  constructor(
    private readonly root: ProgramRoot,
    private readonly options: Partial<BootOptions>,
  ) {}

  /** What /proc/cpuinfo says in the guest. */
  async cpuFlags(): Promise<ReadonlySet<string>> {
    await this.boot();
    return this.flags;
  }

  async run(command: string, timeoutSeconds: number): Promise<Outcome> {
    const vm = await this.boot();
    const env = { ...ENVIRONMENT, ...hint(this.flags) };
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    const text = { out: '', err: '' };
    try {
      const { stdout, stderr, status } = await vm.sh(
        `rm -rf /tmp/*; exec sh -c ${quote(command)}`,
        {
          env,
          timeout: timeoutSeconds * 1000,
          onStdout: (bytes) => (text.out += Buffer.from(bytes).toString('latin1')),
          onStderr: (bytes) => (text.err += Buffer.from(bytes).toString('latin1')),
        },
      );
      return { stdout, stderr, ending: `status ${status}`, seconds: seconds() };
    } catch (error) {
      if (!(error instanceof VmError)) throw error;
      await this.close();
      return { stdout: text.out, stderr: text.err, ending: error.message, seconds: seconds() };
    }
  }

  async close(): Promise<void> {
    await this.vm?.close();
    this.vm = undefined;
  }

  private async boot(): Promise<Vm> {
    if (this.vm !== undefined) return this.vm;
    const { kernel } = await defaultImages();
    const initrd = [await readFile(this.root.archive), await packWorkloads()];
    this.vm = await bootLinux({ kernel, initrd, memory: GUEST_MEMORY, ...this.options });
    const { stdout, stderr, status } = await this.vm.sh(SET_UP_GUEST, { env: ENVIRONMENT });
    if (status !== 0)
      throw new Error(`setting up the guest ended with status ${status}: ${stderr}`);
    this.flags = cpuFlags(stdout);
    return this.vm;
  }
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
