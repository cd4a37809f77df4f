/* The time registers of the MC146818A ("Time, Calendar, and Alarm Locations"), at their indices. */

const SECONDS = 0x00;
const MINUTES = 0x02;
const HOURS = 0x04;
const DAY_OF_WEEK = 0x06;
const DAY = 0x07;
const MONTH = 0x08;
const YEAR = 0x09;
/** Where PC firmware keeps the century, always in the data mode of the rest. */
const CENTURY = 0x32;

/** Register B, "24/12". */
const B_24_HOURS = 0x02;
/** Register B, "DM": binary when set, else BCD. */
const B_BINARY = 0x04;
/** In 12-hour mode, the hour's PM bit. */
const PM = 0x80;

/** An alarm register with the two highest bits set matches every value. */
export const ALARM_DONT_CARE = 0xc0;

/** The number in a register, by the data mode of register B. */
export function readNumber(value: number, b: number): number {
  return (b & B_BINARY) !== 0 ? value : (value >> 4) * 10 + (value & 0xf);
}

/** The hour, 0 to 23, in an hour register, by the modes of register B. */
export function readHour(value: number, b: number): number {
  if ((b & B_24_HOURS) !== 0) return readNumber(value, b);
  return (readNumber(value & ~PM, b) % 12) + ((value & PM) !== 0 ? 12 : 0);
}

function writeNumber(value: number, b: number): number {
  return (b & B_BINARY) !== 0 ? value : (Math.floor(value / 10) << 4) | (value % 10);
}

function writeHour(hour: number, b: number): number {
  if ((b & B_24_HOURS) !== 0) return writeNumber(hour, b);
  return writeNumber(hour % 12 || 12, b) | (hour >= 12 ? PM : 0);
}

/** Writes `ms` (UTC since the Unix epoch) to the time registers, in the modes of register B. */
export function encodeTime(ram: Uint8Array, b: number, ms: number): void {
  const date = new Date(ms);
  ram[SECONDS] = writeNumber(date.getUTCSeconds(), b);
  ram[MINUTES] = writeNumber(date.getUTCMinutes(), b);
  ram[HOURS] = writeHour(date.getUTCHours(), b);
  ram[DAY_OF_WEEK] = writeNumber(date.getUTCDay() + 1, b);
  ram[DAY] = writeNumber(date.getUTCDate(), b);
  ram[MONTH] = writeNumber(date.getUTCMonth() + 1, b);
  ram[YEAR] = writeNumber(date.getUTCFullYear() % 100, b);
  ram[CENTURY] = writeNumber(Math.floor(date.getUTCFullYear() / 100), b);
}

/**
 * The time in the registers, in milliseconds since the Unix epoch. Values out of range carry over (32
 * January is 1 February); the day of the week follows from the date.
 */
export function decodeTime(ram: Uint8Array, b: number): number {
  const number = (index: number): number => readNumber(ram[index] ?? 0, b);
  const date = new Date(0);
  // Not Date.UTC: it takes years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(number(CENTURY) * 100 + number(YEAR), number(MONTH) - 1, number(DAY));
  date.setUTCHours(readHour(ram[HOURS] ?? 0, b), number(MINUTES), number(SECONDS));
  return date.getTime();
}
