import { writeWhole } from '../debug/profile-file.js';
import { startBootProfile, startCpuProfile, type Profile } from '../debug/profile.js';
import type { Machine } from '../machine.js';
import type { OptionRow } from './options.js';
import { say } from './report.js';

/** Files for profiles; undefined for none. */
export interface ProfileCliOptions {
  boot: string | undefined;
  cpu: string | undefined;
}

/** The options of profiles. */
export const profileRows: readonly OptionRow[] = [
  {
    name: 'boot-profile',
    argument: 'file',
    help: 'write phases, initcalls, interrupts and device activity for Perfetto or chrome://tracing; a summary on stderr',
    apply: ({ profile }, value) => (profile.boot = value),
  },
  {
    name: 'cpu-profile',
    argument: 'file',
    help: "write a sampled profile of the guest's functions (.cpuprofile, for Chrome DevTools or speedscope); a summary on stderr",
    apply: ({ profile }, value) => (profile.cpu = value),
  },
];

/**
 * Begins the profiles that the options ask for.
 * @returns ends them: writes the files and says on stderr what was found
 */
export function profilesOf(
  machine: Machine,
  { boot, cpu }: ProfileCliOptions,
): () => Promise<void> {
  const running: [option: string, file: string, profile: Profile][] = [];
  if (boot !== undefined) running.push(['boot-profile', boot, startBootProfile(machine)]);
  if (cpu !== undefined) running.push(['cpu-profile', cpu, startCpuProfile(machine)]);
  return async () => {
    for (const [option, path, profile] of running) {
      const { file, summary } = profile.finish();
      await writeWhole(option, path, file);
      await say(summary.join('\n'));
    }
  };
}
