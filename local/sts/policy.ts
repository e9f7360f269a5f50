import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';

/** RAM policies as far as object storage and tokens need them. Source: help page "Policy structure and syntax" (2025). */

const Texts = z.union([z.string(), z.array(z.string())]).transform((v) => (Array.isArray(v) ? v : [v]));
const Operator = z.enum([
  'StringEquals',
  'StringNotEquals',
  'StringEqualsIgnoreCase',
  'StringLike',
  'StringNotLike',
  'IpAddress',
  'NotIpAddress',
  'Bool',
]);
export type Operator = z.infer<typeof Operator>;

const Statement = z.object({
  Effect: z.enum(['Allow', 'Deny']),
  Action: Texts,
  Resource: Texts,
  Condition: z.partialRecord(Operator, z.record(z.string(), Texts)).default({}),
});

/** A whole policy document. An unknown operator of a condition is an error: a rule must not vanish silently. */
export const Policy = z.object({ Version: z.literal('1').default('1'), Statement: z.array(Statement).min(1) });
export type Policy = z.infer<typeof Policy>;
export type PolicyInput = z.input<typeof Policy>;

/** What a request is, in the words of policies. Keys of `context`: `oss:Prefix`, `acs:SourceIp`, … */
export interface Request {
  action: string;
  /** `acs:oss:*:*:bucket/key`; region and account of a policy's resource are not compared. */
  resource: string;
  context: Record<string, string | undefined>;
}

export type Effect = 'allowed' | 'denied' | 'not-mentioned';

/** A denial anywhere wins over every permission. */
export function judge(policies: readonly Policy[], request: Request): Effect {
  let effect: Effect = 'not-mentioned';
  for (const statement of policies.flatMap((policy) => policy.Statement)) {
    if (!applies(statement, request)) continue;
    if (statement.Effect === 'Deny') return 'denied';
    effect = 'allowed';
  }
  return effect;
}

function applies(statement: z.infer<typeof Statement>, request: Request): boolean {
  return (
    statement.Action.some((pattern) => like(pattern.toLowerCase(), request.action.toLowerCase())) &&
    statement.Resource.some((pattern) => like(resourcePath(pattern), resourcePath(request.resource))) &&
    Object.entries(statement.Condition).every(([operator, keys]) =>
      Object.entries(keys ?? {}).every(([key, values]) => holds(operator as Operator, request.context[key], values)),
    )
  );
}

/** The part after the account: `bucket/key`. */
function resourcePath(resource: string): string {
  return resource === '*' ? '*' : resource.split(':').slice(4).join(':');
}

function holds(operator: Operator, actual: string | undefined, values: string[]): boolean {
  switch (operator) {
    case 'StringEquals':
      return actual !== undefined && values.includes(actual);
    case 'StringNotEquals':
      return actual === undefined || !values.includes(actual);
    case 'StringEqualsIgnoreCase':
      return actual !== undefined && values.some((value) => value.toLowerCase() === actual.toLowerCase());
    case 'StringLike':
      return actual !== undefined && values.some((value) => like(value, actual));
    case 'StringNotLike':
      return actual === undefined || !values.some((value) => like(value, actual));
    case 'IpAddress':
      return actual !== undefined && values.some((value) => inRange(value, actual));
    case 'NotIpAddress':
      return actual === undefined || !values.some((value) => inRange(value, actual));
    case 'Bool':
      return values.includes(actual ?? 'false');
  }
}

function inRange(range: string, address: string): boolean {
  const [base = '', bits] = range.split('/');
  const family = isIPv4(base) ? 'ipv4' : 'ipv6';
  if (isIPv4(base) !== isIPv4(address) || isIPv6(base) !== isIPv6(address)) return false;
  const list = new BlockList();
  list.addSubnet(base, bits === undefined ? (family === 'ipv4' ? 32 : 128) : Number(bits), family);
  return list.check(address, family);
}

/** `*` any run of characters, `?` any one; in time linear to the text times the pattern. */
export function like(pattern: string, text: string): boolean {
  let [p, t, star, mark] = [0, 0, -1, 0];
  while (t < text.length) {
    if (p < pattern.length && pattern[p] === '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++mark;
    } else return false;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}
