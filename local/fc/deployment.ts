import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { InvalidInput } from '../../shared/errors.ts';
import { expandVariables } from './expand.ts';

/**
 * The part of component fc3's properties that this project uses, closed: a key that is not here is refused, because the
 * component itself lets typing errors pass. Source: the component's published schema, and Function Compute's limits.
 */
const Seconds = z.int().min(1).max(86_400);
const EnvironmentVariables = z.record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]*$/), z.string());

const HttpTrigger = z.strictObject({
  triggerName: z.string(),
  triggerType: z.literal('http'),
  description: z.string().optional(),
  qualifier: z.string().optional(),
  triggerConfig: z.strictObject({
    authType: z.enum(['anonymous', 'function', 'jwt']),
    disableURLInternet: z.boolean().optional(),
    methods: z.array(z.enum(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS'])).min(1),
  }),
});

const TimerTrigger = z.strictObject({
  triggerName: z.string(),
  triggerType: z.literal('timer'),
  description: z.string().optional(),
  qualifier: z.string().optional(),
  triggerConfig: z.strictObject({ cronExpression: z.string().min(1), enable: z.boolean(), payload: z.string().optional() }),
});

const OssTrigger = z.strictObject({
  triggerName: z.string(),
  triggerType: z.literal('oss'),
  description: z.string().optional(),
  qualifier: z.string().optional(),
  sourceArn: z.string().regex(/^acs:oss:[^:]*:[^:]*:[^:]+$/),
  invocationRole: z.string(),
  triggerConfig: z.strictObject({
    events: z.array(z.string().regex(/^oss:Object(Created|Modified|Removed):(\*|[A-Za-z]+)$/)).min(1),
    filter: z.strictObject({ key: z.strictObject({ prefix: z.string(), suffix: z.string() }) }),
  }),
});

const QueueTrigger = z.strictObject({
  triggerName: z.string(),
  triggerType: z.literal('eventbridge'),
  description: z.string().optional(),
  qualifier: z.string().optional(),
  triggerConfig: z.strictObject({
    triggerEnable: z.boolean(),
    asyncInvocationType: z.boolean(),
    eventRuleFilterPattern: z.string(),
    eventSourceConfig: z.strictObject({
      eventSourceType: z.literal('MNS'),
      eventSourceParameters: z.strictObject({
        sourceMNSParameters: z.strictObject({ RegionId: z.string(), QueueName: z.string(), IsBase64Decode: z.boolean() }),
      }),
    }),
    eventSinkConfig: z.strictObject({ deliveryOption: z.strictObject({ eventSchema: z.enum(['CloudEvents', 'RawData']) }) }),
    runOptions: z.strictObject({
      mode: z.enum(['event-streaming', 'event-driven']),
      maximumTasks: z.int().min(1).max(300),
      errorsTolerance: z.enum(['ALL', 'NONE']),
      retryStrategy: z.strictObject({ PushRetryStrategy: z.enum(['BACKOFF_RETRY', 'EXPONENTIAL_DECAY_RETRY']) }),
      deadLetterQueue: z.strictObject({ Arn: z.string() }).optional(),
      batchWindow: z.strictObject({ CountBasedWindow: z.int().min(1).max(10_000), TimeBasedWindow: z.int().min(0).max(3_600) }),
    }),
  }),
});

const Trigger = z.discriminatedUnion('triggerType', [HttpTrigger, TimerTrigger, OssTrigger, QueueTrigger]);

const Destination = z.strictObject({ destination: z.string() });

const FunctionProps = z.strictObject({
  region: z.string(),
  functionName: z.string().regex(/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/),
  description: z.string().max(256).optional(),
  runtime: z.literal('nodejs20'),
  handler: z.string().regex(/^[\w-]+\.[\w]+$/),
  code: z.string().min(1),
  role: z.string().optional(),
  cpu: z.number().min(0.05).max(16),
  memorySize: z.int().min(128).max(32_768).multipleOf(64),
  diskSize: z.literal([512, 10_240]),
  timeout: Seconds,
  internetAccess: z.boolean().optional(),
  environmentVariables: EnvironmentVariables.default({}),
  logConfig: z
    .strictObject({
      project: z.string(),
      logstore: z.string(),
      enableRequestMetrics: z.boolean().optional(),
      enableInstanceMetrics: z.boolean().optional(),
      logBeginRule: z.enum(['DefaultRegex', 'None']).optional(),
    })
    .optional(),
  vpcConfig: z
    .strictObject({ vpcId: z.string(), vSwitchIds: z.array(z.string()).min(1), securityGroupId: z.string() })
    .optional(),
  asyncInvokeConfig: z
    .strictObject({
      maxAsyncEventAgeInSeconds: z.int().min(1).max(604_800).optional(),
      maxAsyncRetryAttempts: z.int().min(0).max(8).optional(),
      destinationConfig: z.strictObject({ onFailure: Destination.optional(), onSuccess: Destination.optional() }).optional(),
    })
    .optional(),
  triggers: z.array(Trigger).default([]),
});

const Resource = z.strictObject({
  component: z.literal('fc3'),
  actions: z.record(z.string(), z.array(z.strictObject({ run: z.string(), path: z.string() }))).optional(),
  props: FunctionProps,
});

const ProjectFile = z.strictObject({
  edition: z.literal('3.0.0'),
  name: z.string(),
  access: z.string(),
  vars: z.record(z.string(), z.unknown()).optional(),
  resources: z.record(z.string(), Resource),
});

export type Trigger = z.infer<typeof Trigger>;
export type TimerTrigger = z.infer<typeof TimerTrigger>;
export type OssTrigger = z.infer<typeof OssTrigger>;
export type QueueTrigger = z.infer<typeof QueueTrigger>;

/** One function of the deployment; `key` is its resource key, which equals its folder below `functions/`. */
export type FunctionConfig = z.infer<typeof FunctionProps> & { key: string };

export interface Deployment {
  name: string;
  region: string;
  /** In the file's order. */
  functions: FunctionConfig[];
}

/**
 * Reads `s.yaml` as Serverless Devs does: templates under their resources, then `${…}`. `env` answers `${env('NAME')}`,
 * `accountId` answers `${config('AccountID')}`. Throws InvalidInput with every wrong field or missing variable.
 */
export function readDeployment(
  file: string,
  options: { env: Record<string, string | undefined>; accountId: string },
): Deployment {
  const text = readFileSync(file, 'utf8');
  const raw = parse(text) as Record<string, unknown>;
  const expanded = expandVariables(extendTemplates(raw), options);
  const result = ProjectFile.safeParse(expanded);
  if (!result.success)
    throw new InvalidInput(
      result.error.issues.map((i) => ({ path: `s.yaml ${i.path.map(String).join('.')}`, issue: i.message })),
    );
  const functions = Object.entries(result.data.resources).map(([key, { props }]) => ({ key, ...props }));
  return { name: result.data.name, region: functions[0]?.region ?? '', functions };
}

/** `extend: { name }` lays a resource's properties over a template's; arrays replace, they do not merge. */
function extendTemplates(raw: Record<string, unknown>): Record<string, unknown> {
  const { template = {}, resources = {}, ...rest } = raw as { template?: Tree; resources?: Tree };
  const extended = Object.entries(resources as Record<string, Tree>).map(([key, resource]) => {
    const { extend, ...own } = resource as Tree & { extend?: { name?: string } };
    const base = extend?.name === undefined ? undefined : template[extend.name];
    if (extend && base === undefined) throw InvalidInput.at(`s.yaml resources.${key}.extend`, `no template '${extend.name}'`);
    return [key, base === undefined ? own : { ...own, props: overlay(base, own.props ?? {}) }];
  });
  return { ...rest, resources: Object.fromEntries(extended) };
}

type Tree = { [name: string]: unknown };

function overlay(base: unknown, over: unknown): unknown {
  if (!isTree(base) || !isTree(over)) return over;
  const merged: Tree = { ...base };
  for (const [name, value] of Object.entries(over)) merged[name] = name in base ? overlay(base[name], value) : value;
  return merged;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
