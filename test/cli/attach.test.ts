import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { defaultImages } from '../../src/images.js';
import { BOOT_TIMEOUT_MS } from '../support/boot.js';
import { crashGuest, file, scratch } from './guests.js';
import { ending, printed, run, start } from './spawn.js';

afterAll(() => rmSync(scratch, { recursive: true }));

describe('a machine that another process runs', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('shows its log and is dumped, without a console', async () => {
    const { kernel, initrd } = await defaultImages();
    const monitor = `unix:${join(scratch, 'monitor')}`;
    const images = ['-kernel', kernel, '-initrd', initrd, '-m', '256M', '--monitor', monitor];
    const guest = start(...images, '--append', 'console=ttyS0 quiet');
    await printed(guest, 'turns the machine off.');
    const log = await run(['dmesg', monitor]);
    expect([log.status, log.stderr]).toEqual([0, '']);
    expect(String(log.stdout)).toMatch(/^\[ {4}0\.000000\] Linux version 6/);
    const core = join(scratch, 'core');
    expect(await run(['dump', monitor, core])).toMatchObject({ status: 0 });
    expect(statSync(core).size).toBeGreaterThan(256 * 2 ** 20);
    const nowhere = await run(['dump', monitor, join(scratch, 'missing', 'core')]);
    expect(nowhere).toMatchObject({
      status: 125,
      stderr: expect.stringMatching(/cannot be written/) as string,
    });
    guest.stdin.end('poweroff -f\n');
    expect(await ending(guest)).toMatchObject({ status: 0 });
  });

  it('has to be there', async () => {
    const gone = await run(['dmesg', `unix:${join(scratch, 'nothing')}`]);
    expect(gone).toMatchObject({ status: 125, stderr: expect.stringMatching(/ENOENT/) as string });
    const usage = await run(['dump', 'unix:somewhere']);
    expect(usage).toMatchObject({
      status: 125,
      stderr: expect.stringMatching(/nodevm dump MONITOR FILE/) as string,
    });
  });
});

describe('a run that ends badly', () => {
  const crash = file('crash', crashGuest());

  it('says why, and leaves a core file', async () => {
    const core = join(scratch, 'crash-core');
    const { status, stderr } = await run(['-kernel', crash, '-m', '64M', '--core', core]);
    expect(status).toBe(254);
    expect(stderr).toMatch(
      /^nodevm: cause: #UD \(invalid opcode\) at 0x\w+ \(ud2\); #UD has no handler: IDT entry 6 lies beyond/m,
    );
    expect(stderr).toMatch(/^ {2}boot phase: decompressor$/m);
    expect(existsSync(core)).toBe(true);
  });

  it('says nothing more where nobody wants it', async () => {
    const { stderr } = await run(['-kernel', crash, '-m', '64M', '--no-verdict']);
    expect(stderr).toBe('nodevm: the guest shut its processor down (triple fault)\n');
  });
});
