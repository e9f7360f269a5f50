import { sessionPolicyFor } from '../credentials/access-policy.ts';
import { environmentIdentity, type Identity, identityKeys } from '../credentials/environment-store.ts';
import type { AccessKeys } from '../credentials/secret.ts';
import { AccessDenied, InvalidInput, NotFound, Unreachable } from '../errors.ts';
import type { ListPage } from '../object-store/object-store.ts';
import { type BucketInfo, type OssStore, openOssStore } from '../object-store/oss.ts';
import { causeOfStoreError, causeOfTokenError, provesIdentity } from './cause-of-error.ts';
import type { NetworkState } from './network-checks.ts';
import { pinnedLookup } from './outbound-door.ts';
import type { Outcome, Step, TestOptions, TestSubject } from './run-checks.ts';

/** What the checks of access learn for those after them. */
export interface AccessState {
  network: NetworkState;
  store?: OssStore;
  /** First page of what lies directly below the warehouse. */
  children?: ListPage;
}

const REQUEST_SILENCE_MS = 6_000;

export function accessSteps(
  subject: TestSubject,
  options: TestOptions,
  network: NetworkState,
): { steps: Step[]; state: AccessState } {
  const { config } = subject;
  const state: AccessState = { network };
  let bucketAnswer: { info: BucketInfo } | { error: unknown } | undefined;

  async function identity(signal: AbortSignal): Promise<Outcome> {
    let self: Identity;
    try {
      self = await environmentIdentity(config, subject.sealedSecret, options.access.settings);
    } catch (error) {
      if (error instanceof AccessDenied || error instanceof Unreachable)
        return { status: 'failed', cause: 'key-service-refused', evidence: error.message };
      if (!(error instanceof InvalidInput)) throw error;
      return { status: 'failed', cause: 'secret-unreadable', evidence: error.message };
    }
    if (self.accessMode === 'ramRole' && !options.access.functionKeys)
      return { status: 'failed', cause: 'function-identity-missing', evidence: 'this function runs without a role' };
    let keys: AccessKeys;
    try {
      const policy = self.accessMode === 'ramRole' ? sessionPolicyFor(config.location) : '';
      const given = identityKeys(self, policy, options.access, { fresh: true });
      keys = typeof given === 'function' ? await given() : given;
    } catch (error) {
      return { status: 'failed', ...renamed(causeOfTokenError(error)) };
    }
    const target = network.target!;
    state.store = openOssStore({
      bucket: config.location.bucket,
      endpoint: target.origin,
      region: config.region,
      pathStyle: target.pathStyle,
      keys,
      lookup: pinnedLookup(network.addresses),
      timeoutMs: REQUEST_SILENCE_MS,
      retries: 1,
    });
    try {
      bucketAnswer = { info: await state.store.bucketInfo({ signal }) };
    } catch (error) {
      if (!provesIdentity(error)) return { status: 'failed', ...renamed(causeOfStoreError(error, 'bucket', target)) };
      bucketAnswer = { error };
    }
    return {
      status: 'ok',
      evidence:
        self.accessMode === 'ramRole'
          ? `role ${self.roleArn} assumed with its external id, narrowed to this warehouse`
          : 'OSS accepts the signature of the AccessKey',
    };
  }

  async function bucket(): Promise<Outcome> {
    const target = network.target!;
    if (bucketAnswer && 'info' in bucketAnswer) {
      const { region } = bucketAnswer.info;
      if (region === config.region) return { status: 'ok', evidence: `${config.location.bucket} lies in ${region}` };
      return {
        status: 'failed',
        cause: 'bucket-other-region',
        evidence: `the bucket lies in ${safeRegion(region) ?? 'another region'}, the environment says ${config.region}`,
        suggestion: safeRegion(region),
      };
    }
    const { error } = bucketAnswer ?? { error: undefined };
    const found = renamed(causeOfStoreError(error, 'bucket', target));
    // Whatever rule it was: listing and reading decide, the region is only good to know.
    const isOnlyUnknown = error instanceof AccessDenied && error.reason === 'not-authorized';
    if (isOnlyUnknown) return { status: 'warning', ...found, cause: 'bucket-info-denied' };
    return { status: 'failed', ...found, suggestion: regionSaidBy(error) };
  }

  async function list(signal: AbortSignal): Promise<Outcome> {
    const { bucket: name, prefix } = config.location;
    try {
      const page = await state.store!.list({ prefix, delimiter: '/', maxKeys: 1000, signal });
      state.children = page;
      const bound = page.nextToken === undefined ? '' : 'at least ';
      return {
        status: 'ok',
        evidence: `${bound}${page.prefixes.length} folders and ${page.objects.length} objects directly below the path`,
      };
    } catch (error) {
      if (error instanceof NotFound)
        return { status: 'failed', cause: 'bucket-not-found', evidence: `no storage bucket ${name}` };
      return { status: 'failed', ...renamed(causeOfStoreError(error, 'list', network.target!)) };
    }
  }

  return {
    state,
    steps: [
      { id: 'identity', title: 'Identity is accepted', limitMs: 12_000, silentCause: 'no-answer', run: identity },
      { id: 'bucket', title: 'Bucket exists in this region', limitMs: 1_000, silentCause: 'no-answer', run: bucket },
      { id: 'list', title: 'Warehouse can be listed', limitMs: 8_000, silentCause: 'no-answer', run: list },
    ],
  };
}

function renamed<Code extends string>({ code, evidence }: { code: Code; evidence: string }): { cause: Code; evidence: string } {
  return { cause: code, evidence };
}

/** Where the bucket is, when OSS named its endpoint in a refusal. */
function regionSaidBy(error: unknown): string | undefined {
  const endpoint = error instanceof AccessDenied ? error.detail.evidence?.endpoint : undefined;
  return safeRegion(endpoint?.replace(/^oss-|(-internal)?\.aliyuncs\.com$/g, '') ?? '');
}

/** A foreign text goes on only when it can be a region. */
function safeRegion(region: string): string | undefined {
  return /^[a-z]{2}-[a-z0-9-]{2,40}$/.test(region) ? region : undefined;
}
