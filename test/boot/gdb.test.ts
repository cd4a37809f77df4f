/** A kernel under Debian's gdb, from the processor's first instruction to a program. */
import { describe, expect, it } from 'vitest';

import { BOOT_TIMEOUT_MS, createGuest, shellOf } from '../support/boot.js';
import { gdb, hasGdb, serveGdb } from '../support/gdb.js';

/** Sets a variable of gdb's to the address that the monitor knows for a symbol. */
const symbol = (variable: string, name: string): string =>
  `python gdb.execute("set ${variable}=" + gdb.execute("monitor symbol ${name}", to_string=True).split()[0])`;

/** What follows is in gdb's own Python: an interrupt once the guest runs. */
const interruptSoon =
  'python import threading; threading.Timer(0.5, lambda: gdb.post_event(lambda: gdb.execute("interrupt"))).start()';

describe.skipIf(!hasGdb)('gdb', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('goes from the reset vector through the setup code in real mode into start_kernel', async () => {
    await using machine = await createGuest({ bootProtocol: '16', cmdline: 'nokaslr' });
    machine.debugger.interrupt();
    const { server, port } = await serveGdb(machine);
    const running = machine.run();
    const output = await gdb(port, [
      'printf "reset %lx cs %x base %lx\\n", $pc, $cs, $cs_base',
      'stepi',
      'printf "rom %lx\\n", $pc',
      // The kernel's setup code is at 0x90000 and entered at its second sector.
      'hbreak *0x90200',
      'continue',
      'printf "setup %lx bytes %x\\n", $pc, *(unsigned char*)$pc',
      'stepi',
      'printf "next %lx\\n", $pc',
      'monitor x/1i $pc',
      'delete',
      // Where a kernel without KASLR is unpacked to and entered, in long mode.
      'hbreak *0x1000000',
      'continue',
      symbol('$sk', 'start_kernel'),
      'hbreak *$sk',
      'continue',
      'printf "start_kernel %d\\n", $pc == $sk',
      'kill',
    ]);
    expect(output).toContain('reset ffff0 cs f000 base f0000');
    expect(output).toMatch(/rom f[0-9a-f]{4}\n/);
    expect(output).toMatch(/Breakpoint 1, 0x0*90200 in/);
    expect(output).toContain('setup 90200 bytes eb');
    expect(output).toMatch(/next 9\w{4}\n/);
    expect(output).toMatch(/0x0009\w{4}: .* mov ax,ds/);
    expect(output).toContain('start_kernel 1\n');
    expect((await running).reason).toBe('stopped');
    server.close(0);
  });

  it('finds start_kernel whatever KASLR did, watches a variable, and survives Ctrl-C', async () => {
    await using machine = await createGuest({ clock: 'host' });
    machine.debugger.interrupt();
    const { server, port } = await serveGdb(machine);
    const running = machine.run();
    const output = await gdb(port, [
      symbol('$sk', 'start_kernel'),
      symbol('$jiffies', 'jiffies_64'),
      'hbreak *$sk',
      'continue',
      'printf "at start_kernel %d\\n", $pc == $sk',
      'monitor kaslr',
      'p $cr0',
      'break *($sk + 5)',
      'continue',
      'delete',
      'watch *(unsigned long*)$jiffies',
      'continue',
      'continue',
      'delete',
      interruptSoon,
      'continue',
      'printf "stopped %d\\n", $pc != 0',
      'detach',
    ]);
    expect(output).toContain('at start_kernel 1\n');
    expect(output).toMatch(/kernel at 0xffffffff[0-9a-f]{8}, offset 0x/);
    expect(output).toMatch(/\[ PE .*PG \]/);
    expect(output).toMatch(/Breakpoint 2,/);
    expect(output.match(/Old value = \d+\nNew value = \d+/g)).toHaveLength(2);
    expect(output).toContain('Program received signal SIGINT');
    expect(output).toContain('stopped 1\n');
    await shellOf(machine);

    const again = await gdb(port, ['printf "ring %d\\n", $cs & 3', 'x/2i $pc', 'kill']);
    expect(again).toMatch(/ring [03]\n=> 0x/);
    expect((await running).reason).toBe('stopped');
    server.close(0);
  });

  it('stops in user space, changes a register, and leaves the guest as it was', async () => {
    await using machine = await createGuest();
    const running = machine.run();
    const shell = await shellOf(machine);
    const { server, port } = await serveGdb(machine);
    // A system call of a program: RCX is where it returns to.
    const session = gdb(port, [
      symbol('$entry', 'entry_SYSCALL_64'),
      'hbreak *$entry',
      'continue',
      'set $user = $rcx',
      'delete',
      'hbreak *$user',
      'continue',
      'printf "user %d ring %d\\n", $pc == $user, $cs & 3',
      'set $r11 = $r11 + 1',
      'set $r11 = $r11 - 1',
      'p $xmm0.uint128',
      'p $st0',
      'detach',
    ]);
    const ended = new AbortController();
    const output = session.finally(() => ended.abort());
    while (!ended.signal.aborted) expect((await shell.sh('echo $((40 + 2))')).output).toBe('42\n');
    expect(await output).toContain('user 1 ring 3');
    machine.stop();
    await running;
    server.close(0);
  });
});

describe('the debugger', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('changes nothing under icount: steps on the way come to the same instruction count', async () => {
    const boot = async (steps: number) => {
      await using machine = await createGuest();
      const guest = machine.debugger;
      const at = (name: string) => ({
        kind: 'linear' as const,
        address: machine.symbols.address(name) ?? 0n,
      });
      guest.interrupt();
      const running = machine.run();
      if (steps > 0) {
        const remove = guest.add(at('start_kernel'));
        expect(await guest.continue()).toEqual({ ...at('start_kernel'), kind: 'breakpoint' });
        for (let n = 0; n < steps; n++) expect((await guest.step()).kind).toBe('step');
        remove();
      }
      guest.add(at('rest_init'));
      expect(await guest.continue()).toEqual({ ...at('rest_init'), kind: 'breakpoint' });
      machine.stop();
      await running;
      return machine.cpu.instructions;
    };
    expect(await boot(100)).toBe(await boot(0));
  });

  it('shows a triple fault to whoever is attached before the run ends with it', async () => {
    await using machine = await createGuest({ bootProtocol: '64' });
    const guest = machine.debugger;
    const leave = guest.attach();
    guest.interrupt();
    const running = machine.run();
    guest.setRegister('rip', 0x1234_5678_9000n);
    expect(await guest.continue()).toEqual({ kind: 'triple-fault' });
    expect(guest.getRegister('cr2')).toBe(0x1234_5678_9000n);
    guest.resume();
    expect((await running).reason).toBe('triple-fault');
    leave();
  });
});
