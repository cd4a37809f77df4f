import { RecordKind, type RecordLayout } from '../native.js';

/** How code was decoded: real mode, virtual-8086 mode, or by the code segment's size. */
export type ExecutionMode = 'real' | 'v86' | '16' | '32' | '64';

/** What all events tell. */
interface EventBase {
  /** Instructions retired by then, with the event's own where it is complete. */
  readonly instructions: number;
  /** Linear address of the instruction; of the next one for interrupts, of the data for accesses. */
  readonly address: bigint;
  readonly cpl: number;
  readonly mode: ExecutionMode;
}

/** Where an interrupt came from. */
export type InterruptSource = 'apic' | 'pic' | 'nmi';

/** What the processor's flight recorder and traces tell, decoded. */
export type CpuEvent = EventBase &
  (
    | { readonly kind: 'reset' }
    | {
        /** `nested-fault`: while the event before it was delivered. */
        readonly kind: 'exception' | 'nested-fault';
        readonly vector: number;
        readonly errorCode: number | undefined;
        /** Of page faults. */
        readonly cr2: bigint | undefined;
      }
    | { readonly kind: 'interrupt'; readonly vector: number; readonly source: InterruptSource }
    /** The processor stopped: event `vector` could not be delivered. */
    | { readonly kind: 'triple-fault'; readonly vector: number }
    | {
        readonly kind: 'software-interrupt' | 'iret' | 'far-jump' | 'far-call' | 'far-return';
        /** Of software interrupts, else 0. */
        readonly vector: number;
        readonly target: bigint;
        readonly selector: number;
        readonly targetCpl: number;
        readonly targetMode: ExecutionMode;
      }
    | {
        readonly kind: 'control-register';
        /** 0, 3 or 4. */
        readonly register: number;
        readonly value: bigint;
        /** Low 32 bits. */
        readonly oldLow: number;
      }
    | {
        /** `msr-refused`: #GP, since it does not exist or does not take the value. */
        readonly kind: 'msr-read' | 'msr-write' | 'msr-refused';
        readonly index: number;
        readonly value: bigint;
        /** Whether it was WRMSR. */
        readonly write: boolean;
      }
    | {
        /** `block`: runs; `decode`: was decoded. */
        readonly kind: 'block' | 'decode';
        readonly gpa: bigint;
        readonly bytes: number;
        /** Instructions in it. */
        readonly count: number;
      }
    | {
        readonly kind: 'load' | 'store';
        readonly size: number;
        /** The first eight bytes. */
        readonly value: bigint;
        readonly gpa: bigint;
      }
    | { readonly kind: 'tlb-fill'; readonly gpa: bigint; readonly write: boolean }
    /** Of one page where `address` is not 0. */
    | { readonly kind: 'tlb-flush'; readonly global: boolean }
  );

/** The names of {@link CpuEvent.kind}. */
export type CpuEventKind = CpuEvent['kind'];

const MODES: readonly ExecutionMode[] = ['real', 'v86', '16', '32', '64'];
const SOURCES: readonly InterruptSource[] = ['apic', 'pic', 'nmi'];
const LITTLE_ENDIAN = true;
const HAS_ERROR_CODE = 0x80;
const PAGE_FAULT = 14;

const modeOf = (flags: number): ExecutionMode => MODES[(flags >> 2) & 7] ?? '64';

/** Decodes the record at byte `offset`. */
export function readEvent(view: DataView, offset: number, layout: RecordLayout): CpuEvent {
  const flags = view.getUint8(offset + layout.flags);
  const kind = view.getUint8(offset + layout.kind) as unknown as RecordKind;
  const value = view.getBigUint64(offset + layout.value, LITTLE_ENDIAN);
  const info = view.getUint32(offset + layout.info, LITTLE_ENDIAN);
  const vector = view.getUint8(offset + layout.vector);
  const detail = view.getUint8(offset + layout.detail);
  const base: EventBase = {
    instructions: Number(view.getBigUint64(offset + layout.instructions, LITTLE_ENDIAN)),
    address: view.getBigUint64(offset + layout.linear, LITTLE_ENDIAN),
    cpl: flags & 3,
    mode: modeOf(flags),
  };
  const fault = () => ({
    vector,
    errorCode: (flags & HAS_ERROR_CODE) !== 0 ? info : undefined,
    cr2: vector === PAGE_FAULT ? value : undefined,
  });
  const transfer = () => ({
    vector,
    target: value,
    selector: info,
    targetCpl: detail & 3,
    targetMode: modeOf(detail),
  });
  const msr = (write: boolean) => ({ index: info, value, write });
  const block = () => ({ gpa: value, bytes: info, count: detail });
  const access = () => ({
    size: detail,
    value,
    gpa: (BigInt(info) << 12n) | (base.address & 0xfffn),
  });
  switch (kind) {
    case RecordKind.Reset:
      return { ...base, kind: 'reset' };
    case RecordKind.Exception:
      return { ...base, kind: 'exception', ...fault() };
    case RecordKind.NestedFault:
      return { ...base, kind: 'nested-fault', ...fault() };
    case RecordKind.Interrupt:
      return { ...base, kind: 'interrupt', vector, source: SOURCES[detail] ?? 'apic' };
    case RecordKind.Shutdown:
      return { ...base, kind: 'triple-fault', vector };
    case RecordKind.SoftwareInterrupt:
      return { ...base, kind: 'software-interrupt', ...transfer() };
    case RecordKind.InterruptReturn:
      return { ...base, kind: 'iret', ...transfer() };
    case RecordKind.FarJump:
      return { ...base, kind: 'far-jump', ...transfer() };
    case RecordKind.FarCall:
      return { ...base, kind: 'far-call', ...transfer() };
    case RecordKind.FarReturn:
      return { ...base, kind: 'far-return', ...transfer() };
    case RecordKind.ControlRegister:
      return { ...base, kind: 'control-register', register: vector, value, oldLow: info };
    case RecordKind.MsrWrite:
      return { ...base, kind: 'msr-write', ...msr(true) };
    case RecordKind.MsrRefused:
      return { ...base, kind: 'msr-refused', ...msr(detail !== 0) };
    case RecordKind.MsrRead:
      return { ...base, kind: 'msr-read', ...msr(false) };
    case RecordKind.Block:
      return { ...base, kind: 'block', ...block() };
    case RecordKind.Decode:
      return { ...base, kind: 'decode', ...block() };
    case RecordKind.Load:
      return { ...base, kind: 'load', ...access() };
    case RecordKind.Store:
      return { ...base, kind: 'store', ...access() };
    case RecordKind.TlbFill:
      return { ...base, kind: 'tlb-fill', gpa: value, write: detail !== 0 };
    case RecordKind.TlbFlush:
      return { ...base, kind: 'tlb-flush', global: detail !== 0 };
  }
}
