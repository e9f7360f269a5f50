import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { queueOfArn } from '../local/fc/arn.ts';
import { readDeployment } from '../local/fc/deployment.ts';
import { readQueueEvent } from '../shared/fc/queue-event.ts';
import { deadLetterQueueOf, QUEUES } from '../shared/messages.ts';
import { unwrapMessage } from '../shared/queue/envelope.ts';

/** A queue push of the platform lasts five minutes at most; what is left of them is for the answer. */
const MAX_TIMEOUT_S = 290;
const MAX_BUNDLE_BYTES = 1_500_000;

// The reader refuses every key and value that the fc3 component would let pass; any value stands for a variable here.
const variables = [...readFileSync('s.yaml', 'utf8').matchAll(/env\('(\w+)'/g)].map((match) => match[1]!);
const { functions } = readDeployment('s.yaml', {
  env: Object.fromEntries(variables.map((name) => [name, 'any'])),
  accountId: '1234567890',
});
const functionNames = readdirSync('functions').filter((name) => existsSync(`functions/${name}/handler.ts`));
const queueTriggers = functions.flatMap((config) =>
  config.triggers.flatMap((trigger) => {
    if (trigger.triggerType !== 'eventbridge') return [];
    const { eventSourceConfig, ...rest } = trigger.triggerConfig;
    const source = eventSourceConfig.eventSourceParameters.sourceMNSParameters;
    return [{ name: config.key, config, queue: source.QueueName, source, ...rest }];
  }),
);

describe('the deployment, the functions, the events and the messages agree', () => {
  test('every function is deployed from its own bundle, and nothing else is', () => {
    expect(functions.map((config) => config.key).sort()).toEqual(functionNames.sort());
    for (const config of functions) {
      expect(config.code).toBe(`./dist/functions/${config.key}`);
      expect(config.functionName).toBe(`datamap-${config.key}`);
      expect(config.timeout, config.key).toBeLessThanOrEqual(MAX_TIMEOUT_S);
    }
  });

  test('every queue wakes exactly one function, which answers for the message and has dead letters', () => {
    expect(queueTriggers.map(({ queue }) => queue).sort()).toEqual(Object.values(QUEUES).sort());
    for (const { queue, source, runOptions, ...config } of queueTriggers) {
      expect(source.IsBase64Decode, queue).toBe(true);
      expect(config, queue).toMatchObject({ triggerEnable: true, asyncInvocationType: false });
      expect(config.eventSinkConfig.deliveryOption.eventSchema, queue).toBe('CloudEvents');
      expect(runOptions, queue).toMatchObject({ mode: 'event-streaming', errorsTolerance: 'ALL' });
      expect(queueOfArn(runOptions.deadLetterQueue!.Arn)).toBe(deadLetterQueueOf(queue));
    }
  });

  test('a message stays hidden for six times the timeout of the function that it wakes', () => {
    const terraform = readFileSync('deploy/queues.tf', 'utf8');
    const visibility = new Map(
      [...terraform.matchAll(/"(datamap-[a-z-]+)"\s*=\s*\{\s*visibility_timeout = (\d+)/g)].map((m) => [m[1], Number(m[2])]),
    );
    expect([...visibility.keys()].sort()).toEqual(Object.values(QUEUES).sort());
    for (const { queue, config } of queueTriggers)
      expect(visibility.get(queue), queue).toBeGreaterThanOrEqual(6 * config.timeout);
  });

  test('object events are named one by one, since the wildcard brings every part of an upload', () => {
    const events = functions.flatMap((config) =>
      config.triggers.flatMap((trigger) => (trigger.triggerType === 'oss' ? trigger.triggerConfig.events : [])),
    );
    expect(events.length).toBeGreaterThan(0);
    expect(events.filter((event) => event.endsWith('*'))).toEqual([]);
  });

  test('every function has sample events, and those of queues carry a message that it takes', () => {
    expect(readdirSync('events').sort()).toEqual([...functionNames].sort());
    for (const name of functionNames) expect(readdirSync(`events/${name}`).length, name).toBeGreaterThan(0);
    for (const { name, queue } of queueTriggers) {
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
      [
        'shared/errors.ts',
        'shared/object-store/object-store.ts',
        'shared/object-store/request-meter.ts',
        'shared/object-store/byte-order.ts',
      ].includes(target) ||
      !target.startsWith('shared/');
    expect(violations((file, target) => !file.startsWith('shared/paimon/') || may(target))).toEqual([]);
  });

  test('only adapters import the SDKs of services', () => {
    const homes: Record<string, RegExp> = {
      'ali-oss': /^shared\/object-store\/oss|^test\//,
      '@alicloud/mns': /^shared\/queue\/|^test\//,
      '@alicloud/sts20150401': /^shared\/credentials\/|^test\//,
      '@alicloud/fc2': /^shared\/fc\/|^test\//,
      '@alicloud/fc20230330': /^shared\/fc\/|^test\//,
      pg: /^shared\/store\/|^local\/|^cli\/|^test\/|^bench\//,
    };
    expect(violations((file, target) => homes[target]?.test(file) ?? true)).toEqual([]);
  });
});

test('functions open sockets in the adapters only', () => {
  const opens = /^import (?!type)[^;]*from 'node:(?:http|https|http2|tls|net|dgram)';|(?<![.\w])fetch\(|new WebSocket\(/m;
  const mayOpen = /^shared\/(?:object-store\/http-exchange|connectivity\/|fc\/http-handler)/;
  const sources = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'functions/*.ts', 'shared/*.ts'], {
    encoding: 'utf8',
  });
  const found = sources
    .split('\n')
    .filter((file) => file !== '' && existsSync(file) && !mayOpen.test(file) && opens.test(readFileSync(file, 'utf8')));
  expect(found).toEqual([]);
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
