/** Numbers as a monitor's user writes them: `$rip+8`, `start_kernel`, `(0x1000 | 3) * 2`. */
import { NodevmError } from '../errors.js';

/** Where names come from. */
export interface Names {
  /** The value of `$name`; undefined where there is no such register. */
  register(name: string): bigint | undefined;
  /** The address of a symbol; undefined where there is none. */
  symbol(name: string): bigint | undefined;
}

type Operation = (left: bigint, right: bigint) => bigint;

/** By how tightly they bind, the loosest first. */
const OPERATORS: readonly Readonly<Record<string, Operation>>[] = [
  { '|': (a, b) => a | b },
  { '^': (a, b) => a ^ b },
  { '&': (a, b) => a & b },
  { '<<': (a, b) => a << (b & 63n), '>>': (a, b) => a >> (b & 63n) },
  { '+': (a, b) => a + b, '-': (a, b) => a - b },
  { '*': (a, b) => a * b, '/': divide, '%': (a, b) => a - divide(a, b) * b },
];

const TOKEN = /\s*(0x[0-9a-f]+|\d+|\$[a-z]\w*|[a-z_.][\w.]*|<<|>>|[-+*/%&|^~()])/iy;

/** How deep parentheses and signs may nest: the text is somebody's input. */
const DEEPEST = 100;

/**
 * The value of an expression, 64 bits unsigned.
 * @throws NodevmError `E_USAGE` for what is none, and for names that are not known
 */
export function evaluate(text: string, names: Names): bigint {
  const parser = new Parser(text, names);
  return BigInt.asUintN(64, parser.whole());
}

class Parser {
  private readonly tokens: string[];
  private at = 0;
  private depth = 0;

  constructor(
    private readonly text: string,
    private readonly names: Names,
  ) {
    this.tokens = tokensOf(text) ?? this.fail('an expression');
  }

  whole(): bigint {
    const value = this.binary(0);
    return this.at === this.tokens.length ? value : this.fail('an operator');
  }

  private binary(level: number): bigint {
    const operators = OPERATORS[level];
    if (operators === undefined) return this.unary();
    let value = this.binary(level + 1);
    for (;;) {
      const operation = operators[this.tokens[this.at] ?? ''];
      if (operation === undefined) return value;
      this.at++;
      value = BigInt.asUintN(64, operation(value, this.binary(level + 1)));
    }
  }

  private unary(): bigint {
    if (++this.depth > DEEPEST) this.fail('fewer parentheses');
    const token = this.tokens[this.at++];
    const value = BigInt.asUintN(64, this.operand(token));
    this.depth--;
    return value;
  }

  private operand(token: string | undefined): bigint {
    if (token === '-') return -this.unary();
    if (token === '+') return this.unary();
    if (token === '~') return ~this.unary();
    if (token === '(') {
      const value = this.binary(0);
      return this.tokens[this.at++] === ')' ? value : this.fail('a closing parenthesis');
    }
    if (token === undefined) return this.fail('a number, $register or symbol');
    if (/^\d/.test(token)) return BigInt(token);
    if (token.startsWith('$')) {
      return this.names.register(token.slice(1).toLowerCase()) ?? this.fail(`no ${token}`);
    }
    return this.names.symbol(token) ?? this.fail(`a known symbol, not ${token}`);
  }

  private fail(expected: string): never {
    throw new NodevmError('E_USAGE', `${JSON.stringify(this.text)}: expected ${expected}`);
  }
}

function tokensOf(text: string): string[] | undefined {
  const tokens: string[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const found = TOKEN.exec(text)?.[1];
    if (found === undefined) return undefined;
    tokens.push(found);
  }
  return tokens;
}

function divide(left: bigint, right: bigint): bigint {
  if (right === 0n) throw new NodevmError('E_USAGE', 'division by zero, expected another divisor');
  return left / right;
}
