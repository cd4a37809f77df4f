import { beforeAll, describe, expect, it } from 'vitest';

import { Disassembler, formatInstruction } from '../../../src/debug/disassembler.js';

let disassembler: Disassembler;
beforeAll(async () => {
  disassembler = await Disassembler.load();
});

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const kernel = 0xffffffff81000000n;
const symbolize = (address: bigint) =>
  address >= kernel && address < kernel + 0x1000n
    ? `startup_64+0x${(address - kernel).toString(16)}/0x1000`
    : undefined;
const texts = (hex: string, options: Partial<Parameters<Disassembler['disassemble']>[1]> = {}) =>
  disassembler
    .disassemble(bytes(hex), { address: kernel, mode: 64, ...options })
    .map(({ text }) => text);

describe('64-bit code', () => {
  it('is written in both syntaxes', () => {
    expect(texts('4889e5 48c7c0ff000000')).toEqual(['mov rbp,rsp', 'mov rax,0xff']);
    expect(texts('4889e5 48c7c0ff000000', { syntax: 'att' })).toEqual([
      'mov %rsp,%rbp',
      'mov $0xff,%rax',
    ]);
  });

  it('names branch targets, addresses in operands and the instruction itself', () => {
    expect(texts('e8fb000000', { symbolize })).toEqual([
      'call 0xffffffff81000100 <startup_64+0x100/0x1000>',
    ]);
    expect(texts('488b05f9000000', { symbolize, syntax: 'att' })).toEqual([
      'mov 0xf9(%rip),%rax  # 0xffffffff81000100 <startup_64+0x100/0x1000>',
    ]);
    expect(texts('48c7c710000081', { symbolize })[0]).toMatch(/<startup_64\+0x10\/0x1000>$/);
    expect(texts('488b04c520000081', { symbolize })[0]).toMatch(/<startup_64\+0x20\/0x1000>$/);
    const [line] = disassembler.disassemble(bytes('90'), { address: kernel + 1n, mode: 64 });
    expect(formatInstruction(line!, symbolize)).toMatch(
      /^0xffffffff81000001 <startup_64\+0x1\/0x1000>: {2}90 +nop$/,
    );
  });

  it('goes on behind a byte that begins no instruction', () => {
    expect(texts('06 90')).toEqual(['(bad)', 'nop']);
  });

  it('says where the bytes end within an instruction', () => {
    expect(texts('90 e801')).toEqual(['nop', '(truncated)']);
  });

  it('stops at the number asked for', () => {
    expect(texts('90909090', { count: 2 })).toHaveLength(2);
  });
});

it('reads 16-bit code at a segment: targets are relative to its base', () => {
  const [jump] = disassembler.disassemble(bytes('eb66'), {
    address: 0x90200n,
    base: 0x90000n,
    mode: 16,
  });
  expect(jump).toMatchObject({ address: 0x90200n, text: 'jmp short 0x0268', reference: 0x90268n });
});

it('reads 32-bit code', () => {
  expect(texts('b8efbeadde', { mode: 32, address: 0x100000n })).toEqual(['mov eax,0xdeadbeef']);
});
