import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { readQueueEvent } from '../shared/fc/queue-event.ts';
import { deadLetterQueueOf, QUEUES } from '../shared/messages.ts';
import { unwrapMessage } from '../shared/queue/envelope.ts';

/** A queue push of the platform lasts five minutes at most; what is left of them is for the answer. */
const MAX_TIMEOUT_S = 290;
const MAX_BUNDLE_BYTES = 1_500_000;

// Shapes of the fc3 component's own schema, closed: it lets every unknown key pass, so a slip of the pen would deploy.
const OssEvent = z.string().regex(/^oss:Object(Created|Removed|Modified):[A-Za-z]+$/);
const QueueTrigger = z.strictObject({
  triggerName: z.string(),
  triggerType: z.literal('eventbridge'),
  triggerConfig: z.strictObject({
    triggerEnable: z.literal(true),
    asyncInvocationType: z.literal(false),
    eventRuleFilterPattern: z.string(),
    eventSourceConfig: z.strictObject({
      eventSourceType: z.literal('MNS'),
      eventSourceParameters: z.strictObject({
        sourceMNSParameters: z.strictObject({ RegionId: z.string(), QueueName: z.string(), IsBase64Decode: z.literal(true) }),
      }),
    }),
    eventSinkConfig: z.strictObject({ deliveryOption: z.strictObject({ eventSchema: z.literal('CloudEvents') }) }),
    runOptions: z.strictObject({
      mode: z.literal('event-streaming'),
      maximumTasks: z.int().positive(),
      errorsTolerance: z.literal('ALL'),
      retryStrategy: z.strictObject({ PushRetryStrategy: z.enum(['BACKOFF_RETRY', 'EXPONENTIAL_DECAY_RETRY']) }),
      deadLetterQueue: z.strictObject({ Arn: z.string() }),
      batchWindow: z.strictObject({ CountBasedWindow: z.int().positive(), TimeBasedWindow: z.int().min(0) }),
    }),
  }),
});
const Trigger = z.discriminatedUnion('triggerType', [
  QueueTrigger,
  z.strictObject({
    triggerName: z.string(),
    triggerType: z.literal('http'),
    triggerConfig: z.strictObject({
      authType: z.enum(['anonymous', 'function', 'jwt']),
      disableURLInternet: z.boolean(),
      methods: z.array(z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])),
    }),
  }),
  z.strictObject({
    triggerName: z.string(),
    triggerType: z.literal('timer'),
    triggerConfig: z.strictObject({ cronExpression: z.string(), enable: z.boolean(), payload: z.string() }),
  }),
  z.strictObject({
    triggerName: z.string(),
    triggerType: z.literal('oss'),
    sourceArn: z.string(),
    invocationRole: z.string(),
    triggerConfig: z.strictObject({
      events: z.array(OssEvent).nonempty(),
      filter: z.strictObject({ key: z.strictObject({ prefix: z.string(), suffix: z.string() }) }),
    }),
  }),
]);
const Resource = z.strictObject({
  component: z.literal('fc3'),
  actions: z.unknown().optional(),
  extend: z.strictObject({ name: z.literal('base') }),
  props: z.strictObject({
    functionName: z.string().regex(/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/),
    description: z.string(),
    role: z.string(),
    code: z.string(),
    timeout: z.int().positive().max(MAX_TIMEOUT_S),
    triggers: z.array(Trigger).nonempty(),
  }),
});

const deployment = z
  .object({ resources: z.record(z.string(), Resource) })
  .parse(parse(readFileSync('s.yaml', 'utf8'), { merge: true }));
const functionNames = readdirSync('functions').filter((name) => existsSync(`functions/${name}/handler.ts`));
const queueTriggers = Object.entries(deployment.resources).flatMap(([name, { props }]) =>
  props.triggers.flatMap((trigger) => (trigger.triggerType === 'eventbridge' ? [{ name, props, trigger }] : [])),
);

