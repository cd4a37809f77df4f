import { describe, expect, it } from 'vitest';

import { Debugger } from '../../../src/debug/debugger.js';
import { gdbPacket, GdbReader } from '../../../src/debug/gdb-packets.js';
import { GdbSession } from '../../../src/debug/gdb-session.js';
import { GuestView } from '../../../src/debug/guest-view.js';
import { ExitReason } from '../../../src/native.js';
import { Bench, CODE, DATA } from '../../support/bench.js';

/** A client of a session, on a processor that runs whenever it is let go. */
class Client {
  readonly bench: Bench;
  readonly target: Debugger;
  closed = false;
  killed = false;
  private readonly session: GdbSession;
  private readonly reader = new GdbReader();
  private readonly replies: string[] = [];

  constructor(code: readonly number[]) {
    this.bench = new Bench({}, code);
    const { native, memory } = this.bench;
    const view = new GuestView(native, memory);
    this.target = new Debugger({ native, view, wake: () => setImmediate(() => this.run()) });
    this.session = new GdbSession({
      debugger: this.target,
      send: (bytes) => this.take(bytes),
      close: () => (this.closed = true),
      onKill: () => (this.killed = true),
      monitor: (command) => `${command}!\n`,
    });
  }

  /** Sends bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.session.receive(bytes);
  }

  disconnect(): void {
    this.session.disconnected();
  }

  /** Sends packets and gives what came back, until the last has an answer. */
  async ask(...packets: (string | Uint8Array)[]): Promise<string> {
    for (const packet of packets) {
      this.replies.length = 0;
      this.session.receive(gdbPacket(packet));
      while (this.replies.every((reply) => reply.startsWith('O') && reply !== 'OK')) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    return this.replies.join(' ');
  }

  private take(bytes: Uint8Array): void {
    for (const input of this.reader.feed(bytes)) {
      if (input.kind === 'packet') this.replies.push(input.body.toString('latin1'));
    }
  }

  private run(): void {
    while (!this.target.holds && this.bench.run() === ExitReason.Debug) {
      const { debugCause, debugAddress } = this.bench.cpu;
      this.target.arrived(debugCause, debugAddress);
    }
  }
}

// inc qword [rdi]; dec ecx; jnz -7; hlt
const LOOP = [0x48, 0xff, 0x07, 0xff, 0xc9, 0x75, 0xf9, 0xf4];
const hex = (value: number): string => value.toString(16);

describe('a gdb session', () => {
  it('stops the guest, and says what it can', async () => {
    const client = new Client(LOOP);
    expect(client.target.stopped).toEqual({ kind: 'interrupt' });
    expect(await client.ask('qSupported:swbreak+;hwbreak+')).toContain('qXfer:features:read+');
    expect(await client.ask('?')).toBe('T05thread:1;');
    expect(await client.ask('vCont?')).toBe('vCont;c;C;s;S;t;r');
    expect(await client.ask('qfThreadInfo')).toBe('m1');
    expect(await client.ask('vMustReplyEmpty')).toBe('');
  });

  it('reads and writes registers by number, and all at once', async () => {
    const client = new Client(LOOP);
    expect(await client.ask('p10')).toBe('0000100000000000'); // rip
    expect(await client.ask('P2=2a00000000000000', 'p2')).toBe('2a00000000000000'); // rcx
    expect(client.bench.native.getRegister('rcx')).toBe(42n);
    const all = await client.ask('g');
    expect(await client.ask(`G${all}`, 'g')).toBe(all);
    for (const bad of ['p', 'pfff', 'P2=2a', 'P2', 'Pfff=00', 'G0', 'Gxx']) {
      expect(await client.ask(bad)).toBe('E16');
    }
  });

  it('describes as many bytes of registers as it sends', async () => {
    const client = new Client(LOOP);
    let text = '';
    for (let part = 'm'; part.startsWith('m'); text += part.slice(1)) {
      part = await client.ask(`qXfer:features:read:target.xml:${hex(text.length)},3e8`);
    }
    const bits = [...text.matchAll(/bitsize="(\d+)"/g)].reduce(
      (sum, [, size]) => sum + Number(size),
      0,
    );
    expect((await client.ask('g')).length).toBe(bits / 4);
  });

  it('reads and writes memory, linear and physical', async () => {
    const client = new Client(LOOP);
    const at = hex(DATA);
    expect(await client.ask(`M${at},2:beef`, `m${at},4`)).toBe('beef0000');
    const binary = Buffer.concat([Buffer.from(`X${at},4:`), Buffer.of(0x7d, 0x23, 0x24, 0x2a)]);
    expect(await client.ask(binary, `m${at},4`)).toBe('7d23242a');
    expect(await client.ask('m7f0000000000,4')).toBe('E0e');
    expect(await client.ask('M7f0000000000,1:00')).toBe('E0e');
    expect(await client.ask('Qqemu.PhyMemMode:1', `m${at},4`)).toBe('7d23242a');
    expect(await client.ask('mffffffffffffffff,4')).toBe('E0e');
  });

  it('stops at breakpoints and watchpoints, and says which', async () => {
    const client = new Client(LOOP);
    await client.ask('qSupported:swbreak+;hwbreak+', 'P2=0300000000000000');
    expect(await client.ask(`Z0,${hex(CODE + 5)},1`, 'c')).toBe('T05swbreak:;thread:1;');
    expect(await client.ask(`z0,${hex(CODE + 5)},1`, `Z1,${hex(CODE)},1`, 'vCont;c:1')).toBe(
      'T05hwbreak:;thread:1;',
    );
    expect(await client.ask(`z1,${hex(CODE)},1`, `Z2,${hex(DATA)},8`, 'c')).toBe(
      `T05watch:${hex(DATA)};thread:1;`,
    );
    expect(await client.ask('p10')).toBe('0300100000000000');
    expect(await client.ask('Z9,0,1')).toBe('');
    expect(await client.ask(`Z2,${hex(DATA)},0`)).toBe('E16');
  });

  it('steps, and steps through a range', async () => {
    const client = new Client(LOOP);
    await client.ask('P2=0300000000000000');
    expect(await client.ask('s', 'p10')).toBe('0300100000000000');
    expect(await client.ask(`vCont;r${hex(CODE)},${hex(CODE + 7)}:1`, 'p10')).toBe(
      '0700100000000000',
    );
    expect(client.bench.memory.readU8(DATA)).toBe(3);
  });

  it('passes monitor commands on', async () => {
    const output = Buffer.from('hello!\n').toString('hex');
    expect(await new Client(LOOP).ask(`qRcmd,${Buffer.from('hello').toString('hex')}`)).toBe(
      `O${output} OK`,
    );
  });

  it('takes its breakpoints with it when it leaves, and lets the guest go', async () => {
    const client = new Client(LOOP);
    await client.ask(`Z0,${hex(CODE)},1`);
    expect(await client.ask('D')).toBe('OK');
    expect([client.closed, client.target.stopped, client.target.list()]).toEqual([
      true,
      undefined,
      [],
    ]);
  });

  it('survives whatever a client sends', async () => {
    const client = new Client(LOOP);
    let seed = 1;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    const letters = '?gGpPmMXZzHTqQvCS0123456789abcdef,;:=-$#}* \x03';
    for (let n = 0; n < 3000; n++) {
      const text = Array.from({ length: random(40) }, () => letters[random(letters.length)]).join(
        '',
      );
      client.raw(random(4) === 0 ? Buffer.from(text, 'latin1') : gdbPacket(text));
    }
    client.target.interrupt();
    expect(await client.ask('qC')).toContain('QC1');
    client.disconnect();
    expect(client.target.list()).toEqual([]);
  });
});
