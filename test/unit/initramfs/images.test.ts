import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { defaultImages, findImages, imagePaths, stateDirectory } from '../../../src/images.js';
import { buildInitramfs } from '../../../src/images/default-guest.js';
import { unpackInitramfs } from '../../../src/initramfs/cpio.js';

describe('stateDirectory', () => {
  it('follows the XDG specification', () => {
    const byDefault = join(homedir(), '.local/state/nodevm');
    expect(stateDirectory({ XDG_STATE_HOME: '/somewhere' })).toBe('/somewhere/nodevm');
    expect(stateDirectory({})).toBe(byDefault);
    expect(stateDirectory({ XDG_STATE_HOME: 'relative' })).toBe(byDefault);
  });
});

describe('default images', () => {
  let directory = '';
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'nodevm-images-'));
    vi.stubEnv('XDG_STATE_HOME', directory);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(directory, { recursive: true });
  });

  it('are named when they are there', async () => {
    const images = imagePaths();
    await mkdir(dirname(images.kernel), { recursive: true });
    await writeFile(images.kernel, '');
    expect(await findImages()).toBeUndefined();
    await writeFile(images.initrd, '');
    expect(await defaultImages()).toEqual(images);
    expect(images.kernel.startsWith(directory)).toBe(true);
    expect(await findImages('amd64')).toBeUndefined();
  });

  it('say how to make them when they are not', async () => {
    await expect(defaultImages()).rejects.toMatchObject({ code: 'E_IMAGES' });
    await expect(defaultImages()).rejects.toThrow(/"npm run images"/);
    await expect(defaultImages('amd64')).rejects.toThrow(/"npm run images -- --flavour amd64"/);
  });
});

describe('buildInitramfs', () => {
  it('makes an archive from which the kernel can start our init, the same each time', async () => {
    const busybox = Buffer.from('not really BusyBox');
    const archive = await buildInitramfs(busybox);
    expect(await buildInitramfs(busybox)).toEqual(archive);
    const entries = new Map(
      unpackInitramfs(gunzipSync(archive)).map((entry) => [entry.path, entry]),
    );
    const init = new Uint8Array(await readFile('images/init'));
    expect(entries.get('init')).toMatchObject({ type: 'file', mode: 0o755, data: init });
    expect(entries.get('bin/busybox')).toMatchObject({ mode: 0o755 });
    expect(entries.get('dev/console')).toMatchObject({ type: 'char', major: 5, minor: 1 });
    for (const path of ['proc', 'sys', 'dev', 'tmp', 'run']) {
      expect(entries.get(path)).toMatchObject({ type: 'dir' });
    }
  });
});
