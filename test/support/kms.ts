import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { claimedAcs3, verifyAcs3 } from '../../local/signatures/acs3.ts';
import { parseRawQuery } from '../../local/signatures/encoding.ts';
import type { AccessKeys } from '../../shared/credentials/secret.ts';

/** As much of KMS as `Decrypt` is, on a loopback port; requests are signed as the service wants them. */
export interface TestKms {
  url: string;
  /** Ciphertext (base64) → plaintext (base64). */
  plaintexts: Map<string, string>;
  /** Each with its verdict and the headers and query that it came with. */
  requests: { action: string; code: string; securityToken: string | undefined; query: string }[];
  /** Answers the next requests, one after the other, instead of the service. */
  faults: { status?: number; code?: string; cut?: boolean; delayMs?: number; body?: string; trickle?: boolean }[];
  close(): Promise<void>;
}

export async function startTestKms(keys: AccessKeys): Promise<TestKms> {
  const plaintexts: TestKms['plaintexts'] = new Map();
  const requests: TestKms['requests'] = [];
  const faults: TestKms['faults'] = [];
  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const [rawPath = '/', rawQuery = ''] = (incoming.url ?? '/').split('?');
    const claimed = claimedAcs3(incoming.headers);
    const log = {
      action: String(incoming.headers['x-acs-action']),
      code: '',
      securityToken: claimed?.securityToken,
      query: rawQuery,
    };
    requests.push(log);
    const answer = (status: number, value: object) => {
      log.code = 'Code' in value ? String(value.Code) : '';
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ RequestId: randomUUID(), ...value }));
    };
    const fault = faults.shift();
    if (fault?.delayMs) await delay(fault.delayMs);
    if (fault?.cut) return response.destroy();
    if (fault?.trickle) {
      response.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => response.write(' '), 20);
      return response.once('close', () => clearInterval(timer));
    }
    if (fault?.body !== undefined) return response.writeHead(200, { 'content-type': 'application/json' }).end(fault.body);
    // The service's text repeats what was sent; it must not come through.
    if (fault?.status) return answer(fault.status, { Code: fault.code, Message: `refused: ${body}` });
    const signed = { method: incoming.method ?? '', rawPath, rawQuery, headers: incoming.headers, body };
    const verdict = verifyAcs3(signed, keys.accessKeySecret.reveal());
    if (claimed?.accessKeyId !== keys.accessKeyId) return answer(404, { Code: 'InvalidAccessKeyId.NotFound' });
    if (!verdict.ok) return answer(400, { Code: 'SignatureDoesNotMatch', Message: verdict.detail });
    if (claimed.securityToken !== keys.securityToken?.reveal()) return answer(400, { Code: 'InvalidSecurityToken' });
    if (log.action !== 'Decrypt' || incoming.headers['x-acs-version'] !== '2016-01-20')
      return answer(404, { Code: 'InvalidAction.NotFound' });
    const form = new Map(parseRawQuery(body.toString('utf8')));
    const plaintext = plaintexts.get(form.get('CiphertextBlob') ?? '');
    if (plaintext === undefined) return answer(400, { Code: 'InvalidParameter', Message: 'CiphertextBlob' });
    answer(200, { KeyId: '202b9877-5a25-46e3-a763-e20791b5', Plaintext: plaintext });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    plaintexts,
    requests,
    faults,
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
}
