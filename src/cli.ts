#!/usr/bin/env node
import process from 'node:process';

import { runAttached } from './cli/attach.js';
import { withEnvironment } from './cli/environment.js';
import { runInitramfsCommand } from './cli/initramfs.js';
import { runInspectCommand } from './cli/inspect.js';
import { parseCommandLine } from './cli/options.js';
import { reportError } from './cli/report.js';
import { runCommand, splitCommand } from './cli/run-command.js';
import { runGuest } from './cli/run.js';
import { runTestMatrix } from './cli/test-matrix.js';
import { VERSION } from './version.js';

async function main(argv: readonly string[]): Promise<number> {
  // Known once the command line is parsed.
  let json = false;
  // A defect of our own, thrown where nobody waits; the 'exit' event gives the terminal back.
  process.on('uncaughtException', (error) => {
    void reportError(error, json).then((status) => process.exit(status));
  });
  try {
    if (argv[0] === 'inspect') return await runInspectCommand(argv.slice(1));
    if (argv[0] === 'dmesg' || argv[0] === 'dump') return await runAttached(argv[0], argv.slice(1));
    if (argv[0] === 'initramfs') return await runInitramfsCommand(argv.slice(1));
    if (argv[0] === 'test') return await runTestMatrix(argv.slice(1));
    const [words, command] = argv[0] === 'run' ? splitCommand(argv.slice(1)) : [argv];
    const request = parseCommandLine(words, VERSION);
    if (request.kind === 'print') return await print(request.text);
    json = request.options.json;
    const options = withEnvironment(request.options, process.env);
    return await (command === undefined ? runGuest(options) : runCommand(options, command));
  } catch (error) {
    return reportError(error, json);
  }
}

function print(text: string): Promise<number> {
  return new Promise((resolve) => {
    process.stdout.on('error', () => resolve(0));
    process.stdout.write(text, () => resolve(0));
  });
}

// Our words to a reader that has gone away are lost, and nothing else with them.
process.stderr.on('error', () => undefined);

// exit() rather than an exit code alone: an open pipe on stdin must not hold up the end.
process.exit(await main(process.argv.slice(2)));