describe('the deployment, the functions, the events and the messages agree', () => {
  test('every function is deployed from its own bundle, and nothing else is', () => {
    expect(Object.keys(deployment.resources).sort()).toEqual(functionNames.sort());
    for (const [name, { props }] of Object.entries(deployment.resources)) {
      expect(props.code).toBe(`./dist/functions/${name}`);
      expect(props.functionName).toBe(`datamap-${name}`);
    }
  });

  test('every queue wakes exactly one function and has dead letters', () => {
    const woken = queueTriggers.map(({ trigger }) => trigger.triggerConfig.eventSourceConfig.eventSourceParameters);
    expect(woken.map((p) => p.sourceMNSParameters.QueueName).sort()).toEqual(Object.values(QUEUES).sort());
    for (const { trigger } of queueTriggers) {
      const queue = trigger.triggerConfig.eventSourceConfig.eventSourceParameters.sourceMNSParameters.QueueName;
      expect(trigger.triggerConfig.runOptions.deadLetterQueue.Arn).toMatch(new RegExp(`:/queues/${deadLetterQueueOf(queue)}$`));
    }
  });

  test('a message stays hidden for six times the timeout of the function that it wakes', () => {
    const terraform = readFileSync('deploy/queues.tf', 'utf8');
    const visibility = new Map(
      [...terraform.matchAll(/"(datamap-[a-z-]+)"\s*=\s*\{\s*visibility_timeout = (\d+)/g)].map((m) => [m[1], Number(m[2])]),
    );
    expect([...visibility.keys()].sort()).toEqual(Object.values(QUEUES).sort());
    for (const { props, trigger } of queueTriggers) {
      const queue = trigger.triggerConfig.eventSourceConfig.eventSourceParameters.sourceMNSParameters.QueueName;
      expect(visibility.get(queue), queue).toBeGreaterThanOrEqual(6 * props.timeout);
    }
  });

  test('object events are named one by one, since the wildcard brings every part of an upload', () => {
    for (const { props } of Object.values(deployment.resources))
      for (const trigger of props.triggers)
        if (trigger.triggerType === 'oss') expect(trigger.triggerConfig.events.filter((e) => e.endsWith('*'))).toEqual([]);
  });

  test('every function has sample events, and those of queues carry a message that it takes', () => {
    expect(readdirSync('events').sort()).toEqual([...functionNames].sort());
    for (const name of functionNames) expect(readdirSync(`events/${name}`).length, name).toBeGreaterThan(0);
    for (const { name, trigger } of queueTriggers) {
      const queue = trigger.triggerConfig.eventSourceConfig.eventSourceParameters.sourceMNSParameters.QueueName;
      const deliveries = readdirSync(`events/${name}`)
        .flatMap((file) => readQueueEvent(readFileSync(`events/${name}/${file}`)))
        .filter((delivery) => delivery.queueName === queue);
      expect(deliveries.length, `${name} has no sample of ${queue}`).toBeGreaterThan(0);
      if (queue !== QUEUES.objectEvents)
        for (const delivery of deliveries) expect(() => unwrapMessage(delivery.body)).not.toThrow();
    }
  });

  test('every bundle is there and within its size', () => {
    for (const name of functionNames)
      expect(statSync(`dist/functions/${name}/index.mjs`).size, name).toBeLessThanOrEqual(MAX_BUNDLE_BYTES);
  });
});

describe('imports point one way', () => {
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts'], { encoding: 'utf8' })
    .split('\n')
    .filter((file) => file !== '' && existsSync(file));
  const imports = files.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => ({
      file,
      target: match[1]!.startsWith('.') ? normalize(join(dirname(file), match[1]!)).replaceAll('\\', '/') : match[1]!,
    })),
  );
  const violations = (allowed: (file: string, target: string) => boolean) =>
    imports.filter(({ file, target }) => !allowed(file, target)).map(({ file, target }) => `${file} → ${target}`);
  const top = (path: string) => path.split('/')[0]!;

  test('no function imports another function', () => {
    const functionOf = (path: string) => (top(path) === 'functions' ? path.split('/')[1] : undefined);
    expect(
      violations((file, target) => !functionOf(file) || !functionOf(target) || functionOf(file) === functionOf(target)),
    ).toEqual([]);
  });

  test('functions and shared know nothing of the local platform, the command line or the console', () => {
    expect(
      violations(
        (file, target) =>
          !['functions', 'shared'].includes(top(file)) || !['local', 'cli', 'web', 'test', 'bench'].includes(top(target)),
      ),
    ).toEqual([]);
    expect(violations((file, target) => top(file) !== 'shared' || top(target) !== 'functions')).toEqual([]);
  });

  test('the reader knows the object store by its interface only', () => {
    const may = (target: string) =>
      target.startsWith('shared/paimon/') ||
      ['shared/errors.ts', 'shared/object-store/object-store.ts', 'shared/object-store/request-meter.ts'].includes(target) ||
      !target.startsWith('shared/');
    expect(violations((file, target) => !file.startsWith('shared/paimon/') || may(target))).toEqual([]);
  });

  test('only adapters import the SDKs of services', () => {
    const homes: Record<string, RegExp> = {
      'ali-oss': /^shared\/object-store\/oss|^test\//,
      '@alicloud/mns': /^shared\/queue\/|^test\//,
      '@alicloud/sts20150401': /^shared\/credentials\/|^test\//,
      pg: /^shared\/store\/|^local\/|^cli\/|^test\/|^bench\//,
    };
    expect(violations((file, target) => homes[target]?.test(file) ?? true)).toEqual([]);
  });
});

test('no tracked text names a path of one machine', () => {
  const tracked = execFileSync('git', ['ls-files', '-z'], { encoding: 'utf8' }).split('\0').filter(Boolean);
  const suspicious = tracked.filter(
    (file) => /\.(ts|mjs|json|ya?ml|md|tf|sh)$/.test(file) && !file.startsWith('test/fixtures/') && !file.startsWith('sample/'),
  );
  const found = suspicious.filter(
    (file) =>
      existsSync(file) && /\/(?:root|home\/[a-z]+|work)\//.test(readFileSync(file, 'utf8')) && file !== 'test/project.test.ts',
  );
  expect(found).toEqual([]);
});
