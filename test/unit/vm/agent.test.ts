import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { unpackInitramfs } from '../../../src/initramfs/cpio.js';
import { agentOverlay } from '../../../src/vm/overlay.js';

const AGENT = 'images/agent/agent';

describe('the agent', () => {
  it('was built from the sources that are there', () => {
    const hash = createHash('sha256').update(readFileSync('images/agent/agent.c')).digest('hex');
    const [, built] =
      /nodevm-agent-source:([0-9a-f]{64})/.exec(readFileSync(AGENT, 'latin1')) ?? [];
    expect(built, 'run images/agent/build.sh').toBe(hash);
  });

  it('is a small static program for x86-64', () => {
    const elf = readFileSync(AGENT);
    expect(elf.subarray(0, 6).toString('hex')).toBe('7f454c460201');
    expect(elf.readUInt16LE(16)).toBe(2); // e_type: ET_EXEC
    expect(elf.readUInt16LE(18)).toBe(62); // e_machine: EM_X86_64
    expect(elf.length).toBeLessThan(8192);
  });
});

describe('the archive that brings the agent', () => {
  const linkOf = (archive: Uint8Array) =>
    unpackInitramfs(archive).find(({ path }) => path === '.nodevm/init');

  it('starts /init behind it, or what rdinit= says', async () => {
    const plain = await agentOverlay('console=ttyS0 quiet');
    expect(plain.cmdline).toBe('rdinit=/.nodevm/agent console=ttyS0 quiet');
    expect(linkOf(plain.archive)).toMatchObject({ type: 'symlink', target: '/init' });

    const other = await agentOverlay('rdinit=/bin/sh console=ttyS0 -- -x');
    expect(other.cmdline).toBe('rdinit=/.nodevm/agent console=ttyS0 -- -x');
    expect(linkOf(other.archive)).toMatchObject({ type: 'symlink', target: '/bin/sh' });
  });

  it('has the agent and its device nodes', async () => {
    const { archive } = await agentOverlay('');
    expect(unpackInitramfs(archive)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ path: '.nodevm/agent', type: 'file', mode: 0o755 }),
        expect.objectContaining({ path: '.nodevm/tty', type: 'char', major: 4, minor: 65 }),
        expect.objectContaining({ path: '.nodevm/null', type: 'char', major: 1, minor: 3 }),
      ]),
    );
  });

  it('refuses a console on its own serial port', async () => {
    await expect(agentOverlay('console=ttyS1,115200')).rejects.toMatchObject({ code: 'E_USAGE' });
  });
});
