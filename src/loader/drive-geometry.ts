/** Cylinders, heads and sectors of drives, as INT 13h reports them. */
import { NodevmError } from '../errors.js';

/** How a drive is addressed through INT 13h. */
export interface DriveGeometry {
  /** Number of sectors of 512 bytes that can be read by LBA. */
  readonly sectors: number;
  /** At most 1024. */
  readonly cylinders: number;
  /** At most 255. */
  readonly heads: number;
  /** Sectors of a track, at most 63. */
  readonly sectorsPerTrack: number;
  /** Type of a floppy drive, as the CMOS RAM of a PC has it; 0 for a disk. */
  readonly type: number;
}

/** Type codes: 360 KiB, 1.2 MiB, 720 KiB, 1.44 MiB, 2.88 MiB. */
const TYPE = { K360: 1, M1_2: 2, K720: 3, M1_44: 4, M2_88: 5 } as const;

/** Formats of the PC, the smallest first: cylinders, heads, sectors of a track, drive type. */
const FLOPPY_FORMATS: readonly (readonly [number, number, number, number])[] = [
  [40, 1, 8, TYPE.K360],
  [40, 1, 9, TYPE.K360],
  [40, 2, 8, TYPE.K360],
  [40, 2, 9, TYPE.K360],
  [80, 2, 9, TYPE.K720],
  [80, 2, 15, TYPE.M1_2],
  [80, 2, 18, TYPE.M1_44],
  [80, 2, 36, TYPE.M2_88],
];

/** The format that a shorter image is taken for, since it is what tools fill: 1.44 MiB. */
const USUAL_FORMAT = 6;

const MAX_CYLINDERS = 1024;
const DISK_SECTORS_PER_TRACK = 63;
/** Heads of the "LBA assist" translation: the fewest that need no more than 1024 cylinders. */
const DISK_HEADS = [16, 32, 64, 128, 255] as const;

/**
 * The format of a floppy image, by its size. An image that is shorter than its format reads as zeros
 * behind its end.
 * @param sectors of the image
 * @throws NodevmError `E_FILE` where it is larger than any floppy
 */
export function floppyGeometry(sectors: number): DriveGeometry {
  const exact = FLOPPY_FORMATS.find(([c, h, s]) => c * h * s === sectors);
  const larger = FLOPPY_FORMATS.slice(USUAL_FORMAT).find(([c, h, s]) => c * h * s >= sectors);
  const format = exact ?? larger;
  if (format === undefined) {
    throw new NodevmError(
      'E_FILE',
      `fda is ${sectors} sectors of 512 bytes, expected at most the 5760 of a 2.88 MiB floppy; a larger image is a disk: --hda`,
    );
  }
  const [cylinders, heads, sectorsPerTrack, type] = format;
  return { sectors: cylinders * heads * sectorsPerTrack, cylinders, heads, sectorsPerTrack, type };
}

/** The translated geometry of a disk of that many sectors; those beyond it are reached by LBA. */
export function diskGeometry(sectors: number): DriveGeometry {
  const needed = sectors / DISK_SECTORS_PER_TRACK / MAX_CYLINDERS;
  const heads = DISK_HEADS.find((count) => count >= needed) ?? 255;
  const cylinders = Math.ceil(sectors / (heads * DISK_SECTORS_PER_TRACK));
  return {
    sectors,
    cylinders: Math.min(cylinders, MAX_CYLINDERS),
    heads,
    sectorsPerTrack: DISK_SECTORS_PER_TRACK,
    type: 0,
  };
}
