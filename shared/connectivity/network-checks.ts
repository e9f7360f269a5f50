import net from 'node:net';
import tls from 'node:tls';
import { isAcceptable } from '../data-source-rules.ts';
import { Unreachable } from '../errors.ts';
import { exchange } from '../object-store/http-exchange.ts';
import { causeOfNoConnection, causeOfSilence, describeForbidden, describeSilence } from './cause-of-error.ts';
import type { CauseContext } from './causes.ts';
import { ForbiddenAddress, isRefused, type OutboundTarget, openDoor, pinnedLookup, resolveTarget } from './outbound-door.ts';
import type { Outcome, Step, TestOptions, TestSubject } from './run-checks.ts';

/** What the network checks learn for those after them. */
export interface NetworkState {
  target?: OutboundTarget;
  /** Checked; the first is the one that took a connection. */
  addresses: string[];
}

const MAX_SKEW_SECONDS = 15 * 60;
const DOUBTFUL_SKEW_SECONDS = 5 * 60;
const CONNECT_MS = 4_000;
const MAX_ADDRESSES_TRIED = 2;
/** Of an answer whose content does not matter. */
const MAX_GREETING_BYTES = 64 * 1024;

export function networkSteps(
  subject: TestSubject,
  options: TestOptions,
  context: CauseContext,
): { steps: Step[]; state: NetworkState } {
  const { config, findings } = subject;
  const state: NetworkState = { addresses: [] };

  async function configuration(): Promise<Outcome> {
    if (isAcceptable(findings)) return { status: 'ok', evidence: `${config.environment}: every field is filled in and fits` };
    const errors = findings.filter((finding) => finding.severity === 'error');
    return {
      status: 'failed',
      cause: 'configuration-incomplete',
      evidence: errors.map(({ path, message }) => `${path}: ${message}`).join('; '),
      texts: {
        causes: errors.map(({ message }) => message),
        remedy: errors.map(({ path, remedy }) => `${path}: ${remedy ?? 'correct it'}`).join(' '),
      },
    };
  }

  async function endpoint(): Promise<Outcome> {
    const target = openDoor(config.endpoint, { bucket: config.location.bucket, permitted: options.access.settings.permitted });
    if (isRefused(target)) {
      const cause = target.code === 'endpoint-not-permitted' ? 'endpoint-not-permitted' : 'endpoint-refused';
      const texts = cause === 'endpoint-refused' ? { causes: [target.message], remedy: target.remedy } : undefined;
      return { status: 'failed', cause, evidence: target.message, texts };
    }
    state.target = target;
    context.form = target.form;
    return { status: 'ok', evidence: `${target.hostname}, port ${target.port} (${target.form} endpoint)` };
  }

  async function names(): Promise<Outcome> {
    try {
      state.addresses = await resolveTarget(state.target!, options.access.resolve);
      return { status: 'ok', evidence: `${state.target!.hostname} has ${state.addresses.length} address(es), all allowed` };
    } catch (error) {
      if (error instanceof ForbiddenAddress)
        return { status: 'failed', cause: 'address-forbidden', evidence: describeForbidden(error) };
      if (error instanceof Unreachable) return { status: 'failed', cause: 'dns-not-found', evidence: describeSilence(error) };
      throw error;
    }
  }

  async function connection(signal: AbortSignal): Promise<Outcome> {
    const target = state.target!;
    let last: Unreachable | undefined;
    for (const address of state.addresses.slice(0, MAX_ADDRESSES_TRIED)) {
      const startedAt = performance.now();
      try {
        const version = await (options.dial ?? connect)(target, address, signal);
        state.addresses = [address, ...state.addresses.filter((other) => other !== address)];
        return { status: 'ok', evidence: `connected in ${Math.round(performance.now() - startedAt)} ms, ${version}` };
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        last = error;
      }
    }
    const cause = last?.reason === 'tls' ? 'tls-failed' : causeOfNoConnection(target);
    return { status: 'failed', cause, evidence: last ? describeSilence(last) : 'there was no address to try' };
  }

  async function clock(signal: AbortSignal): Promise<Outcome> {
    const target = state.target!;
    const host = target.hostname.includes(':') ? `[${target.hostname}]` : target.hostname;
    let answer: Awaited<ReturnType<typeof exchange>>;
    const askedAt = Date.now();
    try {
      answer = await exchange(
        { method: 'GET', url: `${target.protocol}//${host}:${target.port}/`, headers: {} },
        {
          silenceMs: 6_000,
          connectMs: CONNECT_MS,
          maxBytes: MAX_GREETING_BYTES,
          lookup: pinnedLookup(state.addresses),
          signal,
        },
      );
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      return { status: 'failed', cause: causeOfSilence(error, target), evidence: describeSilence(error) };
    }
    if (answer.headers['x-oss-request-id'] === undefined)
      return { status: 'failed', cause: 'not-oss', evidence: `HTTP ${answer.status} without the marks of OSS` };
    const theirs = Date.parse(answer.headers.date ?? '');
    if (Number.isNaN(theirs)) return { status: 'warning', cause: 'clock-unknown', evidence: 'no Date header' };
    // The middle of the exchange is the best guess at when the service wrote its time.
    const ours = (options.now?.().getTime() ?? Date.now()) - (Date.now() - askedAt) / 2;
    const skewSeconds = Math.round((ours - theirs) / 1000);
    const evidence = `this clock differs by ${Math.abs(skewSeconds)} s`;
    if (Math.abs(skewSeconds) > MAX_SKEW_SECONDS) return { status: 'failed', cause: 'clock-skew', evidence, skewSeconds };
    if (Math.abs(skewSeconds) > DOUBTFUL_SKEW_SECONDS) return { status: 'warning', cause: 'clock-skew', evidence, skewSeconds };
    return { status: 'ok', evidence };
  }

  return {
    state,
    steps: [
      { id: 'configuration', title: 'Configuration is complete', limitMs: 1_000, silentCause: 'unexpected', run: configuration },
      { id: 'endpoint', title: 'Endpoint is allowed', limitMs: 1_000, silentCause: 'unexpected', run: endpoint },
      { id: 'dns', title: 'Name resolves', limitMs: 5_000, silentCause: 'dns-timeout', run: names },
      { id: 'connection', title: 'Connection and TLS', limitMs: 9_000, silentCause: 'unexpected', run: connection },
      { id: 'clock', title: 'OSS answers and the clocks agree', limitMs: 8_000, silentCause: 'no-answer', run: clock },
    ],
  };
}

