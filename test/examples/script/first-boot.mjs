import { bootLinux, defaultImages } from 'nodevm';

const { kernel, initrd } = await defaultImages(); // or paths of your own
const vm = await bootLinux({ kernel, initrd, clock: 'icount', timeout: 300_000 });

const { stdout, stderr, status } = await vm.sh('uname -s; ls /no/such/file');
console.log({ stdout, stderr, status });

await vm.push(new TextEncoder().encode('from the host\n'), '/tmp/note');
await vm.sh('tr a-z A-Z </tmp/note >/tmp/answer');
console.log(new TextDecoder().decode(await vm.pull('/tmp/answer')));

vm.console.send('poweroff -f\n');
await vm.console.expect(/Power down/);
console.log((await vm.exit).reason);
