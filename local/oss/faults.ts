import { z } from 'zod';
import type { Operation } from './operations.ts';

/** Failures that tests ask for. The first rule that matches a request decides. */
export const Fault = z.strictObject({
  bucket: z.string().optional(),
  /** Of the key, or of the prefix that a listing asks for. */
  prefix: z.string().optional(),
  /** Ending of the key. */
  suffix: z.string().optional(),
  operations: z.array(z.string()).optional(),
  accessKeyId: z.string().optional(),
  /** Lets this many matching requests through first. Default 0. */
  skip: z.int().nonnegative().default(0),
  /** Strikes this often. Default: always. */
  times: z.int().positive().optional(),
  /** Waits before anything else happens. */
  delayMs: z.number().nonnegative().default(0),
  /** Refuses with this; without `code` the body is not XML. */
  status: z.int().min(200).max(599).optional(),
  code: z.string().optional(),
  message: z.string().optional(),
  ec: z.string().optional(),
  headers: z.record(z.string(), z.string()).default({}),
  /** Cuts the connection: before anything is done, after it was done, or after this many bytes of the answer's body. */
  cut: z.union([z.enum(['before', 'after']), z.int().nonnegative()]).optional(),
  /** Never answers. */
  hang: z.boolean().default(false),
  slowBodyBytesPerSecond: z.number().positive().optional(),
});
export type Fault = z.infer<typeof Fault>;
export type FaultInput = z.input<typeof Fault>;

export interface Strike {
  operation: Operation;
  bucket: string;
  /** Key, or the prefix of a listing. */
  key: string;
  accessKeyId: string;
}

export function openFaults() {
  let rules: { fault: Fault; seen: number }[] = [];
  return {
    set(faults: FaultInput[]): void {
      rules = faults.map((fault) => ({ fault: Fault.parse(fault), seen: 0 }));
    },
    /** How often each rule matched, in the rules' order; skipped hits count too. */
    hits: (): number[] => rules.map((rule) => rule.seen),
    strike(request: Strike): Fault | undefined {
      for (const rule of rules) {
        const { fault } = rule;
        if (!matches(fault, request)) continue;
        rule.seen++;
        const turn = rule.seen - fault.skip;
        if (turn >= 1 && turn <= (fault.times ?? Number.POSITIVE_INFINITY)) return fault;
      }
      return undefined;
    },
  };
}

function matches(fault: Fault, request: Strike): boolean {
  return (
    (fault.bucket === undefined || fault.bucket === request.bucket) &&
    (fault.prefix === undefined || request.key.startsWith(fault.prefix)) &&
    (fault.suffix === undefined || request.key.endsWith(fault.suffix)) &&
    (fault.operations === undefined || fault.operations.includes(request.operation)) &&
    (fault.accessKeyId === undefined || fault.accessKeyId === request.accessKeyId)
  );
}
