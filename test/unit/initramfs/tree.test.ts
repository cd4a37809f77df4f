import { describe, expect, it } from 'vitest';

import { checkInitramfs } from '../../../src/initramfs/check.js';
import { packInitramfs, unpackInitramfs } from '../../../src/initramfs/cpio.js';
import {
  dir,
  entriesOf,
  fifo,
  file,
  link,
  nod,
  packObject,
  socket,
  symlink,
} from '../../../src/initramfs/object.js';
import type { InitramfsObject } from '../../../src/initramfs/object.js';
import { Tree } from '../../../src/initramfs/tree.js';
import { refusal } from '../../support/refusal.js';

const treeOf = (object: InitramfsObject) => Tree.of(entriesOf(object));
const pathsOf = (object: InitramfsObject) =>
  treeOf(object)
    .entries()
    .map(({ path }) => path);

describe('packObject', () => {
  it('packs files, devices and links, with directories before what is in them', () => {
    const archive = packObject({
      '/init': '#!/bin/sh\necho hello\n',
      '/dev/console': nod('c', 5, 1),
      '/etc/motd': 'hello\n',
      '/etc/issue': link('/etc/motd'),
      '/lib': symlink('usr/lib'),
      '/run': dir({ mode: 0o1777 }),
      '/run/p': fifo({ uid: 7 }),
      '/run/s': socket(),
      '/a': file(Uint8Array.of(1), { mode: 0o600, gid: 5 }),
    });
    const entries = unpackInitramfs(archive);
    expect(
      entries.map(({ path, type, mode }) => `${path} ${type} ${mode?.toString(8) ?? ''}`),
    ).toEqual([
      'a file 600',
      'dev dir 755',
      'dev/console char 600',
      'etc dir 755',
      'etc/issue file 644',
      'etc/motd link 644',
      'init file 755',
      'lib symlink 777',
      'run dir 1777',
      'run/p fifo 644',
      'run/s socket 644',
    ]);
    expect(entries.find(({ path }) => path === 'dev/console')).toMatchObject({
      major: 5,
      minor: 1,
    });
  });

  it('depends on what is in it, not on its order', () => {
    const one = packObject({ '/b': '1', '/a': '2', '/c/d': '3' });
    expect(packObject({ 'c/d': '3', a: '2', '/b': '1' })).toEqual(one);
  });

  it('refuses values and paths that cannot be', () => {
    expect(refusal(() => packObject({ '/x': 5 as unknown as string }))).toMatch(
      /"\/x" is a number/,
    );
    expect(refusal(() => packObject({ '/a/../b': '' }))).toMatch(/no "\.\."/);
    expect(refusal(() => packObject({ [`${'a/'.repeat(101)}b`]: '' }))).toMatch(
      /at most 100 names/,
    );
    expect(refusal(() => packObject({ '/a': link('/b') }))).toMatch(/"a" is to "\/b"/);
  });
});

describe('Tree', () => {
  it('puts what lies behind a symlink where the kernel would', () => {
    const object = { '/usr/bin': dir(), '/bin': symlink('usr/bin'), '/bin/sh': 'x' };
    expect(pathsOf(object)).toEqual(['bin', 'usr', 'usr/bin', 'usr/bin/sh']);
    expect(treeOf(object).resolve('/bin/sh')).toMatchObject({ type: 'file' });
  });

  it.each(['/', '../../..', '/../x/..', './.'])(
    'stays inside, wherever a symlink leads (%s)',
    (target) => {
      const tree = treeOf({ '/x': dir(), '/up': symlink(target), '/up/f': 'x' });
      expect(tree.get('f')).toMatchObject({ type: 'file' });
    },
  );

  it('does not go round in symlinks', () => {
    const tree = treeOf({ '/a': symlink('b'), '/b': symlink('a'), '/c': symlink('c/c/c') });
    expect([tree.resolve('/a'), tree.resolve('/c/x')]).toEqual([undefined, undefined]);
    expect(refusal(() => tree.add({ path: 'a/f', type: 'fifo' }))).toMatch(/lies in "a"/);
  });

  it('keeps the other names of a file when one is removed or replaced', () => {
    const tree = treeOf({ '/a': 'x', '/b': link('a'), '/c': link('a') });
    expect([tree.remove('/a'), tree.remove('/a')]).toEqual([true, false]);
    tree.add({ path: 'c', type: 'file', data: Uint8Array.of(9) });
    const entries = unpackInitramfs(packInitramfs(tree.entries()));
    expect(entries).toMatchObject([
      { path: 'b', type: 'file', data: Uint8Array.of(0x78) },
      { path: 'c', type: 'file', data: Uint8Array.of(9) },
    ]);
  });

  it('refuses what would take the place of a directory with entries, or lie in a file', () => {
    expect(refusal(() => treeOf({ '/d/f': 'x', '/d': 'file' }))).toMatch(/also a directory/);
    expect(refusal(() => treeOf({ '/f': 'x', '/f/g': 'x' }))).toMatch(/"f\/g" lies in "f"/);
  });
});

