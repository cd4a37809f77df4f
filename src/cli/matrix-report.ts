/** What `nodevm test` prints: TAP as it goes, JUnit XML at the end. */

/** One command of one guest. */
export interface MatrixResult {
  readonly kernel: string;
  readonly initrd: string;
  readonly command: string;
  readonly seconds: number;
  /** Why it failed, undefined when it passed. */
  readonly failure: string | undefined;
  /** What the command printed. */
  readonly stdout: string;
  readonly stderr: string;
}

/** The first lines of a TAP 13 stream of `count` tests (testanything.org, "TAP 13 specification"). */
export function tapHeader(count: number): string {
  return `TAP version 13\n1..${count}\n`;
}

/** One result; a failure has its reason as a YAML block. */
export function tapLine(number: number, result: MatrixResult): string {
  const { kernel, initrd, command, failure } = result;
  // "#" would begin a directive, and a test is one line.
  const description = `${kernel} ${initrd} ${command}`.replaceAll('#', '\\#').replace(/\s+/g, ' ');
  if (failure === undefined) return `ok ${number} - ${description}\n`;
  const lines = failure.split('\n').map((line) => `    ${line}\n`);
  return `not ok ${number} - ${description}\n  ---\n  message: |\n${lines.join('')}  ...\n`;
}

/** A JUnit report: a suite for each guest, a case for each command. */
export function junitXml(results: readonly MatrixResult[]): string {
  const suites = new Map<string, MatrixResult[]>();
  for (const result of results) {
    const name = `${result.kernel} ${result.initrd}`;
    suites.set(name, [...(suites.get(name) ?? []), result]);
  }
  const body = [...suites].map(([name, cases]) => suiteXml(name, cases)).join('');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${counts(results)}>\n${body}</testsuites>\n`;
}

function suiteXml(name: string, cases: readonly MatrixResult[]): string {
  const body = cases.map((result) => caseXml(name, result)).join('');
  return `  <testsuite name="${escaped(name)}" ${counts(cases)}>\n${body}  </testsuite>\n`;
}

function caseXml(
  suite: string,
  { command, seconds, failure, stdout, stderr }: MatrixResult,
): string {
  const head = `    <testcase classname="${escaped(suite)}" name="${escaped(command)}" time="${seconds.toFixed(3)}">`;
  const [message = ''] = failure?.split('\n') ?? [];
  const failed =
    failure === undefined
      ? ''
      : `\n      <failure message="${escaped(message)}">${escaped(failure)}</failure>`;
  const out = `\n      <system-out>${escaped(stdout)}</system-out>`;
  const err = `\n      <system-err>${escaped(stderr)}</system-err>`;
  return `${head}${failed}${out}${err}\n    </testcase>\n`;
}

function counts(results: readonly MatrixResult[]): string {
  const failures = results.filter(({ failure }) => failure !== undefined).length;
  const seconds = results.reduce((sum, result) => sum + result.seconds, 0);
  return `tests="${results.length}" failures="${failures}" time="${seconds.toFixed(3)}"`;
}

/** XML 1.0, "Characters": most control characters cannot be in a document at all. */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
