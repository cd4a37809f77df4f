/** Helpers for test runners: talk to a shell on a machine's console. */
export { GuestShell, type ShellOptions, type ShellResult } from './shell.js';
export { guestFromEnvironment } from './environment.js';
