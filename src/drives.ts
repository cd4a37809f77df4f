/** The drives that the ROM serves: their images, and how INT 13h addresses them. */
import { FileImage, MemoryImage, type DiskImage } from './disk-image.js';
import type { DriveMedium } from './devices/firmware-disk.js';
import { NodevmError } from './errors.js';
import { diskGeometry, floppyGeometry, type DriveGeometry } from './loader/drive-geometry.js';
import type { FirmwareDrives } from './loader/rom.js';

/** Numbers of the drives in INT 13h. */
const FLOPPY = 0x00;
const DISK = 0x80;

/** Raw images of the drives, a path or bytes; see MachineConfig. */
export interface DriveImages {
  readonly fda?: Uint8Array | string | undefined;
  readonly hda?: Uint8Array | string | undefined;
}

/** An image in its drive. */
interface Drive {
  readonly image: DiskImage;
  readonly geometry: DriveGeometry;
}

/** The drives of one machine. */
export class Drives {
  /** What the ROM is told; drives without an image are not there. */
  readonly geometry: FirmwareDrives;
  /** What the firmware's disk port reaches, by the drive's number in INT 13h. */
  readonly media: ReadonlyMap<number, DriveMedium>;
  private readonly images: readonly DiskImage[];

  private constructor(floppy: Drive | undefined, disk: Drive | undefined) {
    this.geometry = { floppy: floppy?.geometry, disk: disk?.geometry };
    const media = new Map<number, DriveMedium>();
    if (floppy !== undefined) media.set(FLOPPY, padded(floppy));
    if (disk !== undefined) media.set(DISK, disk.image);
    this.media = media;
    this.images = [floppy, disk].flatMap((drive) => (drive === undefined ? [] : [drive.image]));
  }

  /**
   * Opens the images.
   * @throws NodevmError `E_FILE` for one that cannot be opened, or is too large for its drive
   */
  static open({ fda, hda }: DriveImages): Drives {
    const floppy = fda === undefined ? undefined : openDrive('fda', fda, floppyGeometry);
    try {
      const disk = hda === undefined ? undefined : openDrive('hda', hda, diskGeometry);
      return new Drives(floppy, disk);
    } catch (error) {
      floppy?.image.close();
      throw error;
    }
  }

  /**
   * Refuses drives of which the ROM could start none.
   * @throws NodevmError `E_FILE`; the images are closed then
   */
  checkBootable(): void {
    const isBootable = this.images.some((image) => endsInSignature(image.read(0, 1)));
    if (isBootable) return;
    this.close();
    throw new NodevmError(
      'E_FILE',
      'first sector of fda or hda does not end in 55 aa, expected a boot sector: the drive cannot be started',
    );
  }

  /** Gives the images' files back; may be repeated. */
  close(): void {
    for (const image of this.images) image.close();
  }
}

function endsInSignature(sector: Uint8Array): boolean {
  return sector.at(-2) === 0x55 && sector.at(-1) === 0xaa;
}

function openDrive(
  field: string,
  image: Uint8Array | string,
  geometryOf: (sectors: number) => DriveGeometry,
): Drive {
  const opened = typeof image === 'string' ? new FileImage(field, image) : new MemoryImage(image);
  try {
    return { image: opened, geometry: geometryOf(opened.sectors) };
  } catch (error) {
    opened.close();
    throw error;
  }
}

/** A floppy has all sectors of its format, also where its image is shorter. */
function padded({ image, geometry }: Drive): DriveMedium {
  return {
    sectors: geometry.sectors,
    writable: image.writable,
    read: (sector, count) => image.read(sector, count),
    write: (sector, bytes) => image.write(sector, bytes),
  };
}
