// Stops a kernel at start_kernel, wherever KASLR put it, looks at it, and lets it go.
import { defaultImages, Machine } from 'nodevm';

const machine = await Machine.create(await defaultImages());
const guest = machine.debugger;
guest.interrupt(); // before its first instruction
const running = machine.run();

const address = machine.symbols.address('start_kernel');
const remove = guest.add({ kind: 'linear', address });
console.log(await guest.continue());
console.log('stack', guest.getRegister('rsp').toString(16), 'code', guest.read(guest.pc, 8));
for (let n = 0; n < 3; n++) await guest.step();
console.log('now at', machine.symbols.format(guest.pc));

remove();
guest.resume();
await machine.console.expect('Linux version');
machine.stop();
console.log((await running).reason);