/** An ELF file's headers: one program header, for an interpreter if there is one. */
function elf(machine: number, interpreter?: string): Uint8Array {
  const image = Buffer.alloc(256);
  image.write('\x7fELF\x02\x01\x01', 'latin1');
  image.writeUInt16LE(machine, 18);
  image.writeBigUInt64LE(64n, 32);
  image.writeUInt16LE(56, 54);
  image.writeUInt16LE(1, 56);
  image.writeUInt32LE(interpreter === undefined ? 1 : 3, 64);
  image.writeBigUInt64LE(128n, 72);
  image.writeBigUInt64LE(BigInt((interpreter ?? '').length + 1), 96);
  image.write(interpreter ?? '', 128);
  return new Uint8Array(image);
}

describe('checkInitramfs', () => {
  const console = { '/dev/console': nod('c', 5, 1) };
  const sh = { '/bin/sh': elf(62) };
  const check = (object: InitramfsObject) => checkInitramfs(treeOf(object).entries());

  it.each<[string, InitramfsObject]>([
    ['a static binary', { ...console, '/init': elf(62) }],
    ['a script', { ...console, ...sh, '/init': '#! /bin/sh -e\n' }],
    ['a symlink', { ...console, ...sh, '/init': symlink('bin/sh') }],
    [
      'a dynamic binary whose loader is behind symlinks',
      {
        ...console,
        '/init': elf(62, '/lib64/ld.so'),
        '/usr/lib/ld-2.so': elf(62),
        '/usr/lib/ld.so': symlink('ld-2.so'),
        '/lib64': symlink('/usr/lib'),
      },
    ],
  ])('has nothing to say about %s', (_name, object) => {
    expect(check(object)).toEqual([]);
  });

  it.each<[InitramfsObject, RegExp]>([
    [{ ...console, ...sh }, /^\/init is missing/],
    [{ ...console, '/init': symlink('gone') }, /^\/init is a symlink to nothing/],
    [{ ...console, '/init': dir() }, /^\/init is a dir, expected a file/],
    [
      { ...console, '/init': file(elf(62), { mode: 0o644 }) },
      /^\/init has mode 0644: it is not exec/,
    ],
    [{ '/init': elf(62) }, /^\/dev\/console is missing/],
    [{ '/init': elf(62), '/dev/console': '' }, /^\/dev\/console is a file, expected/],
    [{ '/init': elf(62), '/dev/console': nod('c', 1, 3) }, /^\/dev\/console is a char 1:3/],
    [{ ...console, '/init': elf(183) }, /^\/init is for AArch64, expected x86-64/],
    [{ ...console, '/init': elf(62, '/lib64/ld.so') }, /^\/init is linked dyn.*"\/lib64\/ld.so"/],
    [
      { ...console, '/init': '#!/bin/bash\n' },
      /^\/init is a script for "\/bin\/bash", which is not/,
    ],
    [{ ...console, ...sh, '/init': '#!/bin/sh\r\n' }, /^\/init has CRLF .*"\/bin\/sh\\r"/],
    [{ ...console, '/init': '#!/s', '/s': '#!/t' }, /^\/s is a script for "\/t"/],
    [{ ...console, '/init': '#!/s', '/s': file('', { mode: 0o644 }) }, /by \/s, which is not exec/],
    [{ ...console, '/init': elf(62), '/bin/x': elf(40) }, /^\/bin\/x is for ARM/],
  ])('finds what is wrong: %j', (object, warning) => {
    expect(check(object)[0]).toMatch(warning);
  });

  it('finds entries that come before their directory', () => {
    const data = elf(62);
    const entries = [
      { path: 'bin/x', type: 'file', data } as const,
      { path: 'bin', type: 'dir' } as const,
    ];
    expect(checkInitramfs(entries).join()).toMatch(/"bin\/x" comes before the directory/);
  });

  it('survives headers that lie', () => {
    const image = elf(62, '/lib/ld.so');
    for (let at = 16; at < 128; at++) {
      const damaged = Uint8Array.from(image, (byte, index) => (index === at ? 0xff : byte));
      expect(check({ '/init': damaged })).toBeInstanceOf(Array);
    }
  });
});