/** Opens and closes one connection. Returns what was agreed on; throws Unreachable. */
export type Dial = (target: OutboundTarget, address: string, signal: AbortSignal) => Promise<string>;

function connect(target: OutboundTarget, address: string, signal: AbortSignal): ReturnType<Dial> {
  const { hostname, port, protocol } = target;
  return new Promise((resolve, reject) => {
    const secure = protocol === 'https:';
    const socket = secure
      ? tls.connect({
          host: address,
          port,
          ...(net.isIP(hostname) === 0 && { servername: hostname }),
          ALPNProtocols: ['http/1.1'],
        })
      : net.connect({ host: address, port });
    let isConnected = false;
    const end = (finish: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stopped);
      socket.destroy();
      finish();
    };
    const fail = (reason: 'connect' | 'tls' | 'timeout', code?: string) =>
      end(() => reject(new Unreachable(hostname, reason, { evidence: { status: 0, ...(code && { code }) } })));
    const stopped = () => fail('timeout');
    const timer = setTimeout(() => fail(isConnected ? 'tls' : 'connect', 'ETIMEDOUT'), CONNECT_MS);
    signal.addEventListener('abort', stopped, { once: true });
    socket.once('connect', () => {
      isConnected = true;
      if (!secure) end(() => resolve('without TLS (permitted by the operator)'));
    });
    if (socket instanceof tls.TLSSocket)
      socket.once('secureConnect', () => {
        const version = socket.getProtocol() ?? 'TLS';
        end(() => resolve(version));
      });
    socket.once('error', (error: NodeJS.ErrnoException) => fail(isConnected ? 'tls' : 'connect', error.code));
  });
}
