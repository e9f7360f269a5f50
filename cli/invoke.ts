import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { type AccessKeys, Secret } from '../shared/credentials/secret.ts';
import { DatamapError, Unreachable } from '../shared/errors.ts';
import { type FunctionTarget, invokeFunction } from '../shared/fc/invoke.ts';
import { folderOf, portsOf } from './client.ts';
import { EXIT, Failure, wrongUse } from './failure.ts';
import { jsonLine, printLine } from './output.ts';

interface InvokeCommandOptions {
  file?: string;
  data?: string;
  endpoint?: string;
  region: string;
  account?: string;
  service?: string;
  async?: boolean;
  json?: boolean;
}

/** `datamap invoke FUNCTION`: one invocation, through the service's own client. */
export function invokeCommand(): Command {
  return new Command('invoke')
    .description('invoke one function, deployed or of a local platform, with an event')
    .argument('<function>', 'its name, such as plan-collection')
    .option('-f, --file <file>', 'JSON file with the event, - for standard input; default: an empty event')
    .option('--data <dir>', 'folder of a local platform (default: ./.data)')
    .option('--endpoint <url>', 'endpoint of Function Compute; keys come from ALIBABA_CLOUD_ACCESS_KEY_ID and _SECRET')
    .option('--region <region>', 'region of a deployed function', process.env.DATAMAP_REGION ?? 'cn-hangzhou')
    .option('--account <id>', 'account of a deployed function (default: DATAMAP_ACCOUNT_ID)')
    .option('--service <name>', 'service that holds the function: Function Compute 2.0')
    .option('--async', 'return as soon as the event is accepted')
    .option('--json', 'one JSON document with status, request id, answer and log')
    .addHelpText(
      'after',
      `
Examples:
  datamap invoke schedule-collection -f events/schedule-collection/every-minute.json
  datamap invoke datamap-watch-objects -f events/watch-objects/queue.json --endpoint https://1234567890123456.cn-hangzhou.fc.aliyuncs.com`,
    )
    .action(async (name: string, options: InvokeCommandOptions) => {
      const place = options.endpoint ? deployed(options, options.endpoint) : local(options.data);
      const target: FunctionTarget = options.service ? { family: 'fc2', service: options.service } : { family: 'fc3' };
      const answer = await invokeFunction({
        ...place,
        target,
        functionName: name,
        event: readEvent(options.file),
        ...(options.async && { async: true }),
      }).catch((error: unknown) => {
        if (!(error instanceof DatamapError)) throw error;
        throw new Failure(error instanceof Unreachable ? EXIT.unreachable : EXIT.usage, error.message, [], {}, { cause: error });
      });
      const body = Buffer.from(answer.body).toString('utf8');
      if (options.json)
        printLine(
          jsonLine({
            status: answer.status,
            requestId: answer.requestId,
            errorType: answer.errorType ?? null,
            durationMs: answer.durationMs ?? null,
            body,
            log: answer.logTail ?? null,
          }),
        );
      else {
        if (answer.logTail) process.stderr.write(`${answer.logTail.trimEnd()}\n`);
        process.stderr.write(`${answer.errorType ?? `status ${answer.status}`}, request ${answer.requestId}\n`);
        if (body !== '') process.stdout.write(body.endsWith('\n') ? body : `${body}\n`);
      }
      if (answer.errorType) process.exitCode = EXIT.problem;
    });
}

function readEvent(file: string | undefined): Uint8Array {
  if (file === undefined) return Buffer.from('{}');
  try {
    const event = readFileSync(file === '-' ? 0 : file);
    JSON.parse(event.toString('utf8'));
    return event;
  } catch (cause) {
    throw cause instanceof SyntaxError ? wrongUse(`${file} is not JSON: ${cause.message}`) : wrongUse(`${file} cannot be read`);
  }
}

interface Place {
  endpoint: string;
  accountId: string;
  region: string;
  keys: AccessKeys;
}

/** The local platform writes its ports and keys into its folder. */
function local(data: string | undefined): Place {
  const port = portsOf(data).fc;
  if (port === undefined) throw new Failure(EXIT.unreachable, 'the local platform has no functions endpoint');
  const { accessKeyId, accessKeySecret, roleArn } = JSON.parse(
    readFileSync(join(folderOf(data), 'credentials.json'), 'utf8'),
  ) as Record<'accessKeyId' | 'accessKeySecret' | 'roleArn', string>;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    accountId: /^acs:ram::(\d+):/.exec(roleArn)?.[1] ?? '',
    region: 'cn-hangzhou',
    keys: { accessKeyId, accessKeySecret: new Secret(accessKeySecret) },
  };
}

function deployed(options: InvokeCommandOptions, endpoint: string): Place {
  if (!URL.canParse(endpoint)) throw wrongUse(`--endpoint ${endpoint}: expected a URL`);
  const {
    ALIBABA_CLOUD_ACCESS_KEY_ID: id,
    ALIBABA_CLOUD_ACCESS_KEY_SECRET: secret,
    ALIBABA_CLOUD_SECURITY_TOKEN: token,
  } = process.env;
  const accountId = options.account ?? process.env.DATAMAP_ACCOUNT_ID;
  if (!id || !secret) throw wrongUse('set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET');
  if (!accountId) throw wrongUse('name the account with --account or DATAMAP_ACCOUNT_ID');
  return {
    endpoint,
    accountId,
    region: options.region,
    keys: { accessKeyId: id, accessKeySecret: new Secret(secret), ...(token && { securityToken: new Secret(token) }) },
  };
}
