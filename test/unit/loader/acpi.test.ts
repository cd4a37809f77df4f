import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACPI_TABLES } from '../../../src/layout.js';
import { buildAcpi } from '../../../src/loader/acpi.js';
import * as aml from '../../../src/loader/aml.js';

const BASE = ACPI_TABLES.base;
const acpi = buildAcpi({ base: BASE, cpus: 2, serialPorts: 3 });
const view = new DataView(acpi.bytes.buffer);

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
}

function u32(gpa: number): number {
  return view.getUint32(gpa - BASE, true);
}

function u64(gpa: number): number {
  return Number(view.getBigUint64(gpa - BASE, true));
}

function tableAt(gpa: number): Uint8Array {
  return acpi.bytes.subarray(gpa - BASE, gpa - BASE + u32(gpa + 4));
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

/** Addresses of all tables by signature, found as an operating system does. */
function findTables(): Map<string, number> {
  const xsdt = u64(acpi.rsdp + 24);
  const tables = new Map([['XSDT', xsdt]]);
  for (let entry = xsdt + 36; entry < xsdt + u32(xsdt + 4); entry += 8) {
    const gpa = u64(entry);
    tables.set(text(tableAt(gpa).subarray(0, 4)), gpa);
  }
  const fadt = tables.get('FACP')!;
  tables.set('FACS', u32(fadt + 36)).set('DSDT', u64(fadt + 140));
  return tables.set('RSDT', u32(acpi.rsdp + 16));
}

describe('buildAcpi', () => {
  const tables = findTables();

  it('has an RSDP where the kernel scans, with both checksums', () => {
    const rsdp = acpi.bytes.subarray(acpi.rsdp - BASE, acpi.rsdp - BASE + 36);
    expect(acpi.rsdp % 16).toBe(0);
    expect(acpi.rsdp).toBeGreaterThanOrEqual(0xe_0000);
    expect(text(rsdp.subarray(0, 8))).toBe('RSD PTR ');
    expect(rsdp[15]).toBe(2);
    expect(sum(rsdp.subarray(0, 20))).toBe(0);
    expect(sum(rsdp)).toBe(0);
  });

  it('has all tables, each under its signature and with a right checksum', () => {
    expect([...tables.keys()].sort()).toEqual(
      ['APIC', 'DSDT', 'FACP', 'FACS', 'HPET', 'RSDT', 'XSDT'].sort(),
    );
    for (const [signature, gpa] of tables) {
      expect(text(tableAt(gpa).subarray(0, 4))).toBe(signature);
      if (signature !== 'FACS') expect(sum(tableAt(gpa)), signature).toBe(0);
    }
    expect(acpi.bytes.length).toBeLessThanOrEqual(ACPI_TABLES.length);
    expect(tables.get('FACS')! % 64).toBe(0);
  });

  it('has the same tables in RSDT and XSDT', () => {
    const rsdt = tables.get('RSDT')!;
    const xsdt = tables.get('XSDT')!;
    for (let index = 0; index < 3; index++) {
      expect(u32(rsdt + 36 + index * 4)).toBe(u64(xsdt + 36 + index * 8));
    }
  });

  it('names both processors and the timer override in the MADT', () => {
    const madt = text(tableAt(tables.get('APIC')!));
    expect(madt).toContain('\x00\x08\x00\x00\x01\0\0\0\x00\x08\x01\x01\x01\0\0\0');
    expect(madt).toContain('\x02\x0a\x00\x00\x02\0\0\0\0\0');
    expect(madt).toContain('\x02\x0a\x00\x09\x09\0\0\0\x0d\0');
  });

  it('names only the serial ports that are there', () => {
    const dsdt = text(tableAt(tables.get('DSDT')!));
    expect([...dsdt.matchAll(/COM\d/g)].map(String)).toEqual(['COM1', 'COM2', 'COM3']);
  });

  it('gives the PCI root its buses, its configuration ports and its windows', () => {
    const dsdt = Buffer.from(tableAt(tables.get('DSDT')!));
    const resources = [
      '880d00020c00' + '00000000ff0000000001', // buses 0 to 255
      '4701f80cf80c0108', // 0xcf8 to 0xcff, its own
      '880d00010c03' + '00000000f70c0000f80c', // ports 0 to 0xcf7
      '880d00010c03' + '0000000dffff000000f3', // ports 0xd00 to 0xffff
      '871700000c01' + '00000000000000c0ffffbffe000000000000c03e', // up to the I/O APIC
      '7900',
    ];
    expect(dsdt.toString('hex')).toContain(resources.join(''));
  });
});

describe('aml', () => {
  it('encodes integers in their shortest form', () => {
    expect([0, 1, 2, 0xff, 0x100, 0xffff, 0x1_0000].map((n) => [...aml.integer(n)])).toEqual([
      [0],
      [1],
      [0x0a, 2],
      [0x0a, 0xff],
      [0x0b, 0x00, 0x01],
      [0x0b, 0xff, 0xff],
      [0x0c, 0x00, 0x00, 0x01, 0x00],
    ]);
  });

  it('compresses EISA identifiers', () => {
    expect([...aml.eisaId('PNP0501')]).toEqual([0x0c, 0x41, 0xd0, 0x05, 0x01]);
  });

  it.each([
    [57, [62]],
    [58, [63]],
    [59, [0x41, 0x04]],
    [4089, [0x4f, 0xff]],
    [4090, [0x81, 0x00, 0x01]],
  ])('encodes the length of a scope with %i bytes', (length, packageLength) => {
    // The length counts itself and the four bytes of the name.
    const encoded = aml.scope('ABCD', new Uint8Array(length));
    expect([...encoded.subarray(1, 1 + packageLength.length)]).toEqual(packageLength);
  });
});

const hasIasl = spawnSync('iasl', ['-v']).status === 0;

describe.skipIf(!hasIasl)('iasl', () => {
  let directory = '';
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'nodevm-acpi-'));
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  it.each([...findTables()])('disassembles the %s without complaint', (signature, gpa) => {
    const file = join(directory, signature);
    writeFileSync(`${file}.aml`, tableAt(gpa));
    const run = spawnSync('iasl', ['-d', `${file}.aml`], { encoding: 'utf8' });
    const said = run.stdout + run.stderr;
    expect(run.status, said).toBe(0);
    expect(said).not.toMatch(/error|warning|invalid|incorrect/i);
    expect(readFileSync(`${file}.dsl`, 'utf8')).not.toMatch(/error|warning|invalid|unknown/i);
  });

  it('compiles the disassembled DSDT without complaint', () => {
    const run = spawnSync('iasl', [join(directory, 'DSDT.dsl')], { encoding: 'utf8' });
    expect(run.stdout + run.stderr).toMatch(/0 Errors, 0 Warnings/);
  });
});
