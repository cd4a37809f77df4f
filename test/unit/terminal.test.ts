import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';

import { EscapeFilter, Terminal } from '../../src/terminal.js';
import type { EscapeCommand, TerminalInput, TerminalOptions } from '../../src/terminal.js';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

describe('EscapeFilter', () => {
  function filter(...chunks: string[]): { kept: string; commands: EscapeCommand[] } {
    const escapes = new EscapeFilter();
    const commands: EscapeCommand[] = [];
    const kept = chunks.map((chunk) =>
      text(escapes.filter(Buffer.from(chunk, 'latin1'), (command) => commands.push(command))),
    );
    return { kept: kept.join(''), commands };
  }

  it.each([
    [['ls\r\xff\0'], 'ls\r\xff\0', []],
    [['a\x01xb'], 'ab', ['quit']],
    [['\x01X'], '', ['quit']],
    [['\x01h\x01?'], '', ['help', 'help']],
    [['\x01\x01\x01a\x01A'], '\x01\x01\x01', []],
    [['a\x01', 'xb'], 'ab', ['quit']],
    [['\x01', '\x01', 'x'], '\x01x', []],
    [['\x01zz'], 'z', []],
  ])('%j', (chunks, kept, commands) => {
    expect(filter(...chunks)).toEqual({ kept, commands });
  });
});

/** Output that accepts one chunk at a time, when told to. */
class SlowOutput extends Writable {
  readonly chunks: string[] = [];
  private release: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 4 });
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(text(chunk));
    this.release = done;
  }

  accept(): void {
    this.release?.();
  }
}

function terminalOn(input: TerminalInput, output: Writable, more: Partial<TerminalOptions> = {}) {
  const log: string[] = [];
  const terminal = new Terminal({
    input,
    output,
    messages: new PassThrough(),
    onInput: (bytes) => log.push(text(bytes)),
    backlog: () => 0,
    onQuit: () => log.push('<quit>'),
    onOutputClosed: (error) => log.push(`<closed ${error.message}>`),
    onCongestion: (congested) => log.push(congested ? '<wait>' : '<go>'),
    ...more,
  });
  return { terminal, log };
}

describe('Terminal', () => {
  it('passes each byte of a pipe on, Ctrl-A too, and survives its end', async () => {
    const input = new PassThrough();
    const { terminal, log } = terminalOn(input, new PassThrough());
    terminal.start();
    input.write('echo \x01x');
    input.end('\n\0\xff', 'latin1');
    await new Promise((resolve) => input.on('end', resolve));
    expect(log.join('')).toBe('echo \x01x\n\0\xff');
    terminal.restore();
  });

  it('reads everything before it returns', async () => {
    const input = new PassThrough();
    const { terminal, log } = terminalOn(input, new PassThrough());
    const done = terminal.readAll();
    input.write('one ');
    setImmediate(() => input.end('two'));
    await done;
    expect(log.join('')).toBe('one two');
  });

  it('asks the guest to wait while the reader is slow, and loses nothing', async () => {
    const output = new SlowOutput();
    const { terminal, log } = terminalOn(new PassThrough(), output);
    const words = ['first', 'second', 'third'];
    for (const word of words) terminal.write(Buffer.from(word));
    expect(log).toEqual(['<wait>']);
    let drained = false;
    const done = terminal.drain().then(() => (drained = true));
    for (const _ of words) {
      expect(drained).toBe(false);
      output.accept();
      await new Promise(setImmediate);
    }
    await done;
    expect(output.chunks).toEqual(words);
    expect(log).toEqual(['<wait>', '<go>']);
  });

  it('reports a reader that has gone away once, and drains at once', async () => {
    const output = new Writable({
      highWaterMark: 1,
      write: (_chunk, _encoding, done) => done(new Error('EPIPE')),
    });
    const { terminal, log } = terminalOn(new PassThrough(), output);
    terminal.write(Buffer.from('x'));
    await terminal.drain();
    terminal.write(Buffer.from('y'));
    await terminal.drain();
    expect(log.filter((entry) => entry.startsWith('<closed'))).toEqual(['<closed EPIPE>']);
    expect(log.at(-1)).toBe('<go>');
  });

  it('leaves a pipe’s bytes where they are while the guest has enough to read', async () => {
    const input = new PassThrough();
    let waiting = 0;
    const { terminal, log } = terminalOn(input, new PassThrough(), {
      onInput: (bytes) => {
        waiting += bytes.length;
        log.push(text(bytes));
      },
      backlog: () => waiting,
    });
    terminal.start();
    input.write('a'.repeat(100_000));
    await new Promise(setImmediate);
    input.write('b');
    await new Promise(setImmediate);
    expect(log.join('')).not.toContain('b');
    const resumed = new Promise((resolve) => input.once('resume', resolve));
    waiting = 0;
    await resumed;
    await new Promise(setImmediate);
    expect(log.join('')).toBe(`${'a'.repeat(100_000)}b`);
    terminal.restore();
  });

  it('puts a terminal into raw mode, obeys its keys, and gives it back', async () => {
    const modes: boolean[] = [];
    const keys = new PassThrough();
    const input: TerminalInput = Object.assign(keys, {
      isTTY: true,
      setRawMode: (raw: boolean) => modes.push(raw),
    });
    const { terminal, log } = terminalOn(input, new PassThrough());
    terminal.start();
    keys.write('l\x01x');
    await new Promise(setImmediate);
    expect(log).toEqual(['l', '<quit>']);
    terminal.continue();
    terminal.restore();
    terminal.restore();
    terminal.continue();
    expect(modes).toEqual([true, false, true, false]);
  });
});
