import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { isAllowedHost } from '../oss/address.ts';
import { claimedAcs3, MAX_CLOCK_SKEW_MS, verifyAcs3 } from '../signatures/acs3.ts';
import { parseRawQuery } from '../signatures/encoding.ts';
import { verifyRpcV1 } from '../signatures/rpc-v1.ts';
import { assumeRole } from './assume-role.ts';
import type { Identities, Principal } from './identities.ts';
import { StsProblem } from './problem.ts';

/** The STS protocol on a loopback port, in the current (ACS3) form and the older RPC form. */

export interface StsFault {
  /** Default: every action. */
  action?: string;
  delayMs?: number;
  status?: number;
  code?: string;
  message?: string;
  /** Never answers. */
  hang?: boolean;
  /** Cuts the connection. */
  cut?: boolean;
  /** Strikes this often. Default: always. */
  times?: number;
}

export interface LoggedStsRequest {
  time: string;
  action: string;
  accessKeyId: string;
  roleArn: string;
  status: number;
  code: string;
}

export interface StsEndpoint {
  /** `http://127.0.0.1:PORT` */
  url: string;
  port: number;
  setFaults(faults: StsFault[]): void;
  requests(): LoggedStsRequest[];
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 64 * 1024;
const KEPT_REQUESTS = 5_000;

export async function startStsEndpoint(options: {
  identities: Identities;
  /** 0: any free one. */
  port?: number;
  allowedHosts?: string[];
  now?: () => Date;
}): Promise<StsEndpoint> {
  const { identities, allowedHosts = [], now = () => new Date() } = options;
  let faults: { fault: StsFault; left: number }[] = [];
  let logged: LoggedStsRequest[] = [];

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch(() => response.destroy());
  });

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = randomUUID().toUpperCase();
    const isStranger = !isAllowedHost(incoming.headers.host ?? '', allowedHosts) || incoming.headers.origin !== undefined;
    const answerJson = (status: number, value: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json;charset=utf-8', 'x-acs-request-id': requestId });
      response.end(JSON.stringify(value));
    };
    if (isStranger)
      return answerJson(403, { Code: 'Forbidden', Message: 'This local endpoint answers under loopback names only.' });
    const log: LoggedStsRequest = { time: now().toISOString(), action: '', accessKeyId: '', roleArn: '', status: 200, code: '' };
    try {
      const body = await readBody(incoming);
      const target = incoming.url ?? '/';
      const at = target.indexOf('?');
      const [rawPath, rawQuery] = at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)];
      const isForm = String(incoming.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded');
      const form = isForm ? Buffer.from(body).toString('utf8') : '';
      const parameters = new Map(
        [...parseRawQuery(rawQuery), ...parseRawQuery(form)].map(([name, value]) => [name, value ?? '']),
      );
      log.action = String(incoming.headers['x-acs-action'] ?? parameters.get('Action') ?? '');
      log.roleArn = parameters.get('RoleArn') ?? '';
      const claimed = claimedAcs3(incoming.headers);
      log.accessKeyId = claimed?.accessKeyId ?? parameters.get('AccessKeyId') ?? '';
      if (await suffer(log.action, response)) return;
      const signed = { method: incoming.method ?? 'POST', rawPath, rawQuery, headers: incoming.headers, body };
      const principal = claimed ? authenticateAcs3(signed, claimed) : authenticateRpc(signed.method, parameters);
      answerJson(200, { RequestId: requestId, ...perform(log.action, parameters, principal) });
    } catch (error) {
      const problem = error instanceof StsProblem ? error : new StsProblem(500, 'InternalError', 'The request failed inside.');
      log.status = problem.status;
      log.code = problem.code;
      answerJson(problem.status, {
        RequestId: requestId,
        HostId: 'sts.aliyuncs.com',
        Code: problem.code,
        Message: problem.message,
        Recommend: '',
      });
    } finally {
      logged.push(log);
      if (logged.length > KEPT_REQUESTS * 2) logged = logged.slice(-KEPT_REQUESTS);
    }
  }

  async function suffer(action: string, response: ServerResponse): Promise<boolean> {
    const rule = faults.find(({ fault, left }) => left > 0 && (fault.action === undefined || fault.action === action));
    if (!rule) return false;
    rule.left--;
    const { fault } = rule;
    const closed = new Promise((resolve) => response.once('close', resolve));
    if (fault.delayMs) await Promise.race([delay(fault.delayMs), closed]);
    if (fault.hang) await closed;
    if (fault.cut) response.destroy();
    if (response.destroyed) return true;
    if (fault.code !== undefined || fault.status !== undefined)
      throw new StsProblem(fault.status ?? 500, fault.code ?? 'InternalError', fault.message ?? 'Forced.');
    return false;
  }

  function resolve(accessKeyId: string, securityToken: string | undefined): Principal {
    const principal = identities.resolve(accessKeyId, securityToken, now());
    if (principal === 'unknown' || principal === 'token-missing')
      throw new StsProblem(404, 'InvalidAccessKeyId.NotFound', 'Specified access key is not found.');
    if (principal === 'token-expired')
      throw new StsProblem(400, 'InvalidSecurityToken.Expired', 'Specified SecurityToken is expired.');
    if (principal === 'token-invalid')
      throw new StsProblem(400, 'InvalidSecurityToken.Malformed', 'Specified SecurityToken is malformed.');
    if (principal.disabled) throw new StsProblem(400, 'InvalidAccessKeyId.Inactive', 'Specified access key is disabled.');
    return principal;
  }

  function authenticateAcs3(
    signed: Parameters<typeof verifyAcs3>[0],
    claimed: { accessKeyId: string; securityToken: string | undefined },
  ): Principal {
    const principal = resolve(claimed.accessKeyId, claimed.securityToken);
    const verdict = verifyAcs3(signed, principal.secret.reveal(), now());
    if (verdict.ok) return principal;
    if (verdict.problem === 'skewed') throw expired();
    throw mismatch(verdict.detail);
  }

  function authenticateRpc(method: string, parameters: ReadonlyMap<string, string>): Principal {
    const accessKeyId = parameters.get('AccessKeyId');
    if (!accessKeyId) throw new StsProblem(400, 'MissingAccessKeyId', 'AccessKeyId is mandatory for this action.');
    const principal = resolve(accessKeyId, parameters.get('SecurityToken'));
    if (!verifyRpcV1(method, parameters, principal.secret.reveal())) throw mismatch('the Signature parameter differs');
    const sentAt = Date.parse(parameters.get('Timestamp') ?? '');
    if (!(Math.abs(now().getTime() - sentAt) <= MAX_CLOCK_SKEW_MS)) throw expired();
    return principal;
  }

  function perform(action: string, parameters: ReadonlyMap<string, string>, principal: Principal) {
    if (action === 'AssumeRole') return assumeRole(parameters, principal, identities, now());
    if (action === 'GetCallerIdentity') {
      const type = principal.arn.includes(':assumed-role/') ? 'AssumedRoleUser' : 'RAMUser';
      return { AccountId: identities.accountId, Arn: principal.arn, IdentityType: type, PrincipalId: principal.arn };
    }
    throw new StsProblem(404, 'InvalidAction.NotFound', 'Specified api is not found, please check your url and method.');
  }

  await new Promise<void>((done, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', () => done());
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    setFaults: (list) => {
      faults = list.map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY }));
    },
    requests: () => logged,
    async close() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function readBody(incoming: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_BODY_BYTES) throw new StsProblem(413, 'RequestTooLarge', 'The request body is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function expired(): StsProblem {
  return new StsProblem(400, 'InvalidTimeStamp.Expired', 'Specified time stamp or date value is expired.');
}

function mismatch(detail: string): StsProblem {
  return new StsProblem(400, 'SignatureDoesNotMatch', `Specified signature is not matched with our calculation: ${detail}`);
}
