/** Debuggers and the monitor on the command line. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { gdbPacket } from '../../src/debug/gdb-packets.js';
import { crashGuest, DEBUG_EXIT, echoGuest, EXIT_STATUS, file, scratch } from './guests.js';
import { ending, run, runOnPty, start } from './spawn.js';

afterAll(() => rmSync(scratch, { recursive: true }));

const echo = ['-kernel', file('echo', echoGuest()), ...DEBUG_EXIT, '--boot-protocol', '64'];

/** What a process says on stderr, up to the end of a line that has `word`. */
async function said(child: ReturnType<typeof start>, word: string): Promise<string> {
  let text = '';
  for await (const bytes of child.stderr.iterator({ destroyOnReturn: false })) {
    text += String(bytes);
    const line = text.split('\n').find((candidate) => candidate.includes(word));
    if (line !== undefined && text.includes(`${line}\n`)) return line;
  }
  throw new Error(`${word} was not said, but ${text}`);
}

/** Sends text to a socket, and gives all that comes back until it ends. */
async function talk(path: string, text: string): Promise<string> {
  const socket = connect(path);
  let answer = '';
  socket.setEncoding('utf8').on('data', (part: string) => (answer += part));
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

describe('the monitor', () => {
  it('is at a socket, stops at the first instruction, and ends the machine', async () => {
    const path = join(scratch, 'monitor');
    const child = start(...echo, '-S', '--monitor', `unix:${path}`);
    const ended = ending(child);
    await said(child, 'monitor:');
    const commands = [
      'info status',
      'x/2i $pc',
      'p $rip + 2*3',
      'xp/4xb $rip',
      'info registers',
      'info mem',
      'system_reset',
      'cont',
      'stop',
      'info breakpoints',
      'frobnicate',
      'quit',
    ];
    const answer = await talk(path, `${commands.join('\n')}\n`);
    expect(answer).toContain('VM status: paused\n');
    expect(answer).toMatch(/0x[0-9a-f]+: {2}66 ba f8 03 +mov dx,0x3f8/);
    expect(answer).toMatch(/0x[0-9a-f]+06\n/);
    expect(answer).toMatch(/: 0x66 0xba 0xf8 0x03\n/);
    expect(answer).toMatch(/CR0=80000033/);
    expect(answer).toMatch(/0000000000000000-[0-9a-f]{16} [0-9a-f]{16} -rwx\n/);
    expect(answer).toContain("unknown command: 'frobnicate'");
    expect((await ended).status).toBe(0);
  });

  it('is behind Ctrl-A C at a terminal, and gives the keys back', async () => {
    const report = await runOnPty(echo, [
      { wait: 'READY', send: '\x01c' },
      { wait: '(nodevm) ', send: 'info vers' },
      { wait: 'vers', send: '\t' },
      { wait: 'ion', send: '\r' },
      { wait: 'nodevm 0', send: '\x01cback!' },
    ]);
    expect(report).toMatchObject({ status: EXIT_STATUS, restored: true });
    expect(report.output).toContain('back!');
  });
});

describe('gdb', () => {
  it('is served at the address that stderr tells, told how the run ends, and alone', async () => {
    const child = start(...echo, '-S', '-gdb', 'tcp::0');
    const ended = ending(child);
    const port = Number((await said(child, 'gdb:')).split(':').at(-1));
    const client = connect(port);
    let answer = '';
    client.setEncoding('latin1').on('data', (part: string) => (answer += part));
    client.write(gdbPacket('?'));
    await once(client, 'data');
    const second = connect(port);
    await once(second, 'close');
    child.stdin.end('!');
    client.write(gdbPacket('c'));
    await once(client, 'close');
    expect(answer).toContain('T05thread:1;');
    expect(answer).toContain(`$W${EXIT_STATUS.toString(16)}#`);
    expect((await ended).status).toBe(EXIT_STATUS);
  });

  it('lets the guest go on when its client goes away', async () => {
    const child = start('-kernel', file('crash', crashGuest()), '-S', '-gdb', 'tcp::0');
    const ended = ending(child);
    const port = Number((await said(child, 'gdb:')).split(':').at(-1));
    const client = connect(port);
    client.end(gdbPacket('c'));
    expect((await ended).status).toBe(254);
  });

  it.each([
    [['-gdb', 'stdio'], /-gdb|--gdb/],
    [['--monitor', 'tcp:localhost'], /tcp:\[host\]:port or unix:path/],
    [['-gdb', 'unix:/no/such/folder/socket'], /unix:\/no\/such\/folder\/socket/],
  ])('refuses %j', async (words, message) => {
    const { status, stderr } = await run([...echo, ...words]);
    expect(status).toBe(125);
    expect(stderr).toMatch(message);
  });

  it('is not for a command in the guest', async () => {
    const { status, stderr } = await run(['run', '-s', '-initrd', 'x', '--', 'true']);
    expect([status, stderr]).toEqual([125, expect.stringContaining('-s is not for nodevm run')]);
  });
});
